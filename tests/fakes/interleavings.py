"""Every order in which programs that share a state can make their calls, with crashes between any two.

A program is real code over wrapped clients. It is run anew for each step, on the answers that its calls have had so
far, up to its next call; that call is made on the state at hand. So no threads are needed, and two ways to one state
are followed once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from opensearchpy.exceptions import TransportError

from distributary.consumer.aws import AwsError

Answer = tuple[str, Any]
Program = Callable[[Callable[[Any, Any], Any], int], Any]
"""Runs to its end, with a hashable result, over clients wrapped by what it is given; the number says how often it
crashed before."""


class State(Protocol):
    """What the programs share."""

    def freeze(self) -> str:
        """All of it, as text: equal texts for equal states."""

    def thaw(self, frozen: str) -> None:
        """Back to how it was."""


class _Pause(BaseException):
    """The program is about to make the call after the one that was asked for."""


@dataclass(slots=True)
class _Tape:
    """Plays the answers that were, makes one call more, and stops before the next."""

    answers: list[Answer]
    played: int = 0
    made: list[Answer] = field(default_factory=list)

    def wrap(self, client: Any, service: Any) -> Any:
        return _Taped(client, self)

    def befall(self, call: Callable[[], Any]) -> Any:
        if self.played < len(self.answers):
            self.played += 1
            return _heard(self.answers[self.played - 1])
        if self.made:
            raise _Pause
        try:
            self.made.append(("answer", call()))
        except (*AwsError, TransportError) as error:
            self.made.append(("error", error))
        return _heard(self.made[0])


def _heard(answer: Answer) -> Any:
    kind, content = answer
    if kind == "error":
        raise content.with_traceback(None)
    return content


class _Taped:
    def __init__(self, client: Any, tape: _Tape) -> None:
        self._client, self._tape = client, tape

    def __getattr__(self, operation: str) -> Any:
        return lambda **arguments: self._tape.befall(lambda: getattr(self._client, operation)(**arguments))


_ENDED = -1


class Interleavings:
    """`endings`: the states in which all programs have ended, each with what the programs returned; `nodes`: how many
    situations were seen."""

    def __init__(self, state: State, programs: Sequence[Program], crashes: int = 0) -> None:
        self._state, self._programs = state, programs
        self._answers: dict[str, Answer] = {}
        self._steps: dict[Any, Any] = {}
        self.endings: set[tuple[str, tuple]] = set()
        self.nodes = 0
        self._explore(crashes)

    def _explore(self, crashes: int) -> None:
        places: tuple[tuple, ...] = ((0,),) * len(self._programs)
        stack = [(self._state.freeze(), places, crashes)]
        seen = set(stack)
        while stack:
            state, places, left = stack.pop()
            if all(place[0] == _ENDED for place in places):
                self.endings.add((state, tuple(place[1] for place in places)))
            for node in self._next(state, places, left):
                if node not in seen:
                    seen.add(node)
                    stack.append(node)
        self.nodes = len(seen)

    def _next(self, state: str, places: tuple, left: int) -> list[Any]:
        nodes = []
        for i, place in enumerate(places):
            if place[0] == _ENDED:
                continue
            after, moved = self._step(i, place, state)
            nodes.append((after, (*places[:i], moved, *places[i + 1 :]), left))
            if left and len(place) > 1:
                nodes.append((state, (*places[:i], (place[0] + 1,), *places[i + 1 :]), left - 1))
        return nodes

    def _step(self, i: int, place: tuple, state: str) -> tuple[str, tuple]:
        memo = (i, place, state)
        if memo not in self._steps:
            self._state.thaw(state)
            lives, *heard = place
            tape = _Tape([self._answers[name] for name in heard])
            try:
                moved: tuple = (_ENDED, self._programs[i](tape.wrap, lives))
            except _Pause:
                moved = (*place, self._name(tape.made[0]))
            self._steps[memo] = (self._state.freeze(), moved)
        return self._steps[memo]

    def _name(self, answer: Answer) -> str:
        kind, content = answer
        name = f"{kind} {content!r} {getattr(content, 'response', '')!r}"
        self._answers[name] = answer
        return name
