"""What a cold start pays for: bytes to unpack, and modules to import."""

import os
import statistics
import subprocess
import sys
from pathlib import Path

from bench.harness import Row, row
from local.build import Built, build
from local.template import Template

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = ("derive", "index", "welcome", "replicate", "archive")
BARE = "import boto3; boto3.client('dynamodb', region_name='eu-west-1')"
APP = f"import app; {BARE}"
"""In Lambda's order."""

CONNECTED = "import app; from distributary.dynamodb.client import connect; connect('eu-west-1')"
"""The same, with the client that these functions make."""

CONNECTING = ("derive", "welcome", "replicate")
CLOCK = """
import time
def at(depth):
    if depth:
        return at(depth - 1)
    started = time.process_time()
    {work}
    print((time.process_time() - started) * 1000)
at({depth})
"""
DEPTHS = range(0, 96, 12)
"""Calls below the import. CPython takes memory for calls in pieces of 16 KB, and gives a piece back as soon as a call
returns across its end. A loop there takes several times as long: that is a matter of luck, here and in Lambda."""
LAYER_TARGET = 1.0
IMPORT_TARGET = 1.15
INDEX_BUDGET_MS = 60.0
"""For importing index's app.py over boto3's client: what opensearch-py would take alone."""


def rows() -> list[Row]:
    """Megabytes of the layer against botocore's, milliseconds of CPU for imports against a bare client's."""
    built = build(Template(ROOT / "template.yaml"), FUNCTIONS, ROOT / ".build" / "local")
    size = sum(map(unpacked_mb, built.layers))
    botocore = unpacked_mb(built.runtime / "botocore")
    name = "botocore, in Lambda's runtime"
    return [
        row("layer", "unzipped", "size", "MB", size, botocore, name, LAYER_TARGET),
        *[_imports(built, function) for function in FUNCTIONS],
        _over_the_client(built, "index", INDEX_BUDGET_MS),
    ]


def unpacked_mb(folder: Path) -> float:
    """Megabytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def _imports(built: Built, function: str) -> Row:
    ours, peer = _paired(built, function)
    name = "bare boto3.client('dynamodb')"
    return row(function, "cold process", "app.py and client", "ms", ours, peer, name, IMPORT_TARGET)


def _over_the_client(built: Built, function: str, budget: float) -> Row:
    ours, bare = _paired(built, function)
    return row(function, "cold process", "app.py over the client", "ms", ours - bare, budget, "its budget", 1.0)


def _paired(built: Built, function: str) -> tuple[float, float]:
    """The medians over the depths, of the least of three."""
    app = CONNECTED if function in CONNECTING else APP
    found = [
        [min(_milliseconds(built, function, work, depth) for _ in range(3)) for work in (app, BARE)] for depth in DEPTHS
    ]
    ours, bare = zip(*found, strict=True)
    return statistics.median(ours), statistics.median(bare)


def _milliseconds(built: Built, function: str, work: str, depth: int) -> float:
    path = os.pathsep.join(map(str, built.path(function)))
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, **keys}
    command = [sys.executable, "-S", "-c", CLOCK.format(work=work, depth=depth)]
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
