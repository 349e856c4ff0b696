"""Every order of the steps of reconciles and deliveries between two regions whose whole items the last writer's win, as
a plain model.

The application writes an item at home; each change is delivered, redelivered late, or lost, and a lost one is
reconciled by its key and record. The other region may hold an edit of its own. In the end both rows are the greatest
state that there was, or are gone if that is a delete. All edits may have one time: then positions alone tell them
apart, and a row does not show its position. Each guard of the protocol is left out once, so that the enumeration is
known to find what it is there to find. tests/scheduler/test_reconcile_regions.py plays the same with the real code.
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import pytest

PUT, DELETE = "put", "delete"
AWAY = -1
"""The edit that the other region's application made."""


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
    """`written`: how many changes the application has made at home."""

    home: Side = Side()
    away: Side = Side()
    written: int = 0


@dataclass(frozen=True)
class Guards:
    """What a reconcile does."""

    condition: bool = True
    looks_anew: bool = True
    home_last: bool = True
    floor: bool = True
    honours_deletes: bool = True
    takes_back: bool = True


END = (-1, ())


def edit_of(history, at):
    kind, time = history[at]
    if kind == PUT:
        return Write(time, 2 * at + 2, False, at)
    return edit_of(history, at - 1)._replace(dead=True)


def application(history):
    """One step a change. Its row does not say where it stands."""

    def step(state, at, _):
        write = edit_of(history, at)
        row = None if write.dead else write._replace(certain=False)
        after = replace(state, written=at + 1, home=replace(state.home, row=row))
        return after, (at + 1, ()) if at + 1 < len(history) else END

    return step


def merged(side, write, seen, again, guards=Guards()):
    """A state into a region on condition that it is as seen: the region after it, and where the program goes on: at the
    next step (to take back), behind that, or `again`."""
    if not write.outranks(seen.greatest) and not places(write, seen.greatest):
        return side, "take back" if seen.row and seen.tombstone else "done"
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


def without_dead(side):
    dead = side.tombstone
    return replace(side, row=None) if side.row and dead and dead.outranks(side.row) else side


def delivery(history, at, looks=True):
    """A change as the stream carries it. Without `looks`, its put takes effect late and nobody looks after it."""
    write = edit_of(history, at)
    first = "home" if write.dead else "away"

    def step(state, pc, seen):
        if state.written <= at:
            return None
        where = first if pc < 3 else "away"
        side = getattr(state, where)
        if pc in (0, 3):
            return state, (pc + 1, (side,))
        if pc in (1, 4):
            after, then = merged(side, write, seen[0], "again")
            if then == "again":
                return state, (pc - 1, ())
            return replace(state, **{where: after}), (pc + 1, ()) if looks and then != "done" else following(pc + 1)
        return replace(state, **{where: without_dead(side)}), following(pc)

    def following(pc):
        return (3, ()) if pc == 2 and write.dead else END

    return step


def reconcile(history, changes, after, guards=Guards()):
    """The other region, then home, then what is greatest into both, each as it was seen; from the beginning if one has
    moved. It stands for these changes, whose records say what they wrote; `after` so many were made."""
    floor = max((2 * at + 2 for at in changes), default=0) if guards.floor else 0

    def greatest(away, home):
        here = home.row
        told = []
        for at in changes:
            write = edit_of(history, at)
            gone = here is None and guards.honours_deletes
            told.append(write._replace(dead=True) if gone else write)
        if here is not None and not here.certain:
            known = [each for each in told if (each.time, each.edit) == (here.time, here.edit)]
            before = [each.position for each in (away.row, away.tombstone) if each and each.time == here.time]
            here = known[0] if known else here._replace(position=max([floor, *before]) + 1)
        known = [each for each in (*told, here, home.tombstone, away.row, away.tombstone) if each is not None]
        return max(known, key=lambda each: each.order, default=None)

    order = ("away", "home") if guards.home_last else ("home", "away")

    def step(state, pc, memory):
        if state.written < after:
            return None
        if pc < 2:
            return state, (pc + 1, (*memory, getattr(state, order[pc])))
        if pc == 2:
            seen = dict(zip(order, memory, strict=True))
            write = greatest(seen["away"], seen["home"])
            return state, (3, (seen["home"], seen["away"], write)) if write else END
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


def endings(programs, begin, crashes=1):
    """All states in which every program has ended. Each but the application may crash anywhere, so often in all, and
    begins anew."""
    found, seen = set(), set()
    stack = [(begin, ((0, ()),) * len(programs), crashes)]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        state, places, left = node
        if all(place == END for place in places):
            found.add(state)
        for i, place in enumerate(places):
            stepped = programs[i](state, *place) if place != END else None
            if stepped is None:
                continue
            after, moved = stepped
            stack.append((after, (*places[:i], moved, *places[i + 1 :]), left))
            if left and place[0] and i:
                stack.append((state, (*places[:i], (0, ()), *places[i + 1 :]), left - 1))
    return found


def wrong(case, guards=Guards(), crashes=1):
    """The endings that are not right. The programs of a case: `d0` delivers the first change, `r1` reconciles the
    second, `r01` the first two, `m0` the first once a second was made, `n0` once all were; `a5` is an edit of the other
    region at time 5, which its function carries."""
    history, named = CASES[case]
    programs, begin, states = [application(history)], State(), []
    for each in named.split():
        kind, number = each[0], each[1:]
        if kind == "a":
            write = Write(int(number), 1, False, AWAY)
            begin, states = replace(begin, away=Side(write)), [write]
            programs.append(carried(write))
        elif kind == "d":
            programs.append(delivery(history, int(number)))
        else:
            changes = [int(at) for at in number]
            after = len(history) if kind == "n" else max(changes) + 1 + (kind == "m")
            programs.append(reconcile(history, changes, after, guards))
    right = max([*states, *(edit_of(history, at) for at in range(len(history)))], key=lambda each: each.order)
    found = endings(programs, begin, crashes)
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
}


@pytest.mark.parametrize("case", CASES)
def test_in_every_order_both_regions_end_with_the_greatest_state(case):
    assert wrong(case) == []


@pytest.mark.parametrize("guard", [each.name for each in fields(Guards)])
def test_without_each_guard_some_order_ends_wrong(guard):
    guards = replace(Guards(), **{guard: False})
    assert any(wrong(case, guards) for case in CASES)
