"""Every order of the steps of live writes and of builders of a group's new incarnation, as a plain model.

A group's row or a counted member disagrees with the ledger. A builder names a new incarnation in the group's row.
From then on a write adds to both, and marks its ledger row. The builder counts every ledger row without the mark into
the new incarnation, switches the group over to it in one write, and removes the old members. Readers see the old
figures, as the stream moves them on, or the right ones. In the end they are right, and nothing else is left.
Each guard of the protocol is left out once, so that the enumeration is known to find what it is there to find.
tests/scheduler/test_incarnations.py plays the same with the real code.
"""

from dataclasses import dataclass, fields, replace

import pytest

from tests.unit.every_order import END, explored

ITEMS = ("a", "b")


@dataclass(frozen=True)
class Entry:
    """A ledger row: `revision` is another at each write, `mark` the newest incarnation that counts its member."""

    version: int
    revision: int
    member: str | None
    mark: int = 0


@dataclass(frozen=True)
class Group:
    """Its row: how many items, and which incarnation, it shows; what is `built` as (incarnation, items); what is to be
    `dropped`."""

    revision: int
    items: int
    shown: int = 0
    built: tuple[int, int] | None = None
    dropped: int | None = None


@dataclass(frozen=True)
class State:
    """`members`: how many items count for a member, by incarnation and member. `clock` makes revisions."""

    ledger: tuple[Entry | None, ...] = (None, None)
    group: Group | None = None
    members: frozenset = frozenset()
    clock: int = 0

    def truth(self):
        """The members that the ledger counts."""
        return [each.member for each in self.ledger if each and each.member]

    def counts(self):
        return dict(self.members)


@dataclass(frozen=True)
class Guards:
    """What writers and builders do."""

    adds_to_both: bool = True
    subtracts_only_what_is_marked: bool = True
    keeps_marks: bool = True
    names_the_group: bool = True
    names_the_ledger_row: bool = True
    passes_over_marked: bool = True
    looks_again: bool = True
    keeps_the_row_while_building: bool = True
    keeps_the_row_while_dropping: bool = True
    drops_on_condition: bool = True
    switches_on_condition: bool = True
    drops_before_it_builds: bool = True


class Torn(Exception):
    """The shown figures would be less than nothing."""


def moved(items, counts, incarnation, removed, added):
    """The items and counts of one incarnation after a member went and another came."""
    after = dict(counts)
    for member, by in ((removed, -1), (added, 1)):
        if member is not None:
            items += by
            after[incarnation, member] = after.get((incarnation, member), 0) + by
    if items < 0 or any(count < 0 for count in after.values()):
        raise Torn
    return items, {key: count for key, count in after.items() if count}


def written(state, guards, item, group, counts, entry, member, version):
    """The state behind a write that decided by what it read; None if a condition of its transaction does not hold."""
    at, old = ITEMS.index(item), entry.member if entry else None
    if state.ledger[at] != entry and guards.names_the_ledger_row:
        return None
    same_members = all(state.counts().get(k) == counts.get(k) for k in {*counts} | {*state.counts()})
    if guards.names_the_group and (state.group != group or not same_members):
        return None
    row = group or Group(0, 0)
    mark, known = entry.mark if entry else 0, {row.shown, row.built[0] if row.built else row.shown}
    removed, items, built = old if mark in known else None, row.items, row.built
    try:
        items, counts = moved(items, counts, row.shown, removed, member)
    except Torn:
        if not built:
            return None
    if built and guards.adds_to_both:
        gone = old if mark == built[0] or not guards.subtracts_only_what_is_marked else None
        try:
            number, counts = moved(built[1], counts, built[0], gone, member)
        except Torn:
            return None
        built = built[0], number
    after = Group(state.clock + 1, items, row.shown, built, row.dropped)
    kept = (built and guards.keeps_the_row_while_building) or (
        row.dropped is not None and guards.keeps_the_row_while_dropping
    )
    entry = Entry(version, state.clock + 1, member, built[0] if built else row.shown)
    ledger = (*state.ledger[:at], entry, *state.ledger[at + 1 :])
    return State(ledger, after if items or kept else None, frozenset(counts.items()), state.clock + 1)


