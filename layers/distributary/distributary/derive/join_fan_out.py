"""A right item brought into the rows that show it: one, or all of those that its subscriptions name.

Of rows that a right item's change cannot move, each is updated on condition that it still has this foreign key and an
older right item. Where a row comes and goes with the right item, the left item's ledger row says what the row is made
of and up to which right item: it is read, and written with the row in one transaction.
"""

from collections.abc import Sequence

from distributary.derive.delta import Key, Row
from distributary.derive.join_calls import JoinCalls, shows
from distributary.derive.join_rows import (
    ALL_FANNED,
    FOREIGN_KEY,
    RIGHT_ROW,
    SINCE,
    Action,
    LeftRow,
    RightRow,
    ledger_row,
    ledger_write,
    missing_or_older,
    older,
    partition,
    place_in,
    removed,
    row_of,
    updated,
)
from distributary.derive.join_view import JoinView, LeftContent, Reach, RightChange
from distributary.derive.transact_items import put
from distributary.derive.transaction_queue import TRIES
from distributary.dynamodb.steps import Steps, Together
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.stream import version as versions

PAGE = 250
"""Subscriptions that are read, and rows that are written, at once."""

KEPT_EVERY = 2500
"""After so many rows the right item remembers how far it was fanned out: 1 write unit."""

_LEFT = "join: a right item's rows are not all written yet; the next delivery goes on where this one stopped"


def freshened(
    calls: JoinCalls, join: JoinView, id: str, place: Key | None, foreign_key: str, right: RightRow
) -> Steps[bool]:
    """One left item's row as of this right item; whether it was written. `id` is that of its ledger row, `place` where
    the row may be. 1 write unit where the row stays, else 1 read unit and 4 to 6 write units. Raises Rejected,
    Unavailable."""
    stays = join.reach is Reach.PART or (join.reach is Reach.SHOWN and right.content is not None)
    if stays and place is not None:
        part = right.content.part if right.content is not None else {}
        values = {**part, SINCE: {"S": right.since}}
        condition = older(foreign_key, right.since)
        met = yield from calls.write(
            updated(calls.tables.derived, place, (*join.right_outputs, SINCE), values, *condition), returns=True
        )
        if met.held or met.item or join.reach is Reach.PART:
            return met.held
    if join.reach is Reach.PART:
        return False
    return (yield from _through_ledger(calls, join, id, foreign_key, right))


def _through_ledger(calls: JoinCalls, join: JoinView, id: str, foreign_key: str, right: RightRow) -> Steps[bool]:
    row: Row = {}
    known = False
    for tries in range(TRIES):
        if not known:
            row = (yield from calls.ledger_rows([id])).get(id, {})
        found = LeftRow.of(row)
        if found.left is None or found.foreign_key != foreign_key or found.held >= right.since:
            return False
        refused = yield from calls.transact(joined_actions(calls, join, id, found, right))
        if refused is None:
            return True
        if refused.place:
            return False
        row, known = refused.row, bool(refused.row)
        if tries:
            yield calls.pause(tries)
    raise Unavailable("join: the left item's ledger row changed at every try")


def joined_actions(calls: JoinCalls, join: JoinView, id: str, found: LeftRow, right: RightRow) -> list[Action]:
    """A left item's ledger row and row with this right item. Raises Rejected."""
    derived, left = calls.tables.derived, LeftContent(found.left or {}, found.foreign_key)
    shown = join.key(left.item, right.content)
    version = versions.to_text(found.version, calls.tables.revision())
    entry = ledger_row(join, id, version, left, right.since, shown)
    guard = missing_or_older(right.since) if join.reach is Reach.SHOWN else ()
    actions = [ledger_write(calls.tables.ledger, entry, found.read)]
    actions += [removed(derived, found.shown, *guard)] if found.shown not in (None, shown) else []
    actions += (
        [put(derived, row_of(join, shown, left, right.content, right.since), *guard)] if shown is not None else []
    )
    return actions


def fanned_out(
    calls: JoinCalls, join: JoinView, change: RightChange, right: RightRow, *, remembers: bool = False
) -> Steps[bool]:
    """All rows that show a right item as of this one; whether any was written. Where the time is up, the right item
    remembers how far it came, and Unavailable is raised: the next delivery goes on there. Raises Rejected for a row
    that cannot hold it, when the others are written. `remembers`: the right item keeps that all was written."""
    start, pages, refused = right.fanned, _pages(join, change), None
    if start == ALL_FANNED:
        return False
    pk, prefix, start = pages if not start else (*pages[:2], start)
    wrote, since_kept, longest, resumed = False, 0, 0.0, remembers or bool(right.fanned)
    while True:
        began = calls.deadline.left()
        rows, after = yield from calls.page(pk, prefix, start, PAGE)
        due = _due(join, rows, change.foreign_key, right)
        done = yield Together([freshened(calls, join, id, place, change.foreign_key, right) for id, place in due])
        for end in done:
            if isinstance(end, Rejected):
                refused = refused or end
            elif isinstance(end, DistributaryError):
                raise end
            wrote = wrote or end is True
        since_kept += len(rows)
        if not after:
            break
        longest, start = max(longest, began - calls.deadline.left()), after
        stop = calls.deadline.left() < 2 * longest
        if stop or since_kept >= KEPT_EVERY:
            yield from _keep(calls, join, change, right, start)
            since_kept, resumed = 0, True
        if stop:
            raise Unavailable(_LEFT)
    if resumed:
        yield from _keep(calls, join, change, right, ALL_FANNED)
    if refused is not None:
        raise refused
    return wrote


def _pages(join: JoinView, change: RightChange) -> tuple[str, str, str]:
    """The partition, what sort keys begin with, and where to start."""
    if join.holds_subscribers:
        return (*join.partition(change.keys), "")
    return partition(join.name, change.foreign_key), "", RIGHT_ROW


def _due(join: JoinView, rows: Sequence[Row], foreign_key: str, right: RightRow) -> list[tuple[str, Key | None]]:
    """The left items of a page whose rows may be older, by the ids of their ledger rows, and where the rows are. Of
    rows that are their own subscriptions no id is needed."""
    if not join.holds_subscribers:
        return [(row["sk"]["S"], place_in(row)) for row in rows]
    return [
        ("", (row["pk"]["S"], row["sk"]["S"]))
        for row in rows
        if FOREIGN_KEY in row and not shows(row, foreign_key, right.since)
    ]


def _keep(calls: JoinCalls, join: JoinView, change: RightChange, right: RightRow, at: str) -> Steps[None]:
    """How far it came, unless another content has come meanwhile."""
    key = partition(join.name, change.foreign_key), RIGHT_ROW
    names, values = {"#since": "since"}, {":since": {"S": right.since}}
    condition = "#since = :since", names, values
    yield from calls.write(updated(calls.tables.derived, key, ("fanned",), {"fanned": {"S": at}}, *condition))
