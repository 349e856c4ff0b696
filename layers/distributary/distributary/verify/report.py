"""What a verification found."""

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

SAMPLES = 1000
"""Of each kind so many are named; all are counted."""


def printable(text: str) -> str:
    """A name in a report: whatever a user wrote into a key, it stays on its line."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape", "replace").decode() for each in text)


@dataclass(slots=True)
class Report:
    """Counts, and samples of what was found. Filled from several threads."""

    counts: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock, repr=False)

    def add(self, what: str, number: int = 1) -> None:
        """So many more."""
        with self._lock:
            self.counts[what] += number

    def name(self, what: str, **sample: Any) -> None:
        """One more, with its name."""
        with self._lock:
            self.counts[what] += 1
            named = self.samples.setdefault(what, [])
            if len(named) < SAMPLES:
                named.append(sample)

    def __getitem__(self, what: str) -> int:
        return self.counts[what]

    @property
    def left(self) -> int:
        """Differences that were not repaired; `moving` and `rejected` are none."""
        return self["differences"] - self["repaired"]

    @property
    def equal(self) -> bool:
        """Whether no difference is left."""
        return self.left == 0

    def as_json(self) -> dict[str, Any]:
        """Plain values: `{"equal": ..., "counts": {...}, "differences": [{"view", "item", "kind", "where"}], ...}`."""
        return {"equal": self.equal, "counts": dict(self.counts), **self.samples}
