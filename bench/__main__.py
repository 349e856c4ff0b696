"""`make bench`: every measurement, one table, one report."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "layers/distributary")]

from bench import (  # noqa: E402
    archive,
    backfill,
    bytes,
    consume,
    derive,
    footprint,
    index,
    lag,
    outage,
    replicate,
    trunk,
    welcome,
)
from bench.harness import Row, publish  # noqa: E402
from bench.index_sides import Missing  # noqa: E402


def _of_index() -> list[Row]:
    """Nothing where there is no OpenSearch node or no npm to compare with; it says so."""
    try:
        return index.rows()
    except Missing as error:
        print(f"no rows of index: {error}", file=sys.stderr)
        return []


SECTIONS: list[tuple[str, Callable[[], list[Row]]]] = [
    ("index", _of_index),
    ("bytes", bytes.rows),
    ("trunk", trunk.rows),
    ("consume", consume.rows),
    ("derive", derive.rows),
    ("footprint", footprint.rows),
    ("replicate", replicate.rows),
    ("lag", lag.rows),
    ("outage", outage.rows),
    ("welcome", welcome.rows),
    ("archive", archive.rows),
    ("backfill", backfill.rows),
]


def main() -> int:
    """0 if every target holds."""
    rows, began = [], time.monotonic()
    for name, measured in SECTIONS:
        rows += measured()
        print(f"{name}: {time.monotonic() - began:.0f} s so far", file=sys.stderr)
    return publish(rows, ROOT / ".bench" / "report.json")


if __name__ == "__main__":
    sys.exit(main())
