"""What a verification found."""

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from distributary.verify.parked import ParkedObject

SAMPLES = 1000
"""How many of each kind are named; all are counted."""


def printable(text: str) -> str:
    """A name in a report, on one line, whatever a user wrote into a key."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape", "replace").decode() for each in text)


@dataclass(slots=True)
class Report:
    """Counts, and samples of what was found. Filled from several threads."""

    counts: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock, repr=False)

    def add(self, what: str, number: int = 1) -> None:
        """Adds to a count."""
        with self._lock:
            self.counts[what] += number

    def name(self, what: str, **sample: Any) -> None:
        """Counts one more, and keeps it as a sample."""
        with self._lock:
            self.counts[what] += 1
            named = self.samples.setdefault(what, [])
            if len(named) < SAMPLES:
                named.append(sample)

    def parked(self, item: str, cause: str, found: ParkedObject | None = None, **where: Any) -> None:
        """One more item that the function cannot take as it is: neither different nor equal. `found` is its object in
        the parking bucket, if that was listed."""
        self.name("parked", item=item, **where, cause=cause, object=found.name if found else None)

    def __getitem__(self, what: str) -> int:
        return self.counts[what]

    @property
    def left(self) -> int:
        """Differences that were not repaired; `moving` and `parked` are none."""
        return self["differences"] - self["repaired"]

    @property
    def equal(self) -> bool:
        """Whether no difference is left, and no item is parked."""
        return self.left == 0 and not self["parked"]

    def parked_lines(self) -> list[str]:
        """Parked items, a line each."""
        return [
            f"parked   {each['item']}: {each['cause']}" + (f"  {each['object']}" if each["object"] else "")
            for each in self.samples.get("parked", [])[:20]
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values: `{"equal": ..., "counts": {...}, "differences": [{"view", "item", "kind", "where"}], ...}`."""
        return {"equal": self.equal, "counts": dict(self.counts), **self.samples}
