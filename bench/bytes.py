"""From the event's bytes to the response's, through Lambda's own runtime client: ours against what others do."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.harness import Row, paired, row
from bench.lambda_sides import SIDES
from bench.orders import SIZES, STREAM

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3
BATCHES = (1000, 100)
SIX_MB = ("3 KB", 2000)
MEMORY_TARGET = 1 / 8
GB_SECOND, REQUEST = 0.0000133334, 0.0000002
"""US dollars for arm64, https://aws.amazon.com/lambda/pricing/."""

FULL_CPU_MB, LEAST_MB = 1769, 128
"""The memory at which a function has a whole processor; with less it has a share
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html)."""

TARGETS = {
    "each time": {"3 KB": 1 / 8, "0.9 KB": 1 / 3},
    "once": {"3 KB": 1 / 3.5, "0.9 KB": 2 / 3},
    "plain": {"3 KB": 1 / 4, "0.9 KB": 2 / 3},
}


def rows() -> list[Row]:
    """Each side in a process of its own, which imports only what it needs."""
    timed = [_time(peer, size, many) for size in SIZES for many in BATCHES for peer in TARGETS]
    return [*timed, _memory(), *[_cost(peer, size) for size in SIZES for peer in TARGETS]]


def _time(peer: str, size: str, records: int) -> Row:
    ours, theirs = paired(lambda: run("ours", size, records)["us"], lambda: run(peer, size, records)["us"], ROUNDS)
    workload = f"batches of {records:,} records of {size}, both images, five attributes read"
    target = TARGETS[peer][size] if records == BATCHES[0] else None
    return row("bytes", workload, "CPU per record, bytes to bytes", "us", ours, theirs, _name(peer), target)


def _memory() -> Row:
    ours, theirs = paired(lambda: run("ours", *SIX_MB)["mb"], lambda: run("plain", *SIX_MB)["mb"], ROUNDS)
    return row("bytes", "a batch of 6 MB", "memory beside the event", "MB", ours, theirs, _name("plain"), MEMORY_TARGET)


def _cost(peer: str, size: str) -> Row:
    ours, theirs = paired(lambda: dollars("ours", size), lambda: dollars(peer, size), ROUNDS)
    workload = f"batches of {BATCHES[0]:,} records of {size}, at the least memory that holds one"
    return row("bytes", workload, "cost per million changes", "USD", ours, theirs, _name(peer), 1.0)


def dollars(side: str, size: str) -> float:
    """Per million changes, at the least memory that holds a batch."""
    return paid(run(side, size, BATCHES[0]))


def paid(found: Mapping[str, float]) -> float:
    """For what `run` found."""
    memory = max(LEAST_MB, math.ceil(found["peak"]))
    seconds = found["us"] * max(1.0, FULL_CPU_MB / memory)
    return seconds * memory / 1024 * GB_SECOND + 1e6 / BATCHES[0] * REQUEST


def _name(peer: str) -> str:
    return (SIDES[peer].__doc__ or peer).rstrip(".")


def run(side: str, size: str, records: int, source: str = STREAM) -> dict[str, float]:
    """What `lambda_sides.measure` finds of a side, in a process of its own."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "layers/distributary")]),
        "POWERTOOLS_METRICS_NAMESPACE": "Distributary",
        "POWERTOOLS_SERVICE_NAME": "bench",
    }
    command = [sys.executable, "-m", "bench.lambda_sides", side, size, str(records), source]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))
