"""The branch of a multi-active declaration, put together: by the function, and by whoever repairs its tables."""

from collections.abc import Mapping
from typing import Any

from distributary.consumer.parallel import Parallel
from distributary.replicate.declarations import MultiActive
from distributary.replicate.multi_active.conditional_rows import Rows
from distributary.replicate.multi_active.conflicts import Conflicts
from distributary.replicate.multi_active.edits import Edits
from distributary.replicate.multi_active.last_writer import MultiActiveBranch
from distributary.replicate.multi_active.merge_rules import Merge
from distributary.replicate.multi_active.merge_table import MergeStateTable
from distributary.replicate.multi_active.merged import MergingBranch
from distributary.replicate.multi_active.replica_table import Reading, RegionTable


def between(
    declared: MultiActive,
    clients: Mapping[str, Any],
    tables: tuple[str, str],
    days: int,
    attribute: str,
    conflicts: Conflicts | None,
    parallel: Parallel,
) -> MultiActiveBranch | MergingBranch:
    """`clients` by region, the function's own first; `tables` are the items' and that of deletions, `days` how long
    these are remembered, `attribute` the replicator's own; without `conflicts` they are not recorded."""
    here, (table, kept) = next(iter(clients)), tables
    if isinstance(declared.rule, Merge):
        edits = Edits.of(declared.rule, declared.regions, here, attribute, declared.deletes == "win")
        home, *others = (
            MergeStateTable(Rows(client, region, table, attribute), kept, edits.lattice, days)
            for region, client in clients.items()
        )
        return MergingBranch(home, tuple(others), edits, conflicts, parallel)
    reading = Reading(declared.rule, declared.regions, attribute)
    site, *peers = (RegionTable(client, region, table, kept, reading, days) for region, client in clients.items())
    return MultiActiveBranch(declared, site, tuple(peers), conflicts, parallel)
