"""What a cold start pays for: bytes to unpack, and modules to import."""

import os
import subprocess
import sys
from pathlib import Path

from bench.harness import Row, paired, row
from local.build import Built, build
from local.template import Template

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = ("derive", "index", "welcome", "replicate", "archive")
BARE = "import boto3; boto3.client('dynamodb', region_name='eu-west-1')"
APP = f"import app; {BARE}"
"""In Lambda's order."""
CLOCK = "import time; started = time.process_time(); {work}; print((time.process_time() - started) * 1000)"
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
    ours, peer = paired(lambda: _milliseconds(built, function, APP), lambda: _milliseconds(built, function, BARE))
    name = "bare boto3.client('dynamodb')"
    return row(function, "cold process", "app.py and client", "ms", ours, peer, name, IMPORT_TARGET)


def _over_the_client(built: Built, function: str, budget: float) -> Row:
    ours, bare = paired(lambda: _milliseconds(built, function, APP), lambda: _milliseconds(built, function, BARE))
    return row(function, "cold process", "app.py over the client", "ms", ours - bare, budget, "its budget", 1.0)


def _milliseconds(built: Built, function: str, work: str) -> float:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, built.path(function)))}
    command = [sys.executable, "-S", "-c", CLOCK.format(work=work)]
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
