"""The derive branch, put together: by the function, the tests, the verifier, and the benchmarks."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from distributary.consumer.aws import Clients
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome
from distributary.consumer.parallel import Parallel
from distributary.consumer.reconcile import Reconcile, Reconciler, chosen
from distributary.consumer.sweep import Done, Rebuilder, Sweep, Swept
from distributary.derive.branch import DeriveBranch
from distributary.derive.declarations import Declaration
from distributary.derive.join_validation import entities
from distributary.derive.join_view import joins_of
from distributary.derive.joins import Joins
from distributary.derive.ledger import Ledger
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.settings import DeriveSettings
from distributary.derive.table_format import TableFormat
from distributary.derive.validation import check, check_tables
from distributary.derive.view import View
from distributary.dynamodb.read_budget import Pace
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register
from distributary.errors import ConfigError
from distributary.stream import version as versions
from distributary.stream.keys import table_arn, table_of
from distributary.stream.struct import replace


class Named(Protocol):
    """Of several source tables, one by its name."""

    def __call__(self, table: str, /) -> str:
        """Its ARN. Raises ConfigError."""


SourceOf = Callable[[], str] | Named
"""The name or the ARN of the source table; with several, of that which is named. Raises ConfigError if it knows none.
"""


def reconciler(branch: DeriveBranch, source: SourceOf, generation: int, pace: Pace | None = None) -> Reconciler:
    """Sets items right in every view of the branch that reads their table. `source` is asked when a command comes.
    `pace`: of reads by key of the source, which others share; None = without a limit."""
    tables = branch.ledger.tables
    version = versions.of(generation, versions.SNAPSHOT_POSITION)

    def reconcile(requests: Sequence[Reconcile], deadline: Deadline) -> list[Outcome]:
        # Imported by the first command alone: a cold start that serves the stream does not pay for it.
        from distributary.derive.reconcile import DeriveReconciler
        from distributary.derive.verify.item_verifier import Comparator
        from distributary.derive.verify.repair import Repair

        names = chosen([view.name for view in branch.views], requests)
        table = _named(source, requests[0].table if requests else "")
        views = _reading(table, [view for view in branch.views if view.name in names], requests)
        branch.check_tables(deadline)
        comparator = Comparator(table, views, tables, version, pace=pace)
        return DeriveReconciler(comparator, Repair(tables, branch.register))(requests, deadline)

    return reconcile


def _named(source: SourceOf, table: str) -> str:
    return source(table) if table else source()  # type: ignore[call-arg]


def _reading(table: str, views: Sequence[View], requests: Sequence[Reconcile]) -> tuple[View, ...]:
    """Those of the views that read the table. Raises ConfigError if one that is asked for by name reads another."""
    arn = table_arn(table)
    reading = tuple(view for view in views if any(each.reads(arn) for each in entities(view.declared)))
    if len(reading) < len(views) and any(each.only for each in requests):
        other = next(view for view in views if view not in reading)
        raise ConfigError(f"view '{other.name}' reads '{other.declared.of.table}', not '{table_of(table_arn(table))}'")
    return reading


def rebuilder(
    branch: DeriveBranch,
    reconcile: Reconciler,
    source: SourceOf,
    generation: int = 0,
    streams: Iterable[str] = (),
    pace: Pace | None = None,
    own: Iterable[str] = (),
) -> Rebuilder:
    """Finds what the tables hold and no item explains. `streams`: the ARNs of all that the function may read, `own`
    those that it reads now; `pace` is what `reconcile` reads by."""

    class Imported:
        """Imports what it needs when a command comes: a cold start that serves the stream does not pay for it."""

        def _rebuilder(self, table: str = "") -> Rebuilder:
            from distributary.derive.sweep import DeriveRebuilder

            def of_table(requests: Sequence[Reconcile], deadline: Deadline) -> list[Outcome]:
                return reconcile([replace(each, table=table) for each in requests], deadline)

            known = TableFormat(branch.ledger.tables, branch.views)
            earlier = frozenset(map(table_of, streams)) - frozenset(map(table_of, own))
            return DeriveRebuilder(branch, known, of_table, lambda: _named(source, table), generation, earlier, pace)

        def sweep(self, asked: Sweep, deadline: Deadline) -> Swept:
            return self._rebuilder(asked.table).sweep(asked, deadline)

        def declarations(self, done: Done, deadline: Deadline) -> dict[str, Any]:
            return self._rebuilder().declarations(done, deadline)

    return Imported()


def _check_loop(settings: DeriveSettings) -> None:
    own = table_of(table_arn(settings.derived_table))
    if own in settings.tables:
        raise ConfigError(
            f"the function would read the table '{own}' that it writes, and its rows would make rows without end: keep "
            "views of these rows in a second stack, whose DeriveSourceArn is this one's DerivedTableStreamArn"
        )


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
    check_tables(views, settings.tables)
    _check_loop(settings)
    joined = joins_of(views)
    joins = Joins(joined, tables, parallel) if joined else None
    return DeriveBranch(views, register, Ledger(tables, parallel), TableFormat(tables, views, due).check, joins)
