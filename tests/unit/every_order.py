"""Every order of the steps of several programs at one state, which may crash: what the models of protocols enumerate.

A program is a function of the state, its place in itself (0 where it begins) and what it has read so far. It returns
the state after its step, with the next place and what it has read; or None while it has to wait. `END` comes last.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

Place = tuple[Any, Any]
Program = Callable[..., tuple[Any, Place] | None]

BEGIN: Place = (0, ())
END: Place = (-1, ())


@dataclass(frozen=True)
class Explored:
    """All states in which every program has ended, and every state on the way."""

    endings: set[Any] = field(default_factory=set)
    met: set[Any] = field(default_factory=set)


def explored(
    programs: Sequence[Program],
    begin: Any,
    crashes: int = 1,
    lasting: Collection[int] = (),
    mortal: Collection[int] = (),
) -> Explored:
    """Each program may crash anywhere, so often in all: it begins anew, or never if it is among the `mortal`. The
    `lasting` do not crash."""
    found, seen = Explored(), set()
    stack = [(begin, (BEGIN,) * len(programs), crashes)]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        state, places, left = node
        found.met.add(state)
        if all(place == END for place in places):
            found.endings.add(state)
        for i, place in enumerate(places):
            stepped = programs[i](state, *place) if place != END else None
            if stepped is None:
                continue
            after, moved = stepped
            stack.append((after, (*places[:i], moved, *places[i + 1 :]), left))
            if left and place[0] and i not in lasting:
                anew = END if i in mortal else BEGIN
                stack.append((state, (*places[:i], anew, *places[i + 1 :]), left - 1))
    return found
