"""Edits that one region's application made to an item at one moment: which of them came last.

A Kinesis data stream gives changes the time at which they were made as their position, and two may have the same one.
Their records do not say which came first, but they show what each edit replaced, and the region's row shows the last.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from distributary.replicate.multi_active.lww import State
from distributary.stream.version import is_time


def ordered(states: Sequence[State], *hints: Iterable[tuple[State, State | None]]) -> list[State]:
    """The states, and beside them those that are known to come after others of their moment, with a `tie` that says so.

    A hint is a state and the one of its moment that it came after, None for all that are known of its moment. Of two
    hints that contradict each other, the one in the later group counts.
    """
    found = list(states)
    for group in hints:
        pairs = [each for each in group if is_time(each[0].position)]
        for _ in pairs:  # what replaced what: a chain of them may be told in any order
            lifted = [_lift(found, state, before) for state, before in pairs]
            if not any(lifted):
                break
    return found


def _lift(found: list[State], state: State, before: State | None) -> bool:
    """Whether it had to be."""
    moment = [each for each in found if each.shares_moment(state) and (before is None or _is(each, before))]
    own = max((each.tie for each in found if _is(each, state)), default=state.tie)
    others = max((each.tie for each in moment if not (each.deleted and each.digest == state.digest)), default=-1)
    if others < own:
        return False
    found.append(replace(state, tie=others + 1))
    return True


def _is(one: State, other: State) -> bool:
    return one.position == other.position and one.is_edit(other)
