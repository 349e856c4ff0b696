"""The replicate branch, put together: by the function, the tests, the verifier, and the benchmarks."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from distributary.consumer.assumed_role import assumed
from distributary.consumer.aws import Clients, Later
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome
from distributary.consumer.parallel import Parallel
from distributary.consumer.reconcile import Reconcile, Reconciler
from distributary.dynamodb.client import DynamoDBClient
from distributary.dynamodb.read_budget import Pace
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register
from distributary.errors import ConfigError
from distributary.replicate.declarations import Mirror, Replica, check, peers_of, target_of
from distributary.replicate.mirror import CALLS, REQUESTS, MirrorBranch
from distributary.replicate.multi_active.conflicts import Conflicts
from distributary.replicate.multi_active.factory import between
from distributary.replicate.multi_active.merged import MergingBranch
from distributary.replicate.multi_active.whole_items import MultiActiveBranch
from distributary.replicate.settings import ReplicateSettings
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.entity import other_tables

Branch = MirrorBranch | MultiActiveBranch | MergingBranch


def build(
    declared: Replica,
    settings: ReplicateSettings,
    clients: Clients,
    parallel: Parallel,
    count_conflict: Callable[[], None],
    now: Callable[[], float] = time.time,
) -> Branch:
    """A branch that keeps the declared replica. Raises ConfigError if declaration and settings disagree."""
    check(declared)
    if isinstance(declared, Mirror):
        if faults := other_tables({"mirror": declared.of} if declared.of else {}, settings.tables):
            raise ConfigError(faults)
        return _mirror(declared, settings, clients, parallel, now)
    here = settings.source_region
    regions = here, *peers_of(declared, here, settings.replica_regions, settings.target_role)
    connections = {region: CALLS if region == here else REQUESTS // (len(regions) - 1) for region in regions}
    return between(
        declared,
        {region: clients("dynamodb", region, connections=many) for region, many in connections.items()},
        dict.fromkeys(regions, (settings.replica_table, settings.tombstone_table)),
        settings.tombstone_days,
        settings.version_attribute,
        Conflicts(
            Later(partial(clients, "s3")),
            settings.parking_bucket,
            declared.rule.name,
            count_conflict,
            settings.replica_table.rpartition("/")[2],
        ),
        parallel,
    )


def reconciler(
    branch: Branch, clients: Clients, source: Callable[[], str], generation: int, read_units: float | None = None
) -> Reconciler:
    """Sets items right in the replica of a mirror, or in all regions. `source` is asked when a command comes for the
    source table's name or ARN; it raises ConfigError if it knows none. `read_units`: of the source, or of each region's
    tables, a second; None = without a limit."""
    if not isinstance(branch, MirrorBranch):
        return _of_regions(branch, generation, read_units)
    register, pace = branch.register, Pace(read_units)

    def reconcile(requests: Sequence[Reconcile], deadline: Deadline) -> list[Outcome]:
        # Imported by the first command alone: a cold start that serves the stream does not pay for it.
        from distributary.replicate.reconcile import MirrorReconciler
        from distributary.replicate.verify.comparison import of_mirror
        from distributary.replicate.verify.table import Side

        _check_only(requests)
        sides = Side(clients("dynamodb"), source(), pace), Side(register.client, register.table, name="replica")
        comparator = of_mirror(branch, *sides, generation)
        return MirrorReconciler(branch, comparator)(requests, deadline)

    return reconcile


def _of_regions(branch: MultiActiveBranch | MergingBranch, generation: int, read_units: float | None) -> Reconciler:
    paces = {rows.region: Pace(read_units) for rows in branch.regions}

    def reconcile(requests: Sequence[Reconcile], deadline: Deadline) -> list[Outcome]:
        # As above.
        from distributary.replicate.multi_active.reconcile import RegionsReconciler

        _check_only(requests)
        return RegionsReconciler(branch, paces, generation)(requests, deadline)

    return reconcile


def _check_only(requests: Sequence[Reconcile]) -> None:
    if any(each.only for each in requests):
        raise ConfigError("replicate keeps one replica: leave out 'only'")


def _mirror(
    declared: Mirror, settings: ReplicateSettings, clients: Clients, parallel: Parallel, now: Callable[[], float]
) -> MirrorBranch:
    region = target_of(settings.replica_regions)
    session = None if settings.target_role == "none" else assumed(clients("sts"), settings.target_role)
    target = clients("dynamodb", region, connections=REQUESTS, session=session)
    tombstones = Tombstones(
        clients("dynamodb", connections=CALLS), settings.tombstone_table, settings.tombstone_days, now
    )
    return mirror(declared, target, (region, settings.replica_table), tombstones, parallel, settings.version_attribute)


def mirror(
    declared: Mirror,
    client: Any,
    target: tuple[str, str],
    tombstones: Tombstones,
    parallel: Parallel,
    version_attribute: str = REPLICA_VERSION,
) -> MirrorBranch:
    """A mirror over a client of its target: a region and the name of a table in it. Our own client takes attributes as
    the text that was received, boto3's does not."""
    region, table = target
    register = Register(client, table, tombstones, parallel, version_attribute)
    return MirrorBranch(register, f"{region}/{table}", declared, sliced=isinstance(client, DynamoDBClient))
