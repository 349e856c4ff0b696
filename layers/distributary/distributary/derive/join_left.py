"""A change of a left item: its row with the right item as read, and then a second look at the right item.

The row is put first, with a subscription; the right item is read again after that. A right item is written first, and
its subscriptions are read after that. So one of the two sees the other. `tests/unit/test_join_model.py` enumerates the
orders, and says which step is there for what.
"""

from collections.abc import Mapping, Sequence

from distributary.consumer import outcome as outcomes
from distributary.consumer.outcome import APPLIED, IGNORED, SUPERSEDED, TIED, Outcome, Status
from distributary.derive.delta import Key, Row
from distributary.derive.join_calls import JoinCalls, Refused, end_of
from distributary.derive.join_fan_out import freshened
from distributary.derive.join_rows import (
    NEVER,
    Action,
    LeftRow,
    RightRow,
    emptied,
    ledger_row,
    ledger_write,
    removed,
    row_of,
    subscribe,
    subscription_of,
    updated,
)
from distributary.derive.join_view import NO_KEY, JoinView, LeftChange, LeftContent, Reach
from distributary.derive.transact_items import put
from distributary.derive.transaction_queue import TRIES
from distributary.dynamodb.steps import Steps, Together
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.stream import version as versions
from distributary.stream.struct import Struct

_MOVING = outcomes.failed(Unavailable("join: the left item's ledger row changed at every try"))


class LeftTask(Struct, frozen=True):
    """The newest change of a left item in a batch; `oldest` is the least version that was folded into it, and `anew`
    whether one of the changes inserts or deletes the item: then the right item is read, whatever the row was.
    `if_present`: none of them would write anything where nothing is known of the item. If one would, the newest leaves
    its version: the older one may come again by itself."""

    id: str
    change: LeftChange
    oldest: int
    anew: bool
    if_present: bool


class Look(Struct, frozen=True):
    """A second look at a right item, for a row that has it as of `held`."""

    task: LeftTask
    foreign_key: str
    held: str
    shown: Key | None


class Plan(Struct, frozen=True):
    """What a task writes; `look` is what is to be looked at when that is written, None if nothing is."""

    actions: Sequence[Action]
    look: Look | None


def left_steps(calls: JoinCalls, join: JoinView, tasks: Sequence[LeftTask]) -> Steps[dict[str, Outcome]]:
    """An outcome for each task, by id. Raises Unavailable if nothing was begun."""
    ends: dict[str, Outcome] = {}
    looks: list[Look] = []
    rows = yield from calls.ledger_rows([task.id for task in tasks])
    left = list(tasks)
    for tries in range(TRIES):
        moved = yield from _written(calls, join, left, rows, ends, looks)
        if not moved:
            break
        rows = moved
        left = [task for task in left if task.id in moved]
        if tries:
            yield calls.pause(tries)
    else:
        ends |= {task.id: _MOVING for task in left}
        looks = [look for look in looks if ends[look.task.id] is not _MOVING]
    ends |= yield from _looked(calls, join, looks)
    return ends


def _written(
    calls: JoinCalls,
    join: JoinView,
    tasks: Sequence[LeftTask],
    rows: Mapping[str, Row],
    ends: dict[str, Outcome],
    looks: list[Look],
) -> Steps[dict[str, Row]]:
    """The ledger rows of those that were overtaken between the read and the write, as they are now."""
    found = {task.id: LeftRow.of(rows.get(task.id, {})) for task in tasks}
    due = [task for task in tasks if not _ended(task, found[task.id], ends, looks)]
    wanted = [_reads(join, task, found[task.id]) for task in due]
    rights = yield from calls.right_rows(join.name, list(dict.fromkeys(filter(None, wanted))))
    plans: list[tuple[LeftTask, Plan]] = []
    for task in due:
        try:
            plans.append((task, planned(calls, join, task, found[task.id], rights)))
        except Rejected as error:
            _end(task, error, found[task.id], ends, looks)
    written = yield Together([calls.transact(plan.actions) for _, plan in plans])
    moved: dict[str, Row] = {}
    for (task, plan), end in zip(plans, written, strict=True):
        if isinstance(end, DistributaryError):
            _end(task, end, found[task.id], ends, looks)
        elif isinstance(end, Refused):
            moved[task.id] = end.row
        else:
            ends[task.id] = APPLIED
            looks += [plan.look] if plan.look is not None else []
    if unknown := [id for id, row in moved.items() if not row]:
        moved |= {id: {} for id in unknown}
        moved |= yield from calls.ledger_rows(unknown)
    return moved


def _end(task: LeftTask, error: DistributaryError, found: LeftRow, ends: dict[str, Outcome], looks: list[Look]) -> None:
    """Of a task that cannot be written. An older change that was folded into it may have been, without a look."""
    ends[task.id] = end_of(error)
    if found.version >= task.oldest and found.foreign_key != NO_KEY:
        looks.append(Look(task, found.foreign_key, found.held, found.shown))


def _ended(task: LeftTask, found: LeftRow, ends: dict[str, Outcome], looks: list[Look]) -> bool:
    """Whether nothing is to be written. What another process wrote and did not look at again is looked at here. A row
    does not say what its left item was: one of the same moment is tied, whatever it was."""
    if found.version >= task.change.version:
        tied = found.version == task.change.version and versions.is_time(found.version)
        ends[task.id] = TIED if tied else SUPERSEDED
        if found.foreign_key != NO_KEY:
            looks.append(Look(task, found.foreign_key, found.held, found.shown))
        return True
    if found.read is None and task.if_present:
        ends[task.id] = IGNORED
        return True
    return False


