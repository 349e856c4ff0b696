"""What a verification of an index found."""

from dataclasses import dataclass
from typing import Any

from distributary.verify.report import Report

KINDS = ("missing", "dead", "different")
"""missing: an item without a visible document. dead: a visible document without an item. different: its content is not
what the item makes; the table keeps no version, so a stale document is one of these."""


@dataclass(slots=True)
class IndexReport(Report):
    """Differences are counted by kind. Statuses: 1 if differences are left or items are parked, so that the index lacks
    them; 2 if some kept changing, so that they could not be compared."""

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
        """The exit status."""
        return 0 if self.equal and not self["moving"] else 1 if not self.equal else 2

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
        names = ("items", "documents", *KINDS, "parked", "moving", "repaired")
        return [*named, *self.parked_lines(), ", ".join(f"{name} {self.counts[name]}" for name in names)]