def live(item, version, member, guards=Guards()):
    """A change: its ledger row, the group, its members, and one transaction. One that leaves the member as it is writes
    its ledger row alone. A member of None: the item leaves."""
    at = ITEMS.index(item)

    def step(state, pc, memory):
        if pc == 0:
            entry = state.ledger[at]
            return state, END if entry and entry.version >= version else (1, (entry,))
        entry = memory[0]
        if (entry.member if entry else None) == member:
            if state.ledger[at] != entry:
                return state, (0, ())
            mark = entry.mark if entry and guards.keeps_marks else 0
            row = Entry(version, state.clock + 1, member, mark)
            ledger = (*state.ledger[:at], row, *state.ledger[at + 1 :])
            return replace(state, ledger=ledger, clock=state.clock + 1), END
        if pc == 1:
            return state, (2, (entry, state.group))
        if pc == 2:
            return state, (3, (*memory, state.members))
        after = written(state, guards, item, memory[1], dict(memory[2]), entry, member, version)
        return (after, END) if after else (state, (0, ()))

    return step


def builder(who, guards=Guards()):
    """The group, the new incarnation's name, each ledger row in turn, the switch, what is dropped."""

    def step(state, pc, memory):
        if pc == 0:
            row = state.group
            if row is None and not state.truth() and not state.members:
                return state, END
            if row and row.dropped is not None and guards.drops_before_it_builds:
                return state, (20, (row.dropped,))
            if row and row.built:
                return state, (2, (row.built[0], 0))
            return state, (1, (row,))
        if pc == 1:
            if state.group != memory[0]:
                return state, (0, ())
            row, id = memory[0] or Group(0, len(state.truth())), who * 100 + state.clock + 1
            row = replace(row, revision=state.clock + 1, built=(id, 0))
            return replace(state, group=row, clock=state.clock + 1), (2, (id, 0))
        return counting(state, pc, memory) if pc < 10 else ending(state, pc, memory)

    def counting(state, pc, memory):
        id, at = memory[:2]
        if at == len(ITEMS):
            return state, (10, (id,))
        if pc == 2:
            entry = state.ledger[at]
            due = entry and entry.member and (entry.mark != id or not guards.passes_over_marked)
            return state, (3, (id, at, entry)) if due else (2, (id, at + 1))
        if pc == 3:
            row = state.group
            gone = row is None or row.built is None or row.built[0] != id
            return state, END if gone else (4, (*memory, row))
        if pc == 4:
            return state, (5, (*memory, state.members))
        _, _, entry, row, members = memory
        if not guards.passes_over_marked:
            entry = replace(entry, mark=0) if state.ledger[at] == entry else entry
            state = replace(state, ledger=(*state.ledger[:at], entry, *state.ledger[at + 1 :]))
        after = written(state, guards, ITEMS[at], row, dict(members), entry, entry.member, entry.version)
        again = (2, (id, at)) if guards.looks_again else (2, (id, at + 1))
        return (after, (2, (id, at + 1))) if after else (state, again)

    def ending(state, pc, memory):
        if pc == 10:
            row = state.group
            gone = row is None or row.built is None or row.built[0] != memory[0]
            return state, END if gone else (11, (memory[0], row))
        if pc == 11:
            id, row = memory
            if state.group != row and guards.switches_on_condition:
                return state, (10, (id,))
            row = Group(state.clock + 1, row.built[1], id, None, row.shown)
            return replace(state, group=row, clock=state.clock + 1), (20, (row.dropped,))
        return dropping(state, pc, memory)

    def dropping(state, pc, memory):
        """One member a step: first all that there are, then each, then the row's end of it."""
        old = memory[0]
        if pc == 20:
            left = sorted(name for (incarnation, name), _ in state.members if incarnation == old)
            return state, (21, (old, left[0], state.group)) if left else (22, (old, state.group))
        if pc == 21:
            row = state.group
            if guards.drops_on_condition and (row is None or row.dropped != old):
                return state, END
            kept = {key: count for key, count in state.members if key != (old, memory[1])}
            return replace(state, members=frozenset(kept.items())), (20, (old,))
        row = memory[1]
        if row is None or row.dropped != old:
            return state, END
        if state.group != row:
            return state, (20, (old,))
        after = replace(row, revision=state.clock + 1, dropped=None) if row.items else None
        return replace(state, group=after, clock=state.clock + 1), END

    return step


def begun(*members, items=None, lost=(), more=()):
    """A group of items with these members, whose row or members are wrong."""
    ledger = tuple(Entry(1, 0, member) if member else None for member in (*members, None, None)[:2])
    counts = {}
    for member in members:
        if member:
            counts[0, member] = counts.get((0, member), 0) + 1
    counts = {key: count for key, count in counts.items() if key[1] not in lost} | {(0, each): 2 for each in more}
    number = sum(map(bool, members)) if items is None else items
    return State(ledger, Group(0, number) if number else None, frozenset(counts.items()))


