"""What a verification of an index found."""

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

KINDS = ("missing", "dead", "different")
"""missing: an item without a visible document. dead: a visible document without an item. different: its content is not
what the item makes; the table keeps no version, so a stale document is one of these."""

SAMPLES = 1000
"""Of each kind so many are named; all are counted."""


@dataclass(slots=True)
class Report:
    """Filled from several threads."""

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

    @property
    def differences(self) -> int:
        """Of all kinds, before any repair."""
        return sum(self.counts[kind] for kind in KINDS)

    @property
    def left(self) -> int:
        """Differences that no repair has set right."""
        return self.differences - self.counts["repaired"]

    @property
    def status(self) -> int:
        """The exit status: 1 if differences are left or items are refused, so that the index lacks them; 2 if some
        kept changing, so that they could not be compared."""
        return 1 if self.left or self.counts["refused"] else 2 if self.counts["moving"] else 0

    def as_json(self) -> dict[str, Any]:
        """`{"equal": bool, "counts": {...}, "missing": [{"id": ..., "version": ...}], ...}`; ids are item content."""
        return {"equal": not self.status, "counts": dict(self.counts), **self.samples}

    def lines(self) -> list[str]:
        """The report for people: what differs, then the counts."""
        named = [
            f"{kind:<9} {each['id']!r} at version {each['version']}"
            for kind in KINDS
            for each in self.samples.get(kind, [])
        ]
        refused = [f"refused   {each['id']!r}: {each['cause']}" for each in self.samples.get("refused", [])[:20]]
        names = ("items", "documents", *KINDS, "refused", "moving", "repaired")
        return [*named, *refused, ", ".join(f"{name} {self.counts[name]}" for name in names)]
