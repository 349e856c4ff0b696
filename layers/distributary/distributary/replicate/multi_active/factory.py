"""The branch of a multi-active declaration, put together: by the function, and by whoever repairs its tables."""

import time
from collections.abc import Callable, Mapping
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
    tables: Mapping[str, tuple[str, str]],
    days: int,
    attribute: str,
    conflicts: Conflicts | None,
    parallel: Parallel,
    now: Callable[[], float] = time.time,
    wait: Callable[[float], None] = time.sleep,
) -> MultiActiveBranch | MergingBranch:
    """`clients` by region, the function's own first; `tables` by region: of the items, and of deletions and merge
    states. `days`: how long deletions are kept. `attribute`: the replicator's own. Without `conflicts` none is
    recorded."""
    here, rule = next(iter(clients)), declared.rule
    if isinstance(rule, Merge):
        edits = Edits.of(rule, declared.regions, here, attribute, declared.deletes == "win")
        home, *others = (
            MergeStateTable(Rows(client, region, tables[region][0], attribute), tables[region][1], days, now)
            for region, client in clients.items()
        )
        return MergingBranch(home, tuple(others), edits, conflicts, parallel)
    reading = Reading(rule, declared.regions, attribute)
    site, *peers = (
        RegionTable(client, region, *tables[region], reading, days, now, wait) for region, client in clients.items()
    )
    return MultiActiveBranch(declared, site, tuple(peers), conflicts, parallel)
