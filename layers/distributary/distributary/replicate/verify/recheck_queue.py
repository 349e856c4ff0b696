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
class Suspect:
    """Only what is needed to look again: rows may be large."""

    keys: Keys
    name: str
    evidence: str
    looks: int
    due: float

    def seen_again(self, finding: Finding, due: float) -> "Suspect":
        """It differed again, and otherwise than before."""
        return Suspect(self.keys, self.name, finding.evidence, self.looks + 1, due)


class RecheckQueue:
    """A queue in the order in which they are due, filled and emptied by several threads."""

    def __init__(self, pause: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause, self._clock = pause, clock
        self._queue: deque[Suspect] = deque()
        self._lock = Lock()

    def add(self, findings: Iterable[Finding]) -> None:
        """As seen for the first time."""
        with self._lock:
            due = self._clock() + self._pause
            self._queue.extend(Suspect(each.keys, each.name, each.evidence, 1, due) for each in findings)

    def back(self, again: Iterable[tuple[Suspect, Finding]]) -> None:
        """To be looked at once more."""
        with self._lock:
            due = self._clock() + self._pause
            self._queue.extend(suspect.seen_again(finding, due) for suspect, finding in again)

    def due(self, most: int) -> list[Suspect]:
        """Those whose pause is over, taken out of the queue; at most so many."""
        with self._lock:
            now = self._clock()
            found: list[Suspect] = []
            while self._queue and len(found) < most and self._queue[0].due <= now:
                found.append(self._queue.popleft())
            return found

    def wait(self) -> float:
        """Seconds until the first is due, 0 if there is none."""
        with self._lock:
            return max(0.0, self._queue[0].due - self._clock()) if self._queue else 0.0

    def __len__(self) -> int:
        return len(self._queue)
