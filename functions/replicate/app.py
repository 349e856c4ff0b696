"""The replicate function: another region's table, kept as replica.py declares."""

import os
from functools import cache
from typing import Any

from distributary.branches.mirror import CALLS, Replica
from distributary.clients import client
from distributary.consume import Deployment, Response, consume
from distributary.deadline import Context
from distributary.parallel import Parallel
from distributary.parking import Parking
from distributary.replicas import check
from distributary.roles import assumed
from distributary.settings import ReplicateSettings
from distributary.tables.register import Register
from distributary.tables.tombstones import Tombstones
from distributary.telemetry import Telemetry
from replica import REPLICA


@cache
def deployed() -> Deployment:
    """What the environment asks for, put together once per process."""
    settings = ReplicateSettings.load(os.environ)
    declared, parallel = check(REPLICA), Parallel(CALLS)
    session = None if settings.target_role == "none" else assumed(client("sts"), settings.target_role)
    tombstones = Tombstones(client("dynamodb"), settings.tombstone_table, settings.tombstone_days)
    replica = client("dynamodb", settings.replica_region, connections=CALLS, session=session)
    register = Register(replica, settings.replica_table, tombstones, parallel, settings.version_attribute)
    branch = Replica(register, f"{settings.replica_region}/{settings.replica_table}", declared)
    parking = Parking(client("s3"), settings.parking_bucket, "replicate", parallel)
    return Deployment(branch, parking, Telemetry("replicate"), settings.generation)


def handler(event: Any, context: Context) -> Response:
    """A batch of stream records in, the first failed one out."""
    return consume(event, context, deployed())
