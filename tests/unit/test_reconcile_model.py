"""Every order of the steps of reconciles, sweeps, deliveries and late writes at one row of a mirror, as a plain model.

The application writes an item; each change is delivered, redelivered, or lost, and a lost one is reconciled by its key.
In the end the row is as the item is, or, where TTL took the item from a mirror that keeps such rows, as it was last.
Each guard of the protocol is left out once, so that the enumeration is known to find what it is there to find.
tests/scheduler/test_reconcile.py plays the same with the real code.
"""

from dataclasses import dataclass, fields, replace

import pytest

from tests.unit.every_order import END, explored

PUT, DELETE, TTL = "put", "delete", "ttl"
PLAIN, RETIRED, REVISED = 0, 1, 2
"""How texts of one version sort: as a change writes it, the tombstone of a reconcile, a row that was reconciled."""


@dataclass(frozen=True)
class Row:
    """`content`: the version of the image that it shows; `order` as its version's text sorts."""

    content: int
    order: tuple[int, int, int]
    kept: bool = False


@dataclass(frozen=True)
class State:
    """`written`: how many changes the application has made; `alive`: the version of the item, 0 if there is none."""

    written: int = 0
    alive: int = 0
    row: Row | None = None
    tombstone: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True)
class Guards:
    """What a reconcile does."""

    condition: bool = True
    revision: bool = True
    at_least: bool = True
    tombstone: bool = True
    looks_again: bool = True
    honours_marks: bool = True


def entombed(state, order):
    return replace(state, tombstone=max(state.tombstone, order))


def without(state, tombstone):
    """The row is removed if it is older."""
    return replace(state, row=None) if state.row and state.row.order < tombstone else state


def application(history):
    """One step a change."""

    def step(state, at, _):
        kind, version = history[at]
        alive = version if kind == PUT else 0
        after = replace(state, written=at + 1, alive=alive)
        return after, (at + 1, ()) if at + 1 < len(history) else END

    return step


def delivery(history, at, looks=True):
    """A change as the branch writes it. Without `looks`: a put that takes effect after its client gave it up."""
    kind, version = history[at]

    def step(state, pc, seen):
        if state.written <= at:
            return None
        if kind == DELETE:
            order = version, PLAIN, 0
            return (entombed(state, order), (1, ())) if pc == 0 else (without(state, order), END)
        order = version, PLAIN, 0
        if pc == 0:
            row = Row(version, order) if kind == PUT else Row(history[at - 1][1], order, kept=True)
            older = state.row is None or state.row.order < order
            return (replace(state, row=row) if older else state), (1, ()) if looks else END
        if pc == 1:
            return state, (2, state.tombstone) if state.tombstone > order else END
        return without(state, seen), END

    return step


