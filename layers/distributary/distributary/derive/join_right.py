"""A change of a right item: it is stored, and then brought into the rows that show it.

A change that a newer one has overtaken leaves the rows to that one's own delivery. A change of which the content was
stored before, by a process that died or by a version alike, goes on only if its delivery is the one that brought the
content: `since` names its version. So a change that alters nothing that the join shows writes no row. An insert goes on
in any case: it may make up for a change that was lost for good.
"""

from collections.abc import Sequence
from typing import Any

from distributary.consumer.outcome import APPLIED, SUPERSEDED, TIED, Outcome
from distributary.derive.delta import EXPIRY
from distributary.derive.join_calls import JoinCalls, end_of
from distributary.derive.join_fan_out import fanned_out
from distributary.derive.join_rows import RIGHT_ROW, RightRow, digest_of, partition, right_row, updated
from distributary.derive.join_view import JoinView, RightChange
from distributary.derive.transact_items import put
from distributary.derive.transaction_queue import TRIES
from distributary.dynamodb.steps import Steps, Together
from distributary.errors import DistributaryError, Unavailable
from distributary.stream import version as versions
from distributary.stream.struct import Struct

_MOVING = Unavailable("join: the right item changed at every try")


class RightTask(Struct, frozen=True):
    """The newest change of a right item in a batch; `folded` are the versions of all of its changes, and `anew` is
    whether one of these inserts or deletes it."""

    change: RightChange
    folded: frozenset[int]
    anew: bool


class Stored(Struct, frozen=True):
    """What became of a right item: as it is stored now, and whether this change `moved` it."""

    row: RightRow
    moved: bool


def stored_all(calls: JoinCalls, join: JoinView, tasks: Sequence[RightTask]) -> Steps[list[Stored | DistributaryError]]:
    """What became of each, in order."""
    found = yield Together([_stored(calls, join, task.change) for task in tasks])
    return list(found)


def fanned_all(
    calls: JoinCalls, join: JoinView, tasks: Sequence[RightTask], stored: Sequence[Stored | DistributaryError]
) -> Steps[list[Outcome]]:
    """One outcome for each task, in order."""
    ends = yield Together([_fanned(calls, join, task, found) for task, found in zip(tasks, stored, strict=True)])
    return [end_of(end) for end in ends]


def _fanned(calls: JoinCalls, join: JoinView, task: RightTask, found: Stored | DistributaryError) -> Steps[Outcome]:
    if isinstance(found, DistributaryError):
        raise found
    owes = versions.from_text(found.row.since) in task.folded
    lost = TIED if _ties(task.change, found) else SUPERSEDED
    if not owes and not (found.moved and task.anew):
        return APPLIED if found.moved else lost
    wrote = yield from fanned_out(calls, join, task.change, found.row)
    return lost if lost is TIED else APPLIED if found.moved or wrote else SUPERSEDED


def _ties(change: RightChange, found: Stored) -> bool:
    """Whether what is stored is of the same moment, and of other content."""
    same_moment = versions.is_time(change.version) and versions.from_text(found.row.version) == change.version
    return not found.moved and same_moment and found.row.digest != digest_of(change.content)


def _stored(calls: JoinCalls, join: JoinView, change: RightChange) -> Steps[Stored]:
    """Put if it is newer and of other content: 1 write unit. Of the same content, the version alone moves on, for 1
    more."""
    tables, text, digest = calls.tables, versions.to_text(change.version), digest_of(change.content)
    expires = int(tables.now()) + tables.days * 86_400
    row = right_row(join.name, change.keys.raw, change.foreign_key, text, change.content, expires)
    names = {"#v": "version", "#d": "digest"}
    values = {":v": {"S": text}, ":d": {"S": digest}}
    for tries in range(TRIES):
        new = "attribute_not_exists(pk) OR (#v < :v AND #d <> :d)"
        met = yield from calls.write(put(tables.derived, row, new, names, values), returns=True)
        if met.held:
            return Stored(RightRow(text, text, digest, change.content), True)
        before = RightRow.read(met.item)
        if before is not None and versions.from_text(before.version) >= change.version:
            return Stored(before, False)
        if before is not None and before.digest == digest:
            key = partition(join.name, change.foreign_key), RIGHT_ROW
            again = {"version": {"S": text}} | ({EXPIRY: {"N": str(expires)}} if change.content is None else {})
            alike = "#v < :v AND #d = :d", names, values
            met = yield from calls.write(updated(tables.derived, key, tuple(again), again, *alike))
            if met.held:
                return Stored(before, True)
        yield calls.pause(tries)
    raise _MOVING


def repaired_right(
    calls: JoinCalls, join: JoinView, change: RightChange, stored: RightRow | None
) -> Steps[RightRow | None]:
    """A right item stored anew under a revision of its version, or of the change's if that is greater; as it is stored
    now, None if it is another by now. No change finds its content alike: each is brought into the rows by itself."""
    tables = calls.tables
    version = max(change.version, versions.from_text(stored.version) if stored is not None else 0)
    text = versions.to_text(version, tables.revision())
    expires = int(tables.now()) + tables.days * 86_400
    row = right_row(join.name, change.keys.raw, change.foreign_key, text, change.content, expires)
    row = {**row, "digest": {"S": f"repaired {text}"}}
    as_read: tuple[Any, ...] = ("attribute_not_exists(pk)", {}, {})
    if stored is not None:
        as_read = ("#v = :read", {"#v": "version"}, {":read": {"S": stored.version}})
    met = yield from calls.write(put(tables.derived, row, *as_read))
    return RightRow(text, text, row["digest"]["S"], change.content) if met.held else None
