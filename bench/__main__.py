"""`make bench`: every measurement, one table, one report."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "layers/distributary")]

from bench import archive, backfill, bytes, consume, derive, footprint, index, lag, replicate, welcome  # noqa: E402
from bench.harness import Row, publish  # noqa: E402
from bench.index_sides import Missing  # noqa: E402


def _of_index() -> list[Row]:
    """Nothing where there is no OpenSearch node or no npm to compare with; it says so."""
    try:
        return index.rows()
    except Missing as error:
        print(f"no rows of index: {error}", file=sys.stderr)
        return []


def main() -> int:
    """0 if every target holds."""
    rows = [
        *_of_index(),
        *bytes.rows(),
        *consume.rows(),
        *derive.rows(),
        *footprint.rows(),
        *replicate.rows(),
        *lag.rows(),
        *welcome.rows(),
        *archive.rows(),
        *backfill.rows(),
    ]
    return publish(rows, ROOT / ".bench" / "report.json")


if __name__ == "__main__":
    sys.exit(main())
