"""Every order of a Join's steps, as a plain model; and each of its guards left out, which must end wrong.

`JOIN_MODEL=1` enumerates all histories, for minutes to hours. tests/scheduler plays the same with the real code.
"""

import os

import pytest

from tests.unit.join_model import Rule, explore, foldings, history, zombies_of

FULL = bool(os.environ.get("JOIN_MODEL"))
KINDS = {
    "left": Rule("left"),
    "own": Rule("own"),
    "inner": Rule("inner"),
    "both": Rule("both"),
    "left with a cursor": Rule("left", cursor=True),
    "own with a cursor": Rule("own", cursor=True),
}
SMALL = ("o1=c1/k1 c1=A,B", "o1=c1/k1 c1=A,-", "o1=c1/k1,-/k1 c1=A", "o1=c1/k1,-/- c1=A")
FOLDED = ("o1=c1/k1,c1/k1 c1=A,B", "o1=c1/k1 c1=A,B,A", "o1=c1/k1,c1/k2 c1=A")
LARGE = (
    *FOLDED,
    "o1=c1/k1 c1=A,-,B",
    "o1=c1/k1 c1=A,b,C",
    "o1=c1/k1,c1/k1 c1=A,-",
    "o1=c1/k1,c1/k1,c1/k1 c1=A,B",
    "o1=c1/k1,c2/k1 c1=_,_,A c2=X,Y",
    "o1=c1/k1,c2/k2 c1=A c2=X",
    "o1=c1/k1,c2/k1,c1/k1 c1=A c2=X",
    "o1=c1/k1,c1/k2 c1=A,B",
    "o1=c1/k1,c1/k2,c1/k1 c1=A",
    "o1=c1/k1,-/- c1=A,B",
    "o1=c1/k1,-/-,c1/k1 c1=A",
    "o1=c1/k1,-/k1,c1/k1 c1=A",
    "o1=c1/k1 o2=c1/k2 c1=A,B",
    "o1=c1/k1 o2=c1/k2,c2/k2 c1=A c2=X",
)
GUARDS = [
    ("left", "second look", "o1=c1/k1 c1=A,B"),
    ("left", "equal looks", "o1=c1/k1 c1=A,B"),
    ("left", "superseded looks", "o1=c1/k1,c1/k1 c1=A,B"),
    ("left", "folded edit looks", "o1=c1/k1,c1/k1 c1=A,B"),
    ("left", "ledger as read", "o1=c1/k1 c1=A,B"),
    ("left", "equal goes on", "o1=c1/k1 c1=A,B"),
    ("left", "alike goes on", "o1=c1/k1 c1=A,A"),
    ("left", "fold names since", "o1=c1/k1 c1=A,A"),
    ("left", "alike version kept", "o1=c1/k1 c1=A,B,A"),
    ("left", "subscriptions last", "o1=c1/k1 c1=A,B"),
    ("left", "right version older", "o1=c1/k1 c1=A,B"),
    ("left", "foreign key the same", "o1=c1/k1,c2/k1 c1=_,_,A c2=X"),
    ("left", "row must exist", "o1=c1/k1,-/- c1=A"),
    ("left with a cursor", "cursor of since", "o1=c1/k1 c1=A,B"),
    ("left with a cursor", "page before cursor", "o1=c1/k1 c1=A,B"),
    ("own", "second look", "o1=c1/k1 c1=A,B"),
    ("own", "row must exist", "o1=c1/k1,c2/k1 c1=A c2=X"),
    ("inner", "second look", "o1=c1/k1 c1=A,B"),
    ("inner", "ledger as read", "o1=c1/k1 c1=A,B"),
    ("inner", "ledger holds newer", "o1=c1/k1 c1=A,-"),
    ("inner", "row older too", "o1=c1/k1 c1=A,B,A"),
    ("inner", "ledger's foreign key", "o1=c1/k1,c2/k1 c1=_,_,A c2=X"),
    ("both", "second look", "o1=c1/k1 c1=A,B"),
    ("both", "ledger as read", "o1=c1/k1 c1=A,B"),
    ("both", "ledger holds newer", "o1=c1/k1 c1=A,B"),
    ("both", "ledger's foreign key", "o1=c1/k1,c2/k1 c1=A c2=X"),
]


def wrong(rule, line, zombies=True):
    """The first wrong ending that is found, in whatever way the changes are folded."""
    world = history(line)
    for carried in foldings(world):
        for zombie in [None, *(zombies_of(world) if zombies else [])]:
            if way := explore(world, rule, carried, [zombie] if zombie else []):
                return way
    return []


@pytest.mark.parametrize("line", [*SMALL, *(LARGE if FULL else ())])
@pytest.mark.parametrize("kind", KINDS)
def test_each_order_ends_right(kind, line):
    assert not wrong(KINDS[kind], line)


@pytest.mark.parametrize("line", FOLDED)
@pytest.mark.parametrize("kind", ["left", "own", "inner"])
def test_longer_histories_end_right(kind, line):
    assert not wrong(KINDS[kind], line, zombies=FULL or kind != "inner")


def test_an_edit_folded_with_a_change_that_a_dead_process_wrote_ends_right():
    world = history("o1=c1/k1,c1/k1 c1=A,B")
    assert not explore(world, KINDS["left"], [("c1", (1,)), ("c1", (2,)), ("o1", (1, 2))], [("o1", (1,))])


@pytest.mark.parametrize(("kind", "guard", "line"), GUARDS, ids=lambda each: str(each).replace(" ", "-"))
def test_it_ends_wrong_without(kind, guard, line):
    rule = KINDS[kind]
    assert wrong(Rule(rule.kind, frozenset({guard}), rule.cursor), line)
