"""The branch of a multi-active declaration, put together: by the function, and by whoever repairs its tables."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from distributary.consumer.parallel import Parallel
from distributary.replicate.declarations import MultiActive
from distributary.replicate.multi_active.conditional_rows import Rows
from distributary.replicate.multi_active.conflicts import NOT_RECORDED, Conflicts
from distributary.replicate.multi_active.edits import Edits
from distributary.replicate.multi_active.lww import Stamps
from distributary.replicate.multi_active.merge_rules import Merge
from distributary.replicate.multi_active.merged import MergingBranch
from distributary.replicate.multi_active.whole_items import MultiActiveBranch


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
    here, rule, regions, recorded = next(iter(clients)), declared.rule, declared.regions, conflicts or NOT_RECORDED
    rows = tuple(Rows(client, each, *tables[each], attribute, days, now) for each, client in clients.items())
    if isinstance(rule, Merge):
        edits = Edits.of(rule, regions, here, attribute, declared.deletes == "win")
        return MergingBranch(rows, edits, recorded, parallel)
    return MultiActiveBranch(declared, rows, Stamps(rule, regions, attribute), recorded, parallel, wait)
