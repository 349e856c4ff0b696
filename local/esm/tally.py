"""What a mapping counts."""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable

from local.esm.records import Record

LAGS = 100_000
"""Samples that are kept: those of the last records."""


class Tally:
    """What became of records (read, filtered, delivered, done, discarded) and of batches (invocations, errors, retried,
    bisected, throttled), gaps, and the lag of the last records: seconds from its creation (in whole seconds) to its
    checkpoint."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._lags: deque[float] = deque(maxlen=LAGS)
        self._undelivered: list[str] = []

    @classmethod
    def joined(cls, tallies: Iterable["Tally"]) -> "Tally":
        """What several mappings count, as it is now."""
        found = cls()
        for each in tallies:
            found._counts.update(each.counts())
            found._lags += each.lags()
            found._undelivered += each.undelivered()
        return found

    def add(self, **counts: int) -> None:
        """Adds to the counts."""
        with self._lock:
            self._counts.update(counts)

    def checkpointed(self, records: Iterable[Record]) -> None:
        """These records are done."""
        now = time.time()
        with self._lock:
            for record in records:
                self._counts["done"] += 1
                self._lags.append(max(0.0, now - record.created))

    def refused(self, records: int, line: str) -> None:
        """No destination took so many records that were given up; the line says which, and why."""
        with self._lock:
            self._counts["undelivered"] += records
            self._undelivered.append(line)

    def undelivered(self) -> list[str]:
        """A line for each batch that was given up and that no destination took."""
        with self._lock:
            return list(self._undelivered)

    def counts(self) -> dict[str, int]:
        """All that is not zero."""
        with self._lock:
            return {name: count for name, count in self._counts.items() if count}

    def lags(self) -> list[float]:
        """A sample per record done, of the last `LAGS`."""
        with self._lock:
            return list(self._lags)