def _kept(join: JoinView, task: LeftTask, content: LeftContent, found: LeftRow) -> bool:
    """Whether a change leaves the row where it is and with the right item that it has."""
    if task.anew or join.reach is Reach.BOTH or found.place is None:
        return False
    if found.subscription != subscription_of(join, content.foreign_key, task.id):
        return False  # an earlier declaration wrote it
    return (content.foreign_key, join.place(content.item)) == (found.foreign_key, found.place)


def _reads(join: JoinView, task: LeftTask, found: LeftRow) -> str:
    """The foreign key of the right item that a task needs; empty if it needs none."""
    content = task.change.content
    return NO_KEY if content is None or _kept(join, task, content, found) else content.foreign_key


def planned(calls: JoinCalls, join: JoinView, task: LeftTask, found: LeftRow, rights: Mapping[str, RightRow]) -> Plan:
    """What a task writes over the ledger row that was found. Raises Rejected."""
    tables, content = calls.tables, task.change.content
    version = versions.to_text(task.change.version)
    if content is None:
        gone = emptied(task.id, version, int(tables.now()) + tables.days * 86_400)
        taken = [removed(tables.derived, key) for key in (found.shown, found.subscription) if key is not None]
        return Plan([ledger_write(tables.ledger, gone, found.read), *taken], None)
    kept = _kept(join, task, content, found)
    right = rights.get(content.foreign_key)
    held = found.held if kept else right.since if right is not None else NEVER
    beside = right.content if right is not None else None
    shown = found.shown if kept else join.key(content.item, beside)
    row = ledger_row(join, task.id, version, content, held, shown)
    actions = [ledger_write(tables.ledger, row, found.read)]
    if not kept:
        actions += _moved(join, task.id, content, found, shown, tables.derived)
        actions += [put(tables.derived, row_of(join, shown, content, beside, held))] if shown is not None else []
    elif shown is not None and join.left_outputs:
        actions.append(updated(tables.derived, shown, join.left_outputs, join.part(content.item)))
    look = Look(task, content.foreign_key, held, shown) if content.foreign_key != NO_KEY else None
    return Plan(actions, None if kept and task.oldest > found.version else look)


def repaired_left(calls: JoinCalls, join: JoinView, task: LeftTask, found: LeftRow, dead: Sequence[Key]) -> Steps[bool]:
    """A left item's ledger row, row and subscription written anew, without the rows that are `dead`; whether they were:
    False if the ledger row is another by now. Raises Rejected, Unavailable."""
    tables, content, id = calls.tables, task.change.content, task.id
    version = versions.to_text(task.change.version, tables.revision())
    gone = {key for key in (found.shown, found.subscription, *dead) if key is not None}
    if content is None:
        row = emptied(id, version, int(tables.now()) + tables.days * 86_400)
        taken = [removed(tables.derived, key) for key in sorted(gone)]
        return (yield from calls.transact([ledger_write(tables.ledger, row, found.read), *taken])) is None
    rights = yield from calls.right_rows(join.name, [content.foreign_key] if content.foreign_key != NO_KEY else [])
    right = rights.get(content.foreign_key)
    beside, held = (right.content, right.since) if right is not None else (None, NEVER)
    shown, subscription = join.key(content.item, beside), subscription_of(join, content.foreign_key, id)
    actions = [ledger_write(tables.ledger, ledger_row(join, id, version, content, held, shown), found.read)]
    actions += [removed(tables.derived, key) for key in sorted(gone - {shown, subscription})]
    actions += [put(tables.derived, row_of(join, shown, content, beside, held))] if shown is not None else []
    actions += [subscribe(tables.derived, subscription, join.place(content.item))] if subscription is not None else []
    if (yield from calls.transact(actions)) is not None:
        return False
    ends = yield from _looked(
        calls, join, [Look(task, content.foreign_key, held, shown)] if content.foreign_key != NO_KEY else []
    )
    for end in ends.values():
        if end.status is Status.PARKED:
            raise Rejected(end.cause, end.detail)
        raise Unavailable(end.cause, end.detail)
    return True


def _moved(
    join: JoinView, id: str, content: LeftContent, found: LeftRow, shown: Key | None, derived: str
) -> list[Action]:
    """The row and the subscription that were before go, and the subscription that is now comes."""
    before, now, place = found.subscription, subscription_of(join, content.foreign_key, id), join.place(content.item)
    gone = [found.shown] if found.shown not in (None, shown) else []
    gone += [before] if before not in (None, now) else []
    actions = [removed(derived, key) for key in gone if key is not None]
    if now is not None and (now, place) != (before, found.place if place is not None else None):
        actions.append(subscribe(derived, now, place))
    return actions


def _looked(calls: JoinCalls, join: JoinView, looks: Sequence[Look]) -> Steps[dict[str, Outcome]]:
    """The outcomes of those that did not succeed."""
    keys = list(dict.fromkeys(look.foreign_key for look in looks))
    try:
        rights = yield from calls.right_rows(join.name, keys)
    except DistributaryError as error:
        return {look.task.id: end_of(error) for look in looks}
    due = [look for look in looks if (right := rights.get(look.foreign_key)) and right.since > look.held]
    done = yield Together(
        [freshened(calls, join, each.task.id, each.shown, each.foreign_key, rights[each.foreign_key]) for each in due]
    )
    ends = zip(due, done, strict=True)
    return {look.task.id: end_of(end) for look, end in ends if isinstance(end, DistributaryError)}
