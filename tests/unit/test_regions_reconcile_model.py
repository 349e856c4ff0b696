"""Every order of the steps of reconciles and deliveries between two regions whose whole items the last writer's win, as
a plain model.

The application writes an item at home; each change is delivered, redelivered late, or lost, and a lost one is
reconciled by its key and record. The other region may hold an edit or a delete of its own, or edit its item once more.
In the end both rows are the greatest state that there was, or are gone if that is a delete. All edits may have one
time: then positions alone tell them apart, and a row does not show its position. Or the stream's second is the time:
then a row of the application does not show that either, until its record does. Each guard of the protocol is left out
once, so that the enumeration is known to find what it is there to find. tests/scheduler/test_reconcile_regions.py plays
the same with the real code.
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import pytest

from tests.unit.every_order import END, explored

PUT, DELETE = "put", "delete"
AWAY, AWAY_AGAIN = -1, -2
"""The edits that the other region's application made."""

UNTIMED = 0
"""The time of a row that only its record tells."""


class Write(NamedTuple):
    """A state of the item: its time, its position at home (twice, so that there is room right behind it), whether it is
    a delete, which edit it is or deletes, and whether its position is known. `edit` falls where positions tie: a digest
    may decide for the older one."""

    time: int
    position: int
    dead: bool
    edit: int
    certain: bool = True

    def outranks(self, other):
        if other is None:
            return True
        if not (self.certain and other.certain) and (self.time, self.edit) == (other.time, other.edit):
            return self.dead and not other.dead
        return self.order > other.order

    @property
    def order(self):
        return self.time, self.position, -self.edit, self.dead


@dataclass(frozen=True)
class Side:
    """A region: the row, and the tombstone."""

    row: Write | None = None
    tombstone: Write | None = None

    @property
    def greatest(self):
        if self.tombstone is not None and self.tombstone.outranks(self.row):
            return self.tombstone
        return self.row


@dataclass(frozen=True)
class State:
    """`written`: how many changes the application has made at home, and `old` what each replaced; `replaced`: what the
    other region's application did."""

    home: Side = Side()
    away: Side = Side()
    written: int = 0
    old: tuple[Write | None, ...] = ()
    replaced: Write | None = None


@dataclass(frozen=True)
class Guards:
    """What a reconcile does."""

    condition: bool = True
    looks_anew: bool = True
    home_last: bool = True
    floor: bool = True
    honours_deletes: bool = True
    takes_back: bool = True
    brings_back: bool = True
    gives_time: bool = True


def edit_of(history, at):
    kind, time = history[at]
    if kind == PUT:
        return Write(time, 2 * at + 2, False, at)
    return edit_of(history, at - 1)._replace(dead=True)


def application(history, timed=True):
    """One step a change. Its row does not say where it stands, nor when it was made if it is not `timed`."""

    def step(state, at, _):
        write = edit_of(history, at)
        row = None if write.dead else write._replace(certain=False, time=write.time if timed else UNTIMED)
        old = (*state.old, state.home.row)
        after = replace(state, written=at + 1, old=old, home=replace(state.home, row=row))
        return after, (at + 1, ()) if at + 1 < len(history) else END

    return step


def merged(side, write, seen, again, guards=Guards()):
    """A state into a region on condition that it is as seen: the region after it, and where the program goes on: at the
    next step (to take back), behind that, or `again`."""
    wins = write.outranks(seen.greatest) or places(write, seen.greatest)
    if not wins and not (seen.row and seen.tombstone):
        return side, "done"
    if not wins and not is_unread(seen.row, write):
        return side, "take back"
    if write.dead:
        if guards.condition and side.tombstone != seen.tombstone:
            return side, again
        return replace(side, tombstone=write), "take back"
    if guards.condition and side.row != seen.row:
        return side, again
    return replace(side, row=write), "take back"


def places(write, there):
    """Whether it is the very edit that is there, and tells the position that was not known."""
    same = there is not None and not there.certain and write.certain and not write.dead and not there.dead
    return same and (write.time, write.edit) == (there.time, there.edit)


def is_unread(row, write):
    """Whether it is the very edit that is there, and tells its time."""
    return row is not None and row.time == UNTIMED and row.edit == write.edit and not write.dead


def undone(write, old):
    """What an edit replaced, if that wins."""
    return old if old is not None and old.outranks(write) else None


def without_dead(side):
    """An edit whose time is not known is left to its own record."""
    row, dead = side.row, side.tombstone
    gone = row and dead and dead.outranks(row) and row.time != UNTIMED
    return replace(side, row=None) if gone else side


def delivery(history, at, timed=True):
    """A change as the stream carries it."""
    write = edit_of(history, at)

    def step(state, pc, seen):
        if state.written <= at:
            return None
        old = undone(write, state.old[at])
        first = "home" if write.dead or old or not timed else "away"
        following = (3, ()) if first == "home" and not old and pc < 3 else END
        where = first if pc < 3 else "away"
        side = getattr(state, where)
        if pc in (0, 3):
            return state, (pc + 1, (side,))
        if pc in (1, 4):
            after, then = merged(side, old or write, seen[0], "again")
            if then == "again":
                return state, (pc - 1, ())
            return replace(state, **{where: after}), following if then == "done" else (pc + 1, ())
        return replace(state, **{where: without_dead(side)}), following

    return step


