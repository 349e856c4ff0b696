"""What decides a schedule: a seed, a list that was written down, or an enumeration of all of them.

Every decision is one number: 0 goes on as if nothing happened (the same actor, no fault), anything else interferes. So
a list of zeros is the plainest schedule, and a failing schedule is made readable by turning its numbers into zeros.
"""

from collections.abc import Iterator, Sequence
from random import Random


class Choices:
    """Answers decisions and writes them down. `made` is the schedule; `many` and `free` say what else it could be."""

    def __init__(self) -> None:
        self.made: list[int] = []
        self.many: list[int] = []
        self.free: list[int] = []

    def pick(self, many: int, odds: float, free: int = 1) -> int:
        """A number below `many`: 0, or with the probability `odds` another one. So many are `free`, no interference:
        if the actor that ran last cannot go on, any other may."""
        if many < 2:
            return 0
        chosen = self._pick(many, odds)
        self.made.append(chosen)
        self.many.append(many)
        self.free.append(free)
        return chosen

    def _pick(self, many: int, odds: float) -> int:
        raise NotImplementedError


class Seeded(Choices):
    """Random, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = Random(f"choices {seed}")

    def _pick(self, many: int, odds: float) -> int:
        return self._random.randrange(1, many) if self._random.random() < odds else 0


class Listed(Choices):
    """These, and zeros after them."""

    def __init__(self, listed: Sequence[int]) -> None:
        super().__init__()
        self._listed = listed

    def _pick(self, many: int, odds: float) -> int:
        at = len(self.made)
        return min(self._listed[at], many - 1) if at < len(self._listed) else 0


def every(interferences: int) -> Iterator[Choices]:
    """Every schedule with at most so many interferences: an actor stopped while it could go on, or a fault. Play each
    before asking for the next. One interference is "A into each of B's calls, and B into each of A's calls"."""
    listed: list[int] | None = []
    while listed is not None:
        choices = Listed(listed)
        yield choices
        listed = _next(choices, interferences)


def _next(done: Choices, interferences: int) -> list[int] | None:
    spent, before = 0, []
    for chosen, free in zip(done.made, done.free, strict=True):
        before.append(spent)
        spent += chosen >= free
    for at in reversed(range(len(done.made))):
        following = done.made[at] + 1
        if following < done.many[at] and before[at] + (following >= done.free[at]) <= interferences:
            return [*done.made[:at], following]
    return None
