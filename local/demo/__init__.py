"""`make demo`: a real stream through the real functions, and the proof that every branch agrees with the source."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from local.errors import LocalError

CHANGES = 5000
REPORT = Path(".demo/report.json")


def main(arguments: Sequence[str]) -> int:
    """0 if every branch agrees with the source table, 1 on any difference."""
    parser = argparse.ArgumentParser(prog="python -m local demo", description=__doc__)
    parser.add_argument("--changes", type=_positive, default=CHANGES, help=f"writes to make (default {CHANGES})")
    parser.add_argument("--seed", type=int, default=1, help="of the workload (default 1)")
    parser.add_argument("--report", type=Path, default=REPORT, help=f"where the JSON goes (default {REPORT})")
    options = parser.parse_args(arguments)
    from local.demo.run import run

    return run(options.changes, options.seed, options.report, Console(width=max(150, Console().width)))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise LocalError(f"CHANGES is {text}: give a whole number from 1 on")
    return int(text)
