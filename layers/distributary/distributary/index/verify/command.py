"""`verify index TABLE`: 0 all equal, 1 differences remain, 2 the comparison could not be completed."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from distributary.consumer.aws import AwsError
from distributary.dynamodb import table_reader
from distributary.errors import ConfigError, DistributaryError
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.target import Declared, load
from distributary.index.verify.comparison import Comparator
from distributary.index.verify.verifier import Progress, Verify
from distributary.stream import version as versions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line; the domain defaults to the function's own environment variables."""
    add_places(parser)
    parser.add_argument("--generation", type=int, default=0, help="the function's GENERATION (0)")
    parser.add_argument("--repair", action="store_true", help="set right what differs, where that is safe")


def add_places(parser: argparse.ArgumentParser) -> None:
    """Where table and index are, and how they are read; shared with `distributary.index.reindex`."""
    endpoint, service = os.environ.get("OPENSEARCH_ENDPOINT"), os.environ.get("OPENSEARCH_SERVICE", "es")
    parser.add_argument("table", help="the source table")
    parser.add_argument("--endpoint", default=endpoint, help="of OpenSearch; default: $OPENSEARCH_ENDPOINT")
    parser.add_argument(
        "--service", choices=("es", "aoss", "basic", "none"), default=service, help="as the function's (es)"
    )
    parser.add_argument("--secret", default=os.environ.get("OPENSEARCH_SECRET", "none"), help="its ARN, for basic")
    parser.add_argument("--index", help="its name in indexes.py, which functions/index on PYTHONPATH holds")
    parser.add_argument("--endpoint-url", help="of DynamoDB")
    parser.add_argument("--region")
    parser.add_argument("--segments", type=int, default=4, help="of each scan, read side by side (4)")
    parser.add_argument("--pause", type=float, default=10.0, help="seconds between looks; longer than the lag (10)")
    parser.add_argument("--json", help="write the report there; it holds ids")


def run(options: argparse.Namespace) -> int:
    """The exit status; one line on stderr where it is 2."""
    try:
        report = build(options, options.generation, options.repair).run()
        if options.json:
            Path(options.json).write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")
    except ConfigError as error:
        print(f"verify: {error}", file=sys.stderr)
        return 2
    except DistributaryError as error:
        print(f"verify: stopped: {error}; run it again", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"verify: --json: {error}", file=sys.stderr)
        return 2
    print(*report.lines(), sep="\n")
    return 1 if report.left else 0


def build(
    options: argparse.Namespace,
    generation: int,
    repair: bool = False,
    progress: Progress = lambda what, number: None,  # noqa: ARG005
) -> Verify:
    """Raises ConfigError, every fault at once."""
    faults = []
    faults += [] if options.endpoint else ["--endpoint is missing: give the domain's address"]
    faults += [] if 1 <= options.segments <= 64 else ["--segments: give 1 to 64"]
    faults += [] if 0 <= options.pause <= 3600 else ["--pause: give 0 to 3600 seconds"]
    faults += [] if 0 <= generation < versions.GENERATIONS else ["--generation: give the function's GENERATION"]
    if faults:
        raise ConfigError(faults)
    indexes, search = load(options.index), connect(options.endpoint, options.service, options.secret)
    dynamodb = client("dynamodb", options)
    keys = table_reader.key_names(dynamodb, options.table)
    faults = [
        f"index '{index.name}': entity '{index.of.name}' has the keys {', '.join(index.of.keys)}, "
        f"and the table {', '.join(keys)}"
        for index in indexes
        if set(keys) != set(index.of.keys)
    ]
    if faults:
        raise ConfigError(faults)
    eye = Comparator(Declared.of(indexes, search, generation), search, dynamodb, options.table, keys)
    return Verify(eye, options.segments, options.pause, repair, progress)


def client(service: str, options: argparse.Namespace) -> Any:
    """A boto3 client that is patient, for commands have time. Raises ConfigError."""
    config = Config(max_pool_connections=64, retries={"mode": "adaptive", "total_max_attempts": 10})
    session = boto3.Session(region_name=options.region)
    try:
        return session.client(service, endpoint_url=options.endpoint_url, config=config)  # type: ignore[call-overload]
    except (*AwsError, ValueError) as error:
        raise ConfigError(str(error)) from None