def wrong_endings(found):
    wrong = []
    for state in found.endings:
        truth, group, counts = state.truth(), state.group, state.counts()
        shown = group.shown if group else None
        right = {(shown, each): truth.count(each) for each in truth}
        items = group.items if group else 0
        done = group is None or (group.built is None and group.dropped is None)
        if items != len(truth) or counts != right or not done or (group is not None) != bool(truth):
            wrong.append(state)
    return wrong


def torn_views(found, damage):
    """States in which a reader sees neither the old figures, moved on, nor the right ones."""
    shown = ((state.group.items if state.group else 0, len(state.truth()), state) for state in found.met)
    return [state for items, truth, state in shown if items - truth not in (damage, 0)]


EDIT, LEAVE, TOUCH, COME = ("a", 2, "y"), ("a", 2, None), ("a", 2, "x"), ("b", 2, "y")
CASES = {
    "a count too many, beside an edit": (begun("x", items=2), [EDIT], 1),
    "a count too many, beside one that comes": (begun("x", items=2), [COME], 1),
    "a count too many, beside one that leaves": (begun("x", "y", items=3), [LEAVE], 1),
    "a count too many, beside what changes nothing": (begun("x", items=2), [TOUCH], 1),
    "a count too few, beside one that comes": (begun("x", "y", items=1), [("b", 2, "x")], -1),
    "a lost member, beside one that comes": (begun("x", lost=("x",)), [COME], 0),
    "a lost member, beside what changes nothing": (begun("x", "y", lost=("x",)), [TOUCH], 0),
    "a member of nobody, beside an edit": (begun("x", more=("z",)), [EDIT], 0),
    "a member of nobody, and the last item leaves": (begun("x", more=("z",)), [LEAVE], 0),
    "the last item leaves and comes again": (begun("x", more=("z",)), [LEAVE, ("a", 3, "z")], 0),
    "two that come": (begun(None, None, items=1), [("a", 2, "x"), COME], 1),
}


CATCHING = (
    "a count too many, beside what changes nothing",
    "two that come",
    "a member of nobody, and the last item leaves",
)
"""Cases in which each guard is missed soon."""


@pytest.mark.parametrize("case", CASES)
def test_in_every_order_a_group_ends_right_and_shows_whole_figures(case):
    begin, changes, damage = CASES[case]
    found = explored([*(live(*each) for each in changes), builder(1)], begin)
    assert found.endings
    assert wrong_endings(found) == []
    assert torn_views(found, damage) == []


@pytest.mark.sampled(4)
@pytest.mark.parametrize("case", CASES)
def test_two_builders_at_once_end_the_same(case):
    begin, changes, damage = CASES[case]
    found = explored([live(*changes[-1]), builder(1), builder(2)], begin, crashes=0)
    assert wrong_endings(found) == []
    assert torn_views(found, damage) == []


@pytest.mark.sampled(3)
@pytest.mark.parametrize("case", CASES)
def test_what_a_builder_that_dies_leaves_is_ended_by_the_next(case):
    begin, changes, damage = CASES[case]
    found = explored([live(*changes[-1]), builder(1), builder(2)], begin, crashes=1, mortal=(1, 2))
    assert torn_views(found, damage) == []
    for state in found.endings:
        after = explored([builder(3)], state, crashes=0)
        assert wrong_endings(after) == []
        assert torn_views(after, damage) == []


@pytest.mark.parametrize("begin", [begun("x", lost=("x",)), begun("x", "y", items=1), begun("x", "x", lost=("x",))])
def test_a_write_that_the_broken_group_cannot_take_waits_for_the_builder(begin):
    """Less than nothing: such a change fails until something is built, and is then taken by what is built."""
    found = explored([live(*LEAVE), builder(1)], begin)
    assert wrong_endings(found) == []


@pytest.mark.parametrize("guard", [each.name for each in fields(Guards)])
def test_without_each_guard_some_order_ends_wrong(guard):
    guards = replace(Guards(), **{guard: False})

    def is_wrong(begin, changes, damage):
        found = explored([*(live(*each, guards) for each in changes), builder(1, guards)], begin)
        if wrong_endings(found) or torn_views(found, damage):
            return True
        return bool(
            wrong_endings(explored([live(*changes[-1], guards), builder(1, guards), builder(2, guards)], begin))
        )

    assert any(is_wrong(*CASES[case]) for case in CATCHING)
