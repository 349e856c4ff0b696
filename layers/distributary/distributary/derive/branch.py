"""Derived tables: each declared view's rows, kept in step with the source table."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome
from distributary.derive.contribution import contribution_of, entry_of
from distributary.derive.delta import Entry, Row, typed_key
from distributary.derive.joins import Joins
from distributary.derive.ledger import Ledger
from distributary.derive.scope import Scope
from distributary.derive.view import Primitive, View, expiry_of
from distributary.dynamodb.versioned_table import Register, Write
from distributary.errors import DistributaryError, Rejected
from distributary.stream.change import Change, Image, Kind
from distributary.stream.keys import bounded
from distributary.stream.struct import Struct

TOMBSTONE_ID_BYTES = 1024
Task = TypeVar("Task", Write, Entry)


def unchecked(deadline: Deadline) -> None:
    """For tables that nothing but this branch has written."""


class DeriveBranch(Struct, frozen=True):
    """Views say what; `register`, `ledger` and `joins` write it. `check_tables` comes first: `TableFormat.check`."""

    views: tuple[View, ...]
    register: Register
    ledger: Ledger
    check_tables: Callable[[Deadline], None] = unchecked
    joins: Joins | None = None

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. A change that any view rejects is parked; what the other views make of it is kept. If
        the tables are of another release or declaration, every change is failed."""
        try:
            self.check_tables(deadline)
        except DistributaryError as error:
            return [outcomes.failed(error) for _ in changes]
        ends: list[list[Outcome]] = [[] for _ in changes]
        kinds = {view.primitive for view in self.views}
        self._through(plan, self.register.write, changes, ends, deadline.share(len(kinds)))
        beside = deadline.share(2) if Primitive.JOIN in kinds else deadline
        self._through(entries, self.ledger.write, changes, ends, beside)
        if self.joins is not None:
            self.joins.write(changes, ends, deadline)
        return [outcomes.combine(each) for each in ends]

    def _through(
        self,
        planner: Callable[[Sequence[View], Change], tuple[list[Task], list[Rejected]]],
        write: Callable[[Sequence[Task], Deadline], list[Outcome]],
        changes: Sequence[Change],
        ends: list[list[Outcome]],
        deadline: Deadline,
    ) -> None:
        tasks: list[Task] = []
        owners: list[int] = []
        for place, change in enumerate(changes):
            planned, rejections = planner(self.views, change)
            ends[place] += map(outcomes.parked, rejections)
            tasks += planned
            owners += [place] * len(planned)
        for owner, end in zip(owners, write(tasks, deadline), strict=True):
            ends[owner].append(end)


def plan(views: Sequence[View], change: Change) -> tuple[list[Write], list[Rejected]]:
    """What a change asks of the row of each view on the Register, and why a view cannot have one."""
    return _planned(views, Primitive.REGISTER, row_of, change)


def entries(views: Sequence[View], change: Change) -> tuple[list[Entry], list[Rejected]]:
    """What the item contributes to each view on the Ledger, and why a view cannot take it."""
    return _planned(views, Primitive.LEDGER, entry_of, change)


def _planned(
    views: Sequence[View], primitive: Primitive, one: Callable[[View, Change], Task], change: Change
) -> tuple[list[Task], list[Rejected]]:
    tasks, rejections = [], []
    for view in views:
        try:
            if view.primitive is primitive and view.concerned(change):
                task = one(view, change)
                tasks += [] if makes_no_difference(view, change, task) else [task]
        except Rejected as error:
            rejections.append(Rejected(f"view '{view.name}': {error}", error.detail))
    return tasks, rejections


def makes_no_difference(view: View, change: Change, task: Write | Entry) -> bool:
    """Whether the item has the same in the view before an update and after it: there is nothing to write or look at.
    What was before it, an earlier change has brought, or will yet bring under its own version."""
    if change.kind is not Kind.MODIFY or change.old is None or change.new is None:
        return False
    try:
        if not (view.holds(change.old) and view.holds(change.new)):
            return False
        if isinstance(task, Entry):
            return contribution_of(view, change.old, change) == task.contribution
        return _row(view, change.old, task.key) == task.row
    except Rejected:
        return False


def row_id(view: View, pk: str, sk: str) -> str:
    """Of a versioned row among all whose tombstones share a table."""
    return bounded(f"{view.name}|{pk}|{sk}", TOMBSTONE_ID_BYTES)


def row_of(view: View, change: Change) -> Write:
    """The row as the change leaves it. Raises Rejected for an item of which the view can make none."""
    pk, sk = view.key(change.keys)
    key = typed_key((pk, sk))
    id = row_id(view, pk, sk)
    shown = view.shown(change)
    if shown is None or not view.holds(shown):
        return Write(id, key, None, change.version, if_present=view.found_nothing(change))
    row = _row(view, shown, key)
    return Write(id, key, row, change.version, expires_at=expiry_of(row), mark=view.mark(change))


def _row(view: View, image: Image, key: Row) -> Row:
    return {**key, **view.content(Scope(image, view.declared.compute))}