def greatest(history, changes, timed, guards):
    """What a reconcile of these changes decides by what it has seen: what is to be written to both regions, and what to
    this one before, so that its row tells its time."""
    floor = max((2 * at + 2 for at in changes), default=0) if guards.floor else 0

    def told(at, home):
        write, dead = edit_of(history, at), home.tombstone
        later = timed or dead is None or (dead.edit >= 0 and dead.position >= write.position)
        gone = home.row is None and later and guards.honours_deletes
        return write._replace(dead=True) if gone else write

    def row_at_home(row, said, others):
        if row.time == UNTIMED:
            row = row._replace(time=said[-1].time)
        known = [each for each in said if (each.time, each.edit) == (row.time, row.edit)]
        before = [each.position for each in others if each.time == row.time]
        return known[0] if known else row._replace(position=max([floor, *before]) + 1)

    def decide(state, home, away):
        said = [told(at, home) for at in changes]
        others = [each for each in (away.row, away.tombstone) if each is not None]
        known = [*said, *others, *([home.tombstone] if home.tombstone else [])]
        if guards.brings_back:
            old = [undone(write, state.old[at]) for at, write in zip(changes, said, strict=True)]
            known += [each for each in old if each is not None]
        if home.row is not None:
            known.append(home.row if home.row.certain else row_at_home(home.row, said, others))
        write = max(known, key=lambda each: each.order, default=None)
        dies = write is not None and write.dead and guards.gives_time
        return write, said[-1] if dies and said and is_unread(home.row, said[-1]) else None

    return decide


def reconcile(history, changes, after, guards=Guards(), timed=True):
    """The other region, then home, then what is greatest into both, each as it was seen; from the beginning if one has
    moved. It stands for these changes, whose records say what they wrote; `after` so many were made."""
    decide = greatest(history, changes, timed, guards)
    order = ("away", "home") if guards.home_last else ("home", "away")

    def step(state, pc, memory):
        if state.written < after:
            return None
        if pc < 2:
            return state, (pc + 1, (*memory, getattr(state, order[pc])))
        if pc == 2:
            seen = dict(zip(order, memory, strict=True))
            write, first = decide(state, **seen)
            if first is not None:
                return state, (7, (seen["home"], first))
            return state, (3, (seen["home"], seen["away"], write)) if write else END
        if pc == 7:
            side, then = merged(state.home, memory[1], memory[0], "again", guards)
            return replace(state, home=side), (0, ()) if then == "again" else (8, ())
        if pc == 8:
            return replace(state, home=without_dead(state.home)), (0, ())
        where = "home" if pc < 5 else "away"
        side, seen, write = getattr(state, where), memory[pc >= 5], memory[2]
        if pc in (3, 5):
            after_it, then = merged(side, write, seen, "again", guards)
            if then == "again":
                stale = (pc, (state.home, state.away, write))
                return state, (0, ()) if guards.looks_anew else stale
            takes = then == "take back" and guards.takes_back
            return replace(state, **{where: after_it}), (
                pc + 1 if takes else pc + 2,
                memory,
            ) if pc + 2 < 7 or takes else END
        return replace(state, **{where: without_dead(side)}), (5, memory) if pc == 4 else END

    return step


def carried(write):
    """The other region's edit, as its function carries it home."""

    def step(state, pc, seen):
        if pc == 0:
            return state, (1, (state.home,))
        if pc == 1:
            after, then = merged(state.home, write, seen[0], "again")
            return replace(state, home=after), {"again": (0, ()), "done": END}.get(then, (2, ()))
        return replace(state, home=without_dead(state.home)), END

    return step


def edited(write):
    """The other region's item is edited once more; its function carries that home, or undoes it."""

    def step(state, pc, seen):
        if state.replaced is None:
            row = write._replace(certain=False)
            return replace(state, replaced=state.away.row, away=replace(state.away, row=row)), (1, ())
        old = undone(write, state.replaced)
        where = "away" if old else "home"
        side = getattr(state, where)
        if pc < 2:
            return state, (2, (side,))
        if pc == 2:
            after, then = merged(side, old or write, seen[0], "again")
            return replace(state, **{where: after}), {"again": (1, ()), "done": END}.get(then, (3, ()))
        return replace(state, **{where: without_dead(side)}), END

    return step