def reconcile(who, after, version, kind=PUT, guards=Guards(), keeps=False):
    """The tombstone, the row, the item; then what differs, on condition of the row as read; until nothing does.
    `after`: it may begin once so many changes were made. `version` and `kind` are those of the change that it stands
    for; version 0 is a sweep's, which takes a row for dead that has no mark. `keeps`: rows outlive what TTL takes."""
    version, expired = version if guards.at_least else 0, kind == TTL

    def decided(state, tombstone, row):
        """None if all is right; otherwise the row to put (none: to remove), and the row's version."""
        floor = version - expired, RETIRED, 0
        if state.alive:
            fine = row and row.content == state.alive and row.order[0] >= version and row.order > tombstone
            return None if fine else Row(state.alive, (max(row.order[0] if row else 0, version, tombstone[0]), 0, 0))
        if row is None:
            return None if not version or tombstone >= floor or not guards.tombstone else "entomb"
        deleted = kind == DELETE and row.order[0] < version
        if not keeps or row.order < tombstone or deleted:
            return "remove"
        if expired and version >= row.order[0] and not row.kept:
            return replace(row, order=(version, 0, 0), kept=True)
        if guards.honours_marks and (row.kept or version):
            return None if row.order[0] >= version else replace(row, order=(version, 0, 0))
        return "remove"

    def step(state, pc, memory):
        if state.written < after:
            return None
        if pc == 0:
            return state, (1, (state.tombstone,))
        if pc == 1:
            return state, (2, (*memory, state.row))
        if pc == 2:
            return state, (3, (*memory, decided(state, *memory)))
        return write(state, pc, memory)

    def write(state, pc, memory):
        _, row, due = memory[:3]
        again = (0, ()) if guards.looks_again else END
        if due is None:
            return state, END
        if due == "entomb":
            return entombed(state, (version - expired, RETIRED, 0)), again
        if pc == 3:
            if guards.condition and state.row != row:
                return state, again
            base = row if due == "remove" else due
            kind = REVISED if guards.revision else PLAIN
            order = base.order[0], kind, revision(state, who, base) if guards.revision else 0
            return replace(state, row=replace(base, order=order)), (4, (*memory, order))
        order = memory[3]
        if due == "remove":
            if pc == 4:
                return entombed(state, (max(order[0], version), RETIRED, 0)), (5, memory)
            same = state.row and (state.row.order == order or not guards.condition)
            return (replace(state, row=None) if same else state), again
        if pc == 4:
            return state, (5, (*memory, state.tombstone)) if state.tombstone > order else again
        return without(state, memory[4]), again

    return step


def revision(state, who, base):
    """Another than that of the row which it replaces."""
    return who * 2 + (state.row is not None and state.row.order[2] == who * 2)


def endings(programs, begin=State(), crashes=1, mortal=()):
    """All states in which every program has ended. The application does not crash."""
    return explored(programs, begin, crashes, lasting={0}, mortal=mortal).endings


def right(history):
    """The content of the row; 0 if there is none."""
    kind, version = history[-1]
    return version if kind == PUT else history[-2][1] if kind == TTL else 0


def wrong(case, guards=Guards(), crashes=1):
    """The endings that are not right. The programs of a case: `d0` delivers the first change, `l0` makes its put take
    effect late, `r1` reconciles the second, `n0` the first once all changes were made, `s2` is a sweep that begins once
    two changes were made."""
    history, named = CASES[case]
    programs = [application(history)]
    for who, each in enumerate(named.split(), 1):
        kind, at = each[0], int(each[1:])
        if kind in "dl":
            programs.append(delivery(history, at, kind == "d"))
        else:
            what, version = history[at] if kind in "rn" else (PUT, 0)
            after = len(history) if kind == "n" else at + (kind == "r")
            keeps = any(kind == TTL for kind, _ in history)
            programs.append(reconcile(who, after, version, what, guards, keeps))
    shown, found = right(history), endings(programs, crashes=crashes)
    return [each for each in found if (each.row.content if each.row else 0) != shown]


NEXT = 100
"""The first version of the next generation."""

