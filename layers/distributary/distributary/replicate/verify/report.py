"""What a verification of a mirror found."""

from dataclasses import dataclass, field
from typing import Any

from distributary.verify.report import Report


@dataclass(slots=True)
class MirrorReport(Report):
    """`sampled`: segments read, all segments, and, if nothing differs, the share that may hold a difference at most;
    `units`: read units by side."""

    sampled: dict[str, float] = field(default_factory=dict)
    units: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As `Report.as_json`, with `{"read_units": {...}, "sampled": {...}}`."""
        more = {"read_units": dict(self.units), "sampled": dict(self.sampled)}
        return {**Report.as_json(self), **more}
