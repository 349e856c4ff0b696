"""`make bench`: every measurement, one table, one report."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "layers/distributary")]

from bench import consume, derive, footprint, index_engine  # noqa: E402
from bench.harness import publish  # noqa: E402


def main() -> int:
    """0 if every target holds."""
    rows = [*consume.rows(), *derive.rows(), *index_engine.rows(ROOT / ".bench" / "npm"), *footprint.rows()]
    return publish(rows, ROOT / ".bench" / "report.json")


if __name__ == "__main__":
    sys.exit(main())
