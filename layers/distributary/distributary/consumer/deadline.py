"""How much time an invocation has left, so that it stops before Lambda ends it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from distributary.errors import Unavailable

RESERVE_SECONDS = 3.0
"""Kept back for parking, metrics and the answer to Lambda."""


class Context(Protocol):
    """What is used of Lambda's context object.
    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html"""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, in seconds, with a reserve after it for parking, metrics and the response."""

    ends: float
    reserve: float = 0.0
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, context: Context, reserve: float = RESERVE_SECONDS) -> "Deadline":
        """The invocation's end, less `reserve` or a quarter of what is left if that is shorter."""
        left = max(0.0, context.get_remaining_time_in_millis() / 1000)
        kept = min(reserve, left / 4)
        return cls(time.monotonic() + left - kept, kept)

    def share(self, of: int) -> "Deadline":
        """The deadline of the first of several tasks that share the time that is left equally."""
        if of == 1 or self.ends == float("inf"):
            return self
        return Deadline(self.ends - self.left() * (of - 1) / of, self.reserve, self.clock)

    def within(self, seconds: float) -> "Deadline":
        """So many seconds from now, if that is earlier."""
        return Deadline(min(self.ends, self.clock() + seconds), self.reserve, self.clock)

    def into_reserve(self) -> "Deadline":
        """Two thirds of the reserve later: for parking what the branch has given up on."""
        return Deadline(self.ends + self.reserve * 2 / 3, 0.0, self.clock)

    @contextmanager
    def governs(self) -> Iterator[None]:
        """In this thread, while the block runs: see `governing`."""
        token = _GOVERNING.set(self)
        try:
            yield
        finally:
            _GOVERNING.reset(token)

    def left(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.ends - self.clock())

    def check(self) -> None:
        """Raises Unavailable once the time is over."""
        if self.clock() >= self.ends:
            raise Unavailable("stopped before the function's timeout; raise Timeout or lower BatchSize if this recurs")


FOREVER = Deadline(float("inf"))
"""For commands, which have time."""

_GOVERNING = ContextVar("governing", default=FOREVER)


def governing() -> Deadline:
    """The deadline of the work that this thread does now, for calls that are not given it: a client's methods have the
    arguments of boto3's."""
    return _GOVERNING.get()
