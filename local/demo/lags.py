"""How long a change takes from its write to the checkpoint behind it, by the phase of a run in which it was made."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STAMP = "at"
"""The attribute with the moment of the write."""

CALM, OPENING, DEFERRED, FED = "calm", "opening", "deferred", "fed"


@dataclass(slots=True)
class Lags:
    """Seconds from a write to the checkpoint behind it, by round and by the phase in which it was made. A record that
    is delivered again counts as it ended first."""

    round: int = 0
    phase: str = CALM
    samples: dict[tuple[int, str], list[float]] = field(default_factory=dict)
    _phases: dict[float, tuple[int, str]] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def written(self, at: float) -> None:
        """A write is made now."""
        with self._lock:
            self._phases[at] = self.round, self.phase

    def of(self, round: int) -> Mapping[str, Sequence[float]]:
        """Of a round, by phase."""
        with self._lock:
            return {phase: tuple(lags) for (at, phase), lags in self.samples.items() if at == round}

    def ended(self, _shard: str, records: Sequence[Mapping[str, Any]]) -> None:
        """These records need not be delivered any more."""
        now = time.time()
        with self._lock:
            for record in records:
                at = _written_at(record)
                if at in self._phases and record["eventID"] not in self._ended:
                    self._ended.add(record["eventID"])
                    self.samples.setdefault(self._phases[at], []).append(now - at)


def _written_at(record: Mapping[str, Any]) -> float:
    """When the item was written; 0 for a delete and a malformed record."""
    return float(record["dynamodb"].get("NewImage", {}).get(STAMP, {}).get("N", 0))
