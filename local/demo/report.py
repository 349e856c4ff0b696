"""The demo's report, with a line for each branch: a table for people, JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from local.demo.lags import CALM, DEFERRED
from local.demo.trunked import Outcome

COUNTS = ("received", "applied", "superseded", "ignored", "parked", "failed", "deferred")


@dataclass(frozen=True, slots=True)
class BranchLine:
    """One branch. Counts are deliveries, from the functions' own metrics. Lag is in seconds, from the whole second in
    which the stream says that the change was made, to the checkpoint after it."""

    branch: str
    received: int
    applied: int
    superseded: int
    ignored: int
    parked: int
    failed: int
    deferred: int
    expected: int
    actual: int
    excused: int
    differences: int
    changes_per_second: float
    lag_p50: float
    lag_p99: float

    @property
    def conserved(self) -> bool:
        """Whether every received change has exactly one outcome."""
        return self.received == sum(getattr(self, name) for name in COUNTS[1:])

    @property
    def reconciled(self) -> bool:
        """Whether nothing differs, and every received change has an outcome."""
        return self.conserved and self.differences == 0


def percentile(samples: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; 0 without samples."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def of_trunk(outcome: Outcome) -> list[BranchLine]:
    """A line for each branch of the trunk, which all have the lag of its one mapping."""
    lags = [lag for samples in outcome.lags.values() for lag in samples]
    return [
        BranchLine(
            branch=f"trunk {found.branch}",
            **{name: outcome.counts[found.branch].get(name.capitalize(), 0) for name in COUNTS},
            expected=found.expected,
            actual=found.actual,
            excused=found.excused,
            differences=len(found.differences),
            changes_per_second=round(outcome.counts[found.branch].get("Received", 0) / outcome.seconds, 1),
            lag_p50=round(percentile(lags, 0.5), 1),
            lag_p99=round(percentile(lags, 0.99), 1),
        )
        for found in outcome.found
    ]


def of_outage(outcome: Outcome) -> str:
    """What the search engine's outage did to the trunk, in one line."""
    calm, deferred = (percentile(outcome.lags.get(phase, []), 0.99) for phase in (CALM, DEFERRED))
    return (
        f"The trunk deferred index {outcome.open_seconds:.0f} s after the search engine went down. The other branches' "
        f"p99 lag was {calm:.1f} s before, {deferred:.1f} s while index was deferred. "
        f"{outcome.fed['index']} of its changes were fed later."
    )


def injected(faults: Mapping[str, int]) -> str:
    """The injected faults, in one line."""
    return ", ".join(f"{name}: {count}" for name, count in sorted(faults.items()))


def show(lines: Sequence[BranchLine], console: Console) -> None:
    """Prints the report as a table."""
    table = Table(title="Every branch against the source table", title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    headings = [
        "branch",
        *COUNTS,
        "expected",
        "actual",
        "excused",
        "differences",
        "changes/s",
        "lag p50 s",
        "lag p99 s",
    ]
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "branch" else "right", no_wrap=True)
    for line in lines:
        figures = [f"{getattr(line, name)}" for name in (*COUNTS, "expected", "actual", "excused", "differences")]
        rates = [f"{line.changes_per_second:.0f}", f"{line.lag_p50:.1f}", f"{line.lag_p99:.1f}"]
        table.add_row(line.branch, *figures, *rates, style=None if line.reconciled else "bold red")
    console.print(table)


def write(path: Path, lines: Sequence[BranchLine], seconds: float, peak_mb: float, faults: dict[str, Any]) -> None:
    """Writes the report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {
        "seconds": round(seconds, 1),
        "peak_mb": round(peak_mb),
        "reconciled": all(line.reconciled for line in lines),
        "faults": faults,
        "branches": [asdict(line) for line in lines],
    }
    path.write_text(json.dumps(body, indent=2) + "\n")
