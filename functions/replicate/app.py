"""The replicate function: other regions' tables, kept as replica.py declares."""

import os
from functools import cache, partial
from typing import Any

from distributary.consumer.assumed_role import assumed
from distributary.consumer.aws import client
from distributary.consumer.consume import Branch, Deployment, Response, consume
from distributary.consumer.deadline import Context
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.telemetry import Telemetry
from distributary.dynamodb.client import lean
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register
from distributary.replicate.declarations import Mirror, MultiActive, check, peers_of, target_of
from distributary.replicate.mirror import CALLS, Replica
from distributary.replicate.multi_active.conflicts import Conflicts
from distributary.replicate.multi_active.factory import between
from distributary.replicate.multi_active.last_writer import Peers
from distributary.replicate.multi_active.merged import Merged
from distributary.replicate.settings import ReplicateSettings
from replica import REPLICA


@cache
def deployed() -> Deployment:
    """What the environment asks for, put together once per process."""
    settings, declared = ReplicateSettings.load(os.environ), check(REPLICA)
    parallel, telemetry = Parallel(CALLS), Telemetry("replicate")
    branch: Branch
    if isinstance(declared, Mirror):
        branch = mirror(declared, settings, parallel)
    else:
        branch = multi_active(declared, settings, parallel, telemetry)
    parking = Parking(client("s3"), settings.parking_bucket, "replicate", parallel)
    return Deployment(branch, parking, telemetry, settings.generation)


def mirror(declared: Mirror, settings: ReplicateSettings, parallel: Parallel) -> Replica:
    """One way, to one region."""
    region = target_of(settings.replica_regions)
    session = None if settings.target_role == "none" else assumed(client("sts"), settings.target_role)
    tombstones = Tombstones(lean(None, CALLS), settings.tombstone_table, settings.tombstone_days)
    replica = lean(region, CALLS, session)
    register = Register(replica, settings.replica_table, tombstones, parallel, settings.version_attribute)
    return Replica(register, f"{region}/{settings.replica_table}", declared)


def multi_active(
    declared: MultiActive, settings: ReplicateSettings, parallel: Parallel, telemetry: Telemetry
) -> Peers | Merged:
    """Both ways, between this region and all others."""
    here = settings.source_region
    regions = here, *peers_of(declared, here, settings.replica_regions, settings.target_role)
    count = partial(telemetry.count, "Conflicts")
    return between(
        declared,
        {region: lean(region, CALLS) for region in regions},
        (settings.replica_table, settings.tombstone_table),
        settings.tombstone_days,
        settings.version_attribute,
        Conflicts(client("s3"), settings.parking_bucket, declared.rule.name, count),
        parallel,
    )


def handler(event: Any, context: Context) -> Response:
    """A batch of stream records in, the first failed one out."""
    return consume(event, context, deployed())
