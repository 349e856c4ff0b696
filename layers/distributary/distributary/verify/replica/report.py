"""What a verification found."""

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

SAMPLES = 1000
"""Of each kind so many are named; all are counted."""


@dataclass(slots=True)
class Report:
    """Counts, and samples of what was found. Filled from several threads.

    `sampled`: segments read, all segments, and, if nothing differs, the share that may hold a difference at most.
    """

    counts: dict[str, int] = field(default_factory=dict)
    samples: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    sampled: dict[str, float] = field(default_factory=dict)
    units: dict[str, float] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock, repr=False)

    def add(self, what: str, number: int = 1) -> None:
        """So many more."""
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + number

    def name(self, what: str, **sample: str) -> None:
        """One more, with its name."""
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + 1
            named = self.samples.setdefault(what, [])
            if len(named) < SAMPLES:
                named.append(sample)

    def __getitem__(self, what: str) -> int:
        return self.counts.get(what, 0)

    @property
    def left(self) -> int:
        """Differences that were not repaired; `moving` and `rejected` are none."""
        return self["differences"] - self["repaired"]

    def as_json(self) -> dict[str, Any]:
        """Plain values: `{"equal", "counts": {...}, "read_units": {...}, "sampled": {...}, "differences": [{"kind",
        "item"}], ...}`."""
        return {
            "equal": self.left == 0,
            "counts": dict(self.counts),
            "read_units": dict(self.units),
            "sampled": dict(self.sampled),
            **self.samples,
        }
