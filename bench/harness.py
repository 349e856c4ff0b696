"""Side by side in one run: ours, the peer, their ratio, and whether the target holds."""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ratio` is ours / peer, None beside a peer's 0; `target` the highest ratio that is wanted, None if it
    is only recorded."""

    branch: str
    workload: str
    figure: str
    unit: str
    ours: float
    peer: float
    peer_name: str
    ratio: float | None
    target: float | None
    holds: bool


def row(
    branch: str,
    workload: str,
    figure: str,
    unit: str,
    ours: float,
    peer: float,
    peer_name: str,
    target: float | None = None,
) -> Row:
    """A row with its ratio and verdict."""
    ratio = round(ours / peer, 4) if peer else None
    holds = target is None or ours <= target * peer
    return Row(branch, workload, figure, unit, ours, peer, peer_name, ratio, target, holds)


def paired(ours: Callable[[], float], peer: Callable[[], float], rounds: int = ROUNDS) -> tuple[float, float]:
    """The medians of two measurements taken in turn, after one of each that does not count."""
    ours(), peer()
    pairs = [(ours(), peer()) for _ in range(rounds)]
    return statistics.median(mine for mine, _ in pairs), statistics.median(theirs for _, theirs in pairs)


def publish(rows: Sequence[Row], path: Path) -> int:
    """Prints the table and writes the report; 0 if every target holds, else 1."""
    table = Table(title="ours against the peer, medians of one run", title_justify="left")
    for heading in ("branch", "workload", "figure", "unit", "ours", "peer", "peer's name", "ratio", "target", "holds"):
        table.add_column(heading, overflow="fold")
    for each in rows:
        target = "" if each.target is None else f"<= {each.target:g}"
        ratio = "" if each.ratio is None else f"{each.ratio:.3f}"
        figures = [f"{each.ours:,.2f}", f"{each.peer:,.2f}", each.peer_name, ratio, target]
        table.add_row(each.branch, each.workload, each.figure, each.unit, *figures, "yes" if each.holds else "NO")
    Console(width=160).print(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(each) for each in rows], indent=2) + "\n")
    return 0 if all(each.holds for each in rows) else 1
