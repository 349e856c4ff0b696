"""The derive branch, put together: by the function, the tests, the verifier, and the benchmarks."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from distributary.consumer.aws import Clients
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome
from distributary.consumer.parallel import Parallel
from distributary.consumer.reconcile import Reconcile, Reconciler, chosen
from distributary.consumer.sweep import Done, Rebuilder, Sweep, Swept
from distributary.derive.branch import DeriveBranch
from distributary.derive.declarations import Declaration
from distributary.derive.ledger import Ledger
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.settings import DeriveSettings
from distributary.derive.table_format import TableFormat
from distributary.derive.validation import check
from distributary.dynamodb.read_budget import Pace
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register
from distributary.stream import version as versions
from distributary.stream.keys import table_of


def reconciler(
    branch: DeriveBranch, source: Callable[[], str], generation: int, pace: Pace | None = None
) -> Reconciler:
    """Sets items right in every view of the branch. `source` is asked when a command comes for the source table's name
    or ARN; it raises ConfigError if it knows none. `pace`: of reads by key of the source, which others share; None =
    without a limit."""
    tables = branch.ledger.tables
    version = versions.of(generation, versions.SNAPSHOT_POSITION)

    def reconcile(requests: Sequence[Reconcile], deadline: Deadline) -> list[Outcome]:
        # Imported by the first command alone: a cold start that serves the stream does not pay for it.
        from distributary.derive.reconcile import DeriveReconciler
        from distributary.derive.verify.item_verifier import Comparator
        from distributary.derive.verify.repair import Repair

        names = chosen([view.name for view in branch.views], requests)
        views = tuple(view for view in branch.views if view.name in names)
        branch.check_tables(deadline)
        comparator = Comparator(source(), views, tables, version, pace=pace)
        return DeriveReconciler(comparator, Repair(tables, branch.register))(requests, deadline)

    return reconcile


def rebuilder(
    branch: DeriveBranch,
    reconcile: Reconciler,
    source: Callable[[], str],
    generation: int = 0,
    streams: Iterable[str] = (),
    pace: Pace | None = None,
) -> Rebuilder:
    """Finds what the tables hold and no item explains. `streams`: the ARNs of all that the function may read; `pace` is
    what `reconcile` reads by."""

    class Imported:
        """Imports what it needs when a command comes: a cold start that serves the stream does not pay for it."""

        def _rebuilder(self) -> Rebuilder:
            from distributary.derive.sweep import DeriveRebuilder

            known = TableFormat(branch.ledger.tables, branch.views)
            earlier = frozenset(map(table_of, streams))
            return DeriveRebuilder(branch, known, reconcile, source, generation, earlier, pace)

        def sweep(self, asked: Sweep, deadline: Deadline) -> Swept:
            return self._rebuilder().sweep(asked, deadline)

        def declarations(self, done: Done, deadline: Deadline) -> dict[str, Any]:
            return self._rebuilder().declarations(done, deadline)

    return Imported()


def build(
    declared: Sequence[Declaration],
    settings: DeriveSettings,
    clients: Clients,
    parallel: Parallel,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    due: Callable[[], None] = lambda: None,
) -> DeriveBranch:
    """A branch that keeps the declared views; `due` is called with each batch while a rebuild is due. Raises
    ConfigError that names every fault of the declarations."""
    dynamodb, days = clients("dynamodb"), settings.tombstone_days
    tombstones = Tombstones(dynamodb, settings.tombstone_table, days, now)
    register = Register(dynamodb, settings.derived_table, tombstones, parallel)
    tables = LedgerTables(dynamodb, settings.ledger_table, settings.derived_table, days, now, sleep)
    views = check(declared)
    return DeriveBranch(views, register, Ledger(tables, parallel), TableFormat(tables, views, due).check)