def wrong(case, guards=Guards(), crashes=1):
    """The endings that are not right. The programs of a case: `d0` delivers the first change, `r1` reconciles the
    second, `r01` the first two, `m0` the first once a second was made, `n0` once all were; `a5` is an edit of the other
    region at time 5, which its function carries, `b5` a delete, `e3` another edit there at time 3. With `s` rows tell
    no time."""
    history, named = CASES[case]
    timed = "s" not in named.split()
    programs, begin, states = [application(history, timed)], State(), []
    for each in named.split():
        kind, number = each[0], each[1:]
        if kind in ("a", "b"):
            write = Write(int(number), 1, kind == "b", AWAY)
            begin = replace(begin, away=Side(tombstone=write) if write.dead else Side(write))
            states.append(write)
            programs.append(carried(write))
        elif kind == "e":
            states.append(Write(int(number), 3, False, AWAY_AGAIN))
            programs.append(edited(states[-1]))
        elif kind == "d":
            programs.append(delivery(history, int(number), timed))
        elif kind != "s":
            changes = [int(at) for at in number]
            after = len(history) if kind == "n" else max(changes) + 1 + (kind == "m")
            programs.append(reconcile(history, changes, after, guards, timed))
    right = max([*states, *(edit_of(history, at) for at in range(len(history)))], key=lambda each: each.order)
    found = explored(programs, begin, crashes, lasting={0}).endings
    return [each for each in found if not (is_right(each.home.row, right) and is_right(each.away.row, right))]


def is_right(row, right):
    return row is None if right.dead else row is not None and row.edit == right.edit and not row.dead


SAME = 1
"""The time of edits that are all made within one."""

CASES = {
    "an edit was lost": ([(PUT, 1), (PUT, 2)], "d0 r1 r1"),
    "an edit of the same time was lost": ([(PUT, SAME), (PUT, SAME)], "d0 r1 r1"),
    "it is delivered after all": ([(PUT, SAME), (PUT, SAME)], "d0 d1 r1"),
    "the earlier edit comes late": ([(PUT, SAME), (PUT, SAME)], "r1 d0"),
    "nobody knows of the newest edit": ([(PUT, SAME), (PUT, SAME)], "r0 n0"),
    "nobody knows of the newest edit, and the one before comes late": (
        [(PUT, SAME), (PUT, SAME), (PUT, SAME)],
        "d0 d1 n1",
    ),
    "nobody knows of the two newest edits": ([(PUT, SAME), (PUT, SAME), (PUT, SAME)], "m0 n0"),
    "a delete was lost": ([(PUT, 1), (DELETE, 1)], "d0 r1 r1"),
    "a delete was lost and is delivered after all": ([(PUT, 1), (DELETE, 1)], "d0 d1 r1"),
    "an edit and its delete were lost": ([(PUT, 1), (DELETE, 1)], "r0 r1"),
    "an edit of an item that is gone": ([(PUT, 1), (DELETE, 1)], "d0 n0"),
    "the edit comes again beside its lost delete": ([(PUT, 1), (DELETE, 1)], "d0 d0 r1"),
    "the item was made again": ([(PUT, 1), (DELETE, 1), (PUT, 3)], "d0 r1 d2"),
    "the item was made again, and that was lost": ([(PUT, 1), (DELETE, 1), (PUT, 3)], "d0 r1 r2"),
    "all of it was lost": ([(PUT, 1), (DELETE, 1), (PUT, 3)], "r012"),
    "the other region's edit is greater": ([(PUT, 1), (PUT, 2)], "a5 r1"),
    "the other region's edit is less": ([(PUT, 6), (PUT, 7)], "a5 d0 r1"),
    "a delete did not see the other region's edit": ([(PUT, 1), (DELETE, 1)], "a5 d0 r1"),
    "a delete saw more than the other region's edit": ([(PUT, 6), (DELETE, 6)], "a5 d0 r1"),
    "the lost edit is undone by what it replaced": ([(PUT, 1)], "a5 e3 r0"),
    "the lost edit is undone and comes after all": ([(PUT, 1)], "a5 e3 d0 r0"),
    "the lost edit is undone, and its item deleted": ([(PUT, 1), (DELETE, 1)], "a5 e3 r0 r1"),
    "the other region's delete is greater": ([(PUT, 1)], "b5 r0 r0"),
    "by the second, an edit was lost": ([(PUT, 1), (PUT, 2)], "s d0 r1"),
    "by the second, the other region's delete is greater": ([(PUT, 1)], "s b5 r0"),
    "by the second, it is greater and the edit comes after all": ([(PUT, 1)], "s b5 d0 r0"),
    "by the second, the other region's delete is less": ([(PUT, 6)], "s b5 r0 r0"),
    "by the second, a delete was lost": ([(PUT, 1), (DELETE, 1)], "s d0 r1"),
}


CATCHING = (
    "an edit of an item that is gone",
    "by the second, the other region's delete is greater",
    "nobody knows of the two newest edits",
    "nobody knows of the newest edit, and the one before comes late",
    "the lost edit is undone by what it replaced",
)
"""Cases in which each guard is missed soon."""

LONG = "the lost edit is undone, and its item deleted"


@pytest.mark.parametrize("case", [pytest.param(each, marks=pytest.mark.slow if each == LONG else ()) for each in CASES])
def test_in_every_order_both_regions_end_with_the_greatest_state(case):
    assert wrong(case) == []


@pytest.mark.parametrize("guard", [each.name for each in fields(Guards)])
def test_without_each_guard_some_order_ends_wrong(guard):
    guards = replace(Guards(), **{guard: False})
    assert any(wrong(case, guards) for case in CATCHING)
