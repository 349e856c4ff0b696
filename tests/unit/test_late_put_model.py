"""Which protocols of versioned rows bear a put that takes effect after its client gave it up.

Once a delete has left no trace in the row's place, a write of that row alone finds it as it was before the first put:
whatever condition let the first attempt make the row lets a late one make it again. So nothing that a put, its
redelivery or a delete adds to its own calls helps. Only two protocols do, and neither has the price of the one that is
built. All orders are enumerated: a put whose first attempt takes effect at any time, its redelivery, and a delete.
"""

from dataclasses import dataclass

import pytest

ATTEMPT, REDELIVERY, DELETED = 1, 1, 2
"""The versions of the put, twice, and of the delete."""


@dataclass(frozen=True)
class State:
    """`row`: the version in the row's place, 0 if it is empty; `hidden`: it says that there is no row."""

    row: int = 0
    hidden: bool = False
    tombstone: int = 0
    attempt: str = ""

    @property
    def shown(self):
        """The version that a reader sees."""
        return 0 if self.hidden else self.row


def put(version, attempt=""):
    """PutItem on condition that the place is empty or older."""

    def step(state, seen):
        return (State(version, False, state.tombstone, attempt) if state.row < version else state), seen

    return step


def look(state, seen):
    return state, state.tombstone


def take_back(version):
    def step(state, seen):
        outranked = seen > version and 0 < state.row < seen
        return (State(0, False, state.tombstone) if outranked else state), seen

    return step


def looked_before(version):
    """The put of a redelivery that has read the tombstone first."""
    return lambda state, seen: put(version)(state, seen) if seen < version else (state, seen)


def entomb(state, seen):
    return State(state.row, state.hidden, max(state.tombstone, DELETED), state.attempt), seen


def remove(state, seen):
    return (State(0, False, state.tombstone) if 0 < state.row < DELETED else state), seen


def hide(state, seen):
    """A tombstone in the row's own place."""
    return (State(DELETED, True, state.tombstone) if state.row < DELETED else state), seen


def together(version):
    """The put and a check of the tombstone, in one transaction."""
    return lambda state, seen: put(version)(state, seen) if state.tombstone < version else (state, seen)


PUT = [put(REDELIVERY), look, take_back(REDELIVERY)]
DELETE = [entomb, remove]
PROTOCOLS = {
    "as built": (put(ATTEMPT), PUT, DELETE),
    "the delete removes the row twice": (put(ATTEMPT), PUT, [*DELETE, remove]),
    "the put looks again": (put(ATTEMPT), [*PUT, look, take_back(REDELIVERY)], DELETE),
    "the redelivery looks first": (put(ATTEMPT), [look, looked_before(REDELIVERY), *PUT[1:]], DELETE),
    "each attempt has an id": (put(ATTEMPT, "first"), [put(REDELIVERY, "second"), *PUT[1:]], DELETE),
    "a tombstone in the row's place": (put(ATTEMPT), [put(REDELIVERY)], [hide]),
    "one transaction": (together(ATTEMPT), [together(REDELIVERY)], DELETE),
}
CLOSED = {"a tombstone in the row's place", "one transaction"}
"""The first shows readers of the table a row for each deleted item. The second costs 4 write units for a put of 1 KB
instead of 1 write unit and 1 read unit, and does not exist between two regions."""


def endings(attempt, redelivery, delete):
    """What readers see after every order: the redelivery and the delete one after the other, as Lambda delivers them,
    and the attempt anywhere before, between or after their steps."""
    steps = [*redelivery, *delete]
    for at in range(len(steps) + 1):
        state, seen = State(), 0
        for step in [*steps[:at], attempt, *steps[at:]]:
            state, remembered = step(state, seen)
            seen = seen if step is attempt else remembered
        yield at, state.shown


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_only_a_trace_in_the_rows_place_or_a_transaction_bears_a_late_put(protocol):
    wrong = [at for at, shown in endings(*PROTOCOLS[protocol]) if shown]
    assert (not wrong) is (protocol in CLOSED)


def test_as_built_a_late_put_revives_a_row_only_after_the_whole_delete():
    steps = len(PUT) + len(DELETE)
    assert [at for at, shown in endings(*PROTOCOLS["as built"]) if shown] == [steps]
