"""Which schedules are played, and what is said of one that fails.

`SCHEDULES=n` plays so many of each kind, `SEED=s` that one alone.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from tests.scheduler.choices import Choices, Listed, Seeded, every
from tests.scheduler.trace import text

SHRINKS = 400
"""So many schedules are played to find a plainer one that fails as well."""


def deep(interferences: int) -> int:
    """So many in an enumeration; one more in a soak, which is when SCHEDULES is set."""
    return interferences + bool(os.environ.get("SCHEDULES"))


class Playable(Protocol):
    """What a schedule is played on."""

    scheduler: Any

    def run(self) -> None: ...


Make = Callable[[int, Choices], Playable]


def seeds(many: int) -> range:
    """So many unless the environment says otherwise."""
    one = os.environ.get("SEED")
    return range(int(one), int(one) + 1) if one else range(int(os.environ.get("SCHEDULES") or many))


def play(make: Make, chosen: Iterable[int]) -> None:
    """Each of these seeds. Raises AssertionError that shows the first that fails, as plain as it gets, and how to
    play it again."""
    for seed in chosen:
        choices = Seeded(seed)
        if failure(make, seed, choices) is not None:
            raise AssertionError(told(make, seed, plainer(make, seed, choices.made)))


def play_every(make: Make, interferences: int, seed: int = 0) -> int:
    """Every schedule with at most so many interferences; how many there were. Raises as `play`."""
    played = 0
    for choices in every(interferences):
        played += 1
        if failure(make, seed, choices) is not None:
            raise AssertionError(told(make, seed, plainer(make, seed, choices.made)))
    return played


def failure(make: Make, seed: int, choices: Choices) -> Exception | None:
    """What is wrong with the schedule's end."""
    try:
        make(seed, choices).run()
    except Exception as error:  # noqa: BLE001
        return error
    return None


def plainer(make: Make, seed: int, made: Sequence[int]) -> list[int]:
    """A list of choices that fails as well, with as many zeros as were found."""
    found, left, step = list(made), SHRINKS, max(1, len(made))
    while step and left:
        for at in range(0, len(found), step):
            tried = [*found[:at], *[0] * len(found[at : at + step]), *found[at + step :]]
            if tried == found or not left:
                continue
            left -= 1
            if failure(make, seed, Listed(tried)) is not None:
                found = tried
        step //= 2
    while found and not found[-1]:
        found.pop()
    return found


def told(make: Make, seed: int, made: Sequence[int]) -> str:
    """The failing schedule: its error, its calls, its seed and its choices."""
    world = make(seed, Listed(made))
    error: Exception | None = None
    try:
        world.run()
    except Exception as raised:  # noqa: BLE001
        error = raised
    trace = text(world.scheduler.trace)
    return f"{trace}\n\n{type(error).__name__}: {error}\n\nreplay with SEED={seed}; choices={list(made)}"
