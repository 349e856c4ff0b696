"""One trunk for four branches against four functions that each decode every batch, and against pipelines in Node.js."""

import json
import subprocess
import sys
from pathlib import Path

from bench.bytes import BATCHES, ROUNDS, dollars, paid, run
from bench.harness import Row, paired, row
from bench.lambda_sides import TRUNK_BRANCHES
from bench.orders import SIZES, body
from local import node
from local.errors import LocalError

PACKAGES = Path(__file__).parent / "pipelines"
FOUR = len(TRUNK_BRANCHES)
FUNCTIONS = "four functions, each with its own mapping"
PIPELINES = "npm aws-lambda-stream 1.0.0, four pipelines on one mapping"


def rows() -> list[Row]:
    """What writing costs is the same on all sides, and is left out: each branch reads five attributes."""
    found = [each for size in SIZES for each in (*(_time(size, many) for many in BATCHES), _cost(size))]
    try:
        there = node.installed(PACKAGES, "pipelines")
    except LocalError as error:
        print(f"no pipelines beside the trunk: {error}", file=sys.stderr)
        return found
    return found + [each for size in SIZES for each in _against_pipelines(there, size)]


def _time(size: str, records: int) -> Row:
    ours, theirs = paired(
        lambda: run("trunk", size, records)["us"], lambda: FOUR * run("ours", size, records)["us"], ROUNDS
    )
    return row("trunk", _workload(size, records), "CPU per change, bytes to bytes", "us", ours, theirs, FUNCTIONS, 1.0)


def _cost(size: str) -> Row:
    ours, theirs = paired(lambda: dollars("trunk", size), lambda: FOUR * dollars("ours", size), ROUNDS)
    return row("trunk", _priced(size), "cost per million changes", "USD", ours, theirs, FUNCTIONS, 1.0)


def _against_pipelines(folder: Path, size: str) -> list[Row]:
    records = BATCHES[0]
    event = body(size, records)

    def theirs() -> dict[str, float]:
        command = ["node", "--expose-gc", "drive.js", ",".join(TRUNK_BRANCHES), str(records)]
        done = subprocess.run(command, cwd=folder, input=event, capture_output=True, check=True)
        return dict(json.loads(done.stdout))

    own, other = paired(lambda: run("trunk", size, records)["us"], lambda: theirs()["us"], ROUNDS)
    mine, cost = paired(lambda: dollars("trunk", size), lambda: paid(theirs()), ROUNDS)
    return [
        row("trunk", _workload(size, records), "CPU per change, bytes to bytes", "us", own, other, PIPELINES, 1.0),
        row("trunk", _priced(size), "cost per million changes", "USD", mine, cost, PIPELINES, 1.0),
    ]


def _workload(size: str, records: int) -> str:
    return f"batches of {records:,} records of {size}, four branches"


def _priced(size: str) -> str:
    return f"{_workload(size, BATCHES[0])}, at the least memory that holds one"