CASES = {
    "a put was lost": ([(PUT, 1), (PUT, 2)], "d0 r1 r1"),
    "a put was lost and is delivered after all": ([(PUT, 1), (PUT, 2)], "d0 d1 r1"),
    "an older put takes effect late": ([(PUT, 1), (PUT, 2)], "l0 r1 r1"),
    "a put takes effect late": ([(PUT, 1), (PUT, 2)], "d0 l1 r1 r1"),
    "nobody knows of the newer put": ([(PUT, 1), (PUT, 2)], "r0 n0"),
    "nobody knows of the newer put, and the older is late": ([(PUT, 1), (PUT, 2)], "l0 n0"),
    "a delete was lost": ([(PUT, 1), (DELETE, 2)], "d0 r1 r1"),
    "a delete was lost and is delivered after all": ([(PUT, 1), (DELETE, 2)], "d0 d1 r1"),
    "a put and its delete were lost": ([(PUT, 1), (DELETE, 2)], "r0 r1"),
    "the put comes again beside its lost delete": ([(PUT, 1), (DELETE, 2)], "d0 d0 r1"),
    "a put of an item that is gone": ([(PUT, 1), (DELETE, 2)], "d0 d1 r0"),
    "the item was made again": ([(PUT, 1), (DELETE, 2), (PUT, 3)], "d0 r1 d2"),
    "the item was made again, and that was lost": ([(PUT, 1), (DELETE, 2), (PUT, 3)], "d0 r1 r2"),
    "an edit between two of the same was lost": ([(PUT, 1), (PUT, 2), (PUT, 3)], "d0 d1 r2"),
    "a sweep beside a lost delete": ([(PUT, 1), (DELETE, 2)], "d0 r1 s0"),
    "a sweep beside a lost put": ([(PUT, 1), (PUT, 2)], "d0 r1 s0"),
    "another generation": ([(PUT, 1), (PUT, NEXT)], "d0 d1 r0"),
    "another generation, which was lost": ([(PUT, 1), (PUT, NEXT)], "d0 r0 r1"),
    "a delete of another generation": ([(PUT, 1), (DELETE, NEXT)], "d0 r0 r1"),
}
KEPT = {
    "TTL took the item": ([(PUT, 1), (TTL, 2)], "d0 d1 r0"),
    "TTL took the item, beside a sweep": ([(PUT, 1), (TTL, 2)], "d0 d1 s0"),
    "the record of TTL came twice": ([(PUT, 1), (TTL, 2)], "d0 d1 d1 s2"),
    "the put was lost, the record of TTL was not": ([(PUT, 1), (TTL, 2)], "r0 d1"),
    "an application's delete after TTL": ([(PUT, 1), (TTL, 2), (PUT, 3), (DELETE, 4)], "d1 d2 d3"),
    "and that was lost": ([(PUT, 1), (TTL, 2), (PUT, 3), (DELETE, 4)], "d1 d2 r3"),
    "a put of an item that TTL took": ([(PUT, 1), (PUT, 2), (TTL, 3)], "d0 d2 n1"),
    "an older delete of an item that TTL took": ([(PUT, 1), (DELETE, 2), (PUT, 3), (TTL, 4)], "d2 d3 n1"),
    "made again after TTL": ([(PUT, 1), (TTL, 2), (PUT, 3)], "d1 r2"),
}
CASES |= KEPT


@pytest.mark.parametrize("case", CASES)
def test_in_every_order_the_row_ends_as_the_item_determines(case):
    assert wrong(case) == []


def test_a_lost_record_of_ttl_keeps_the_row_that_was_there():
    """Where the put came first: what a reconcile never saw, it cannot keep."""
    history = [(PUT, 1), (TTL, 2)]

    def expires(state, *_):
        return application(history)(state, 1, ())

    programs = [expires, *(reconcile(who, 2, 2, TTL, keeps=True) for who in (1, 2)), reconcile(3, 1, 1, keeps=True)]
    for state in endings(programs, State(1, 1, Row(1, (1, PLAIN, 0)))):
        assert state.row is None or (state.row.content, state.row.kept) == (1, True)


def wrong_beside_a_dying_sweep(guards=Guards()):
    """A row whose delete was lost: one sweep sees no item, and may die; the other sees it made again."""
    history = [(PUT, 1), (DELETE, 2), (PUT, 3)]

    def writes(state, at, _):
        return application(history)(state, at + 1, ())[0], (1, ()) if at == 0 else END

    programs = [writes, reconcile(1, 2, 0, guards=guards), reconcile(2, 3, 0, guards=guards)]
    found = endings(programs, State(1, 1, Row(1, (1, PLAIN, 0))), mortal={1})
    return [each for each in found if each.row is None or each.row.content != 3]


def test_a_sweep_that_dies_takes_no_row_that_another_one_has_kept():
    assert wrong_beside_a_dying_sweep() == []


@pytest.mark.parametrize("guard", [each.name for each in fields(Guards)])
def test_without_each_guard_some_order_ends_wrong(guard):
    guards = replace(Guards(), **{guard: False})
    assert wrong_beside_a_dying_sweep(guards) or any(wrong(case, guards) for case in CASES)
