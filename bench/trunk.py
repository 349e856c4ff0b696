"""One trunk for four branches against four functions that each decode every batch, on a stream and on Kinesis, and
against pipelines in Node.js."""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import on_kinesis
from bench.bytes import BATCHES, ROUNDS, paid, run
from bench.harness import Row, row
from bench.lambda_sides import TRUNK_BRANCHES
from bench.orders import KINESIS, SIZES, STREAM, body
from local import node
from local.errors import LocalError

PACKAGES = Path(__file__).parent / "pipelines"
FOUR = len(TRUNK_BRANCHES)
TRUNK, TRUNK_THERE = "the trunk on a stream", "the trunk on Kinesis"
FUNCTIONS, FUNCTIONS_THERE = "four functions, each with its own mapping", on_kinesis.FUNCTIONS
PIPELINES = "npm aws-lambda-stream 1.0.0, four pipelines on one mapping"
AGAINST = ((TRUNK, FUNCTIONS), (TRUNK, FUNCTIONS_THERE), (TRUNK_THERE, FUNCTIONS_THERE), (TRUNK, PIPELINES))
Found = Mapping[str, float]
"""`us` of CPU per change for all four branches, and the dollars of a million changes."""


def rows() -> list[Row]:
    """What writing costs is the same on all sides, and is left out: each branch reads five attributes. What the
    branches request is counted by `on_kinesis`."""
    try:
        there = node.installed(PACKAGES, "pipelines")
    except LocalError as error:
        print(f"no pipelines beside the trunk: {error}", file=sys.stderr)
        there = None
    measured = [each for size in SIZES for many in BATCHES for each in _of(size, many, there)]
    return measured + on_kinesis.rows()


def _of(size: str, records: int, there: Path | None) -> list[Row]:
    sides: dict[str, Callable[[], Found]] = {
        TRUNK: lambda: _priced(run("trunk", size, records, STREAM), 1),
        FUNCTIONS: lambda: _priced(run("ours", size, records, STREAM), FOUR),
        TRUNK_THERE: lambda: _priced(run("trunk", size, records, KINESIS), 1),
        FUNCTIONS_THERE: lambda: _priced(run("ours", size, records, KINESIS), FOUR),
    }
    if there and records == BATCHES[0]:
        event = body(size, records)
        sides[PIPELINES] = lambda: _priced(_pipelines(there, event, records), 1)
    found = _in_turn(sides)
    return [each for ours, peer in AGAINST if peer in found for each in _rows(size, records, found, ours, peer)]


def _in_turn(sides: Mapping[str, Callable[[], Found]]) -> dict[str, Found]:
    """The medians of rounds in which each side has its turn, after one round that does not count."""
    rounds = [{name: measure() for name, measure in sides.items()} for _ in range(1 + ROUNDS)][1:]
    return {
        name: {figure: statistics.median(each[name][figure] for each in rounds) for figure in ("us", "dollars")}
        for name in sides
    }


def _priced(found: Found, functions: int) -> Found:
    return {"us": functions * found["us"], "dollars": functions * paid(found)}


def _rows(size: str, records: int, found: Mapping[str, Found], ours: str, peer: str) -> list[Row]:
    workload = f"batches of {records:,} records of {size}, four branches; ours: {ours}"
    used = found[ours]["us"], found[peer]["us"]
    rates = 1e6 / used[0], 1e6 / used[1]
    lines = [
        row("trunk", workload, "CPU per change, bytes to bytes", "us", *used, peer, 1.0),
        row("trunk", workload, "changes a second of one processor", "1/s", *rates, peer),
    ]
    if records != BATCHES[0]:
        return lines
    costs = found[ours]["dollars"], found[peer]["dollars"]
    priced = f"{workload}, at the least memory that holds one"
    return [*lines, row("trunk", priced, "cost per million changes", "USD", *costs, peer, 1.0)]


def _pipelines(folder: Path, event: bytes, records: int) -> Found:
    command = ["node", "--expose-gc", "drive.js", ",".join(TRUNK_BRANCHES), str(records)]
    done = subprocess.run(command, cwd=folder, input=event, capture_output=True, check=True)
    return dict(json.loads(done.stdout))
