"""Differences that wait for their second look: until then they may be merely late."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock

from distributary.replicate.verify.comparison import Finding
from distributary.replicate.verify.table import Keys

MOST = 20_000
"""So many wait at once at most: it bounds the memory."""


@dataclass(frozen=True, slots=True)
class PendingRecheck:
    """Only what is needed to look again: rows may be large."""

    keys: Keys
    name: str
    evidence: str
    looks: int
    due: float

    def seen_again(self, finding: Finding, due: float) -> "PendingRecheck":
        """It differed again, and otherwise than before."""
        return PendingRecheck(self.keys, self.name, finding.evidence, self.looks + 1, due)


class RecheckQueue:
    """A queue in the order in which they are due, filled and emptied by several threads."""

    def __init__(self, pause: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause, self._clock = pause, clock
        self._queue: deque[PendingRecheck] = deque()
        self._lock = Lock()

    def add(self, findings: Iterable[Finding]) -> None:
        """As seen for the first time."""
        with self._lock:
            due = self._clock() + self._pause
            self._queue.extend(PendingRecheck(each.keys, each.name, each.evidence, 1, due) for each in findings)

    def back(self, again: Iterable[tuple[PendingRecheck, Finding]]) -> None:
        """To be looked at once more."""
        with self._lock:
            due = self._clock() + self._pause
            self._queue.extend(pending.seen_again(finding, due) for pending, finding in again)

    def due(self, most: int) -> list[PendingRecheck]:
        """Those whose pause is over, taken out of the queue; at most so many."""
        with self._lock:
            now = self._clock()
            found: list[PendingRecheck] = []
            while self._queue and len(found) < most and self._queue[0].due <= now:
                found.append(self._queue.popleft())
            return found

    def wait(self) -> float:
        """Seconds until the first is due, 0 if there is none."""
        with self._lock:
            return max(0.0, self._queue[0].due - self._clock()) if self._queue else 0.0

    def __len__(self) -> int:
        return len(self._queue)
