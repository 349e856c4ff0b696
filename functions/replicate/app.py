"""The replicate function: another region's table, kept equal to the source."""

import os
from functools import cache
from typing import Any

from distributary.branches.replicate import Mirror
from distributary.clients import client
from distributary.consume import Deployment, Response, consume
from distributary.deadline import Context
from distributary.parallel import Parallel
from distributary.parking import Parking
from distributary.settings import ReplicateSettings
from distributary.tables.register import Register
from distributary.tables.tombstones import Tombstones
from distributary.telemetry import Telemetry


@cache
def deployed() -> Deployment:
    """What the environment asks for, put together once per process."""
    settings = ReplicateSettings.load(os.environ)
    parallel = Parallel()
    tombstones = Tombstones(client("dynamodb"), settings.tombstone_table, settings.tombstone_days)
    replica = client("dynamodb", settings.replica_region)
    name = f"{settings.replica_region}/{settings.replica_table}"
    branch = Mirror(Register(replica, settings.replica_table, tombstones, parallel), name)
    parking = Parking(client("s3"), settings.parking_bucket, "replicate", parallel)
    return Deployment(branch, parking, Telemetry("replicate"), settings.generation)


def handler(event: Any, context: Context) -> Response:
    """A batch of stream records in, the first failed one out."""
    return consume(event, context, deployed())
