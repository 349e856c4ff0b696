"""Joins: rows of left items with attributes of the right items that their foreign keys name.

Of a batch, right items are stored first, then left items are written with what they name, and then right items are
brought into the rows that show them. So a long fan-out delays no other change of its batch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import SUPERSEDED, TIED, Outcome, Status
from distributary.consumer.parallel import Parallel
from distributary.derive.contribution import entry_id
from distributary.derive.join_calls import JoinCalls, end_of
from distributary.derive.join_left import LeftTask, left_steps
from distributary.derive.join_right import RightTask, fanned_all, stored_all
from distributary.derive.join_view import JoinView, LeftChange, RightChange, left_change, right_change
from distributary.derive.ledger_tables import LedgerTables
from distributary.dynamodb.client import carry_out
from distributary.dynamodb.requests import BATCH_GET_KEYS
from distributary.dynamodb.steps import Steps
from distributary.errors import DistributaryError, Rejected
from distributary.stream import version as versions
from distributary.stream.change import Change
from distributary.stream.keys import item_identity, table_of
from distributary.stream.struct import Struct

Side = TypeVar("Side", LeftChange, RightChange)
Ends = list[list[Outcome]]
"""The outcomes of each change of a batch, one for each side of a join that it concerns."""


class Joins(Struct, frozen=True):
    """Costs, of rows up to 1 KB, in write units and read units: a left item inserted 6 and 3, edited 4 and 1, moved 8
    and 3, deleted 6 and 1; a right item 1 and 1 for each row that shows it, and the Query of its subscriptions. Where
    keys or `where` read both sides, a left item's edit costs 4 and 3, and each row of a right item 4 to 6 and 1."""

    joins: tuple[JoinView, ...]
    tables: LedgerTables
    parallel: Parallel

    def write(self, changes: Sequence[Change], ends: Ends, deadline: Deadline) -> None:
        """Adds to `ends` what becomes of each change in each join that it concerns."""
        for place, join in enumerate(self.joins):
            share = deadline.share(len(self.joins) - place)
            calls = JoinCalls(self.tables, share)
            (end,) = carry_out((self.tables.client,), [_batch(calls, join, changes, ends)], self.parallel, share)
            if isinstance(end, DistributaryError):
                for each in ends:
                    each.append(end_of(end))


def _batch(calls: JoinCalls, join: JoinView, changes: Sequence[Change], ends: Ends) -> Steps[None]:
    lefts, rights = _planned(join, left_change, changes, ends), _planned(join, right_change, changes, ends)
    folded = _folded(rights, lambda place: rights[place].foreign_key)
    tasks = [
        RightTask(
            rights[places[-1]],
            frozenset(rights[place].version for place in places),
            any(rights[place].anew for place in places),
        )
        for places in folded.values()
    ]
    stored = yield from stored_all(calls, join, tasks)
    yield from _lefts(calls, join, changes, lefts, ends)
    found = yield from fanned_all(calls, join, tasks, stored)
    for places, end in zip(folded.values(), found, strict=True):
        _share(join, end, places, rights, ends)


def _lefts(
    calls: JoinCalls, join: JoinView, changes: Sequence[Change], lefts: dict[int, LeftChange], ends: Ends
) -> Steps[None]:
    folded = _folded(lefts, lambda place: left_id(join, changes[place]))
    tasks = [
        LeftTask(
            id,
            lefts[places[-1]],
            lefts[places[0]].version,
            any(lefts[place].anew for place in places),
            all(lefts[place].if_present for place in places),
        )
        for id, places in folded.items()
    ]
    for at in range(0, len(tasks), BATCH_GET_KEYS):
        hundred = tasks[at : at + BATCH_GET_KEYS]
        try:
            found = yield from left_steps(calls, join, hundred)
        except DistributaryError as error:
            found = {task.id: end_of(error) for task in hundred}
        for task in hundred:
            _share(join, found[task.id], folded[task.id], lefts, ends)


def _folded(sides: Mapping[int, Side], name: Callable[[int], str]) -> dict[str, list[int]]:
    """The places of the changes of each item, from the oldest to the newest."""
    folded: dict[str, list[int]] = {}
    for place in sorted(sides, key=lambda place: sides[place].version):
        folded.setdefault(name(place), []).append(place)
    return folded


def _share(join: JoinView, end: Outcome, places: Sequence[int], sides: Mapping[int, Side], ends: Ends) -> None:
    """What becomes of the changes that were folded into the last one: if that fails, all of them come again. An older
    one may be one that a dead process has written and not finished, which its own version alone tells."""
    for place in places:
        alone = place != places[-1] and end.status is not Status.FAILED
        ends[place].append(_folded_end(sides[place], sides[places[-1]]) if alone else _of_view(join, end))


def _folded_end(side: LeftChange | RightChange, last: LeftChange | RightChange) -> Outcome:
    tied = side.version == last.version and versions.is_time(side.version) and side.content != last.content
    return TIED if tied else SUPERSEDED


def left_id(join: JoinView, change: Change) -> str:
    """The id of a left item's ledger row."""
    return entry_id(join.name, item_identity(table_of(change.source), change.keys.raw))


def _planned(
    join: JoinView, side: Callable[[JoinView, Change], Side | None], changes: Sequence[Change], ends: Ends
) -> dict[int, Side]:
    """By their places in the batch, the changes that concern one side of the join."""
    found = {}
    for place, change in enumerate(changes):
        try:
            planned = side(join, change)
        except Rejected as error:
            ends[place].append(_of_view(join, outcomes.parked(error)))
            continue
        if planned is not None:
            found[place] = planned
    return found


def _of_view(join: JoinView, end: Outcome) -> Outcome:
    """What is parked names the view."""
    parked = end.status is Status.PARKED
    return end._replace(cause=f"view '{join.name}': {end.cause}") if parked else end
