"""Options that several commands have, and how their values are read."""

import json
import os
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import typer

from cli.errors import UsageFault
from distributary.errors import Rejected
from distributary.stream.keys import identity

LOCAL_REGION = "us-east-1"
"""Of embedded services, unless the user names another."""

Table = Annotated[str, typer.Argument(metavar="TABLE", help="The source table.")]
Tables = Annotated[
    str, typer.Argument(metavar="TABLE[,TABLE...]", help="The source table; several of a derive that reads them.")
]
Endpoint = Annotated[str | None, typer.Option(help="Of DynamoDB (default: AWS_ENDPOINT_URL, or else AWS).")]
Region = Annotated[str | None, typer.Option(envvar="AWS_REGION", help="Of the source.")]
Segments = Annotated[int, typer.Option(help="Of each scan, read at the same time.")]
Pause = Annotated[float, typer.Option(help="Seconds between two looks; longer than the lag.")]
Repair = Annotated[bool, typer.Option("--repair", help="Repair what differs, where that is safe.")]
Json = Annotated[str | None, typer.Option(metavar="FILE", help="Write the report there; - is standard output.")]
Generation = Annotated[int, typer.Option(help="The function's GENERATION.")]
Days = Annotated[int, typer.Option(help="The function's TOMBSTONE_DAYS.")]


def bucket_name(given: str | None) -> str | None:
    """--parking, as boto3 takes it. Raises UsageFault."""
    if given and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", given):
        raise UsageFault(f"--parking {given}: give the bucket's name alone, as the stack's output ParkingBucketName")
    return given


ParkingBucket = Annotated[
    str,
    typer.Option(
        envvar="PARKING_BUCKET",
        metavar="BUCKET",
        callback=bucket_name,
        help="The stack's; names items that are parked.",
    ),
]
Derived = Annotated[str, typer.Option(envvar="DERIVED_TABLE", help="The stack's table of derived rows.")]
Ledger = Annotated[str, typer.Option(envvar="LEDGER_TABLE", help="The stack's ledger table.")]
Tombstones = Annotated[str, typer.Option(envvar="TOMBSTONE_TABLE", help="The stack's tombstone table.")]
Sources = Annotated[
    str, typer.Option(envvar="SOURCES", metavar="ARN,ARN", help="The function's SOURCES, if it reads several tables.")
]
ReplicaTable = Annotated[str, typer.Option(envvar="REPLICA_TABLE", help="The replica's table.")]
ReplicaRegion = Annotated[str | None, typer.Option(envvar="REPLICA_REGION", help="The replica's region.")]
Target = Annotated[str | None, typer.Option(help="Endpoint of the replica (default: --endpoint-url).")]
Attribute = Annotated[str, typer.Option(envvar="VERSION_ATTRIBUTE", help="The function's VERSION_ATTRIBUTE.")]
Search = Annotated[str | None, typer.Option(envvar="OPENSEARCH_ENDPOINT", help="Of OpenSearch.")]
Service = Annotated[
    Literal["es", "aoss", "basic", "none"],
    typer.Option(envvar="OPENSEARCH_SERVICE", help="How requests are signed, as the function's."),
]
Secret = Annotated[
    str, typer.Option(envvar="OPENSEARCH_SECRET", metavar="ARN", help="The secret with name and password, for basic.")
]
Parameters = Annotated[
    list[str], typer.Option("--parameter", metavar="KEY=VALUE", help="A parameter of template.yaml; may be repeated.")
]
Declared = Annotated[
    list[str],
    typer.Option(
        "--declared",
        metavar="FUNCTION=FOLDER",
        help="A folder whose files, such as replica.py, take the place of the function's own; may be repeated.",
    ),
]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port for AWS (default: a free one).")]
SearchPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port for OpenSearch (default: a free one).")]
ConsolePort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port for the console (default: a free one).")]
AllowWrites = Annotated[
    bool, typer.Option("--allow-writes", help="Let the console write to a table on AWS; at an emulator it always may.")
]
Source = Annotated[str | None, typer.Option(help="Where the table is (default: AWS_ENDPOINT_URL, or else AWS).")]
SourceRegion = Annotated[str | None, typer.Option(help="Of the table (default: AWS_REGION, or your profile's).")]
Event = Annotated[str, typer.Option("-e", "--event", metavar="FILE|-", help="A stream event; - is standard input.")]
IndexName = Annotated[str | None, typer.Option(help="Its name in indexes.py, if there are several.")]
StackName = Annotated[
    str | None, typer.Option("--stack", help="The deployed stack (default: the project's functions on this machine).")
]
SourceTable = Annotated[
    str | None,
    typer.Option(
        "--table",
        metavar="TABLE[,TABLE...]",
        help="Without --stack: the table that the functions on this machine read; derive reads several.",
    ),
]
StackEndpoint = Annotated[str | None, typer.Option(help="Of AWS (default: AWS_ENDPOINT_URL, or else AWS).")]
StackRegion = Annotated[str | None, typer.Option(envvar="AWS_REGION", help="Of the stack.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and change nothing.")]
StateFile = Annotated[
    Path | None, typer.Option("--state", metavar="FILE", help="Remember how far it is there, and go on from there.")
]
OnAws = Annotated[bool, typer.Option("--on-aws", help="Run it as a state machine on AWS, of a stack with Feed=true.")]
RunName = Annotated[
    str, typer.Option("--run", metavar="NAME", help="On AWS: the same command with the same name goes on with it.")
]
Concurrency = Annotated[int, typer.Option(min=1, max=1000, help="On AWS: parts at the same time.")]
Only = Annotated[list[str], typer.Option("--view", "--index", help="Only this view or index; may be repeated.")]


def table_names(given: str) -> list[str]:
    """TABLE[,TABLE...], each once. Raises UsageFault."""
    names = list(dict.fromkeys(filter(None, map(str.strip, given.split(",")))))
    if not names:
        raise UsageFault("name a table")
    return names


def check_segments(segments: int) -> None:
    """--segments of a command for a deployed stack. Raises UsageFault."""
    if not 1 <= segments <= 64:
        raise UsageFault("--segments: give 1 to 64")


def checked_endpoint(given: str | None) -> str | None:
    """--endpoint-url, or AWS_ENDPOINT_URL. Raises UsageFault if it is no http address, or nothing listens there."""
    endpoint = given or os.environ.get("AWS_ENDPOINT_URL") or None
    if endpoint is not None:
        _check_address(endpoint, f"--endpoint-url {endpoint}: give an address such as http://127.0.0.1:8000")
    return endpoint


def checked_search(endpoint: str | None) -> str | None:
    """OpenSearch's address, if one is given. Raises UsageFault as `checked_endpoint` does."""
    if endpoint:
        _check_address(endpoint, f"OpenSearch at {endpoint}: give an address such as https://search.example.com")
    return endpoint


def _check_address(endpoint: str, fault: str) -> None:
    try:
        address = urlsplit(endpoint)
        valid = address.scheme in ("http", "https") and bool(address.hostname) and (address.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        raise UsageFault(fault)
    if not _listens(address.hostname or "", address.port):
        raise UsageFault(f"nothing answers at {endpoint}: start `distributary up`, or correct the address")


def _listens(host: str, port: int | None) -> bool:
    """Whether a port of this machine is open. boto3 would ask a closed one for a minute. Other hosts are not asked."""
    if host not in ("127.0.0.1", "localhost", "::1") or port is None:
        return True
    try:
        socket.create_connection((host, port), timeout=2).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
    return True


WHOLE_KEY = '--key: give the item\'s whole key as DynamoDB JSON, {"user_id": {"S": "u-1"}}'


def key_of(text: str, fault: str = WHOLE_KEY) -> dict[str, Any]:
    """--key, an item's key in DynamoDB JSON. Raises UsageFault with this text."""
    try:
        key: dict[str, Any] = json.loads(text)
        if not 1 <= len(key) <= 2 or not all(isinstance(typed, dict) for typed in key.values()):
            raise ValueError
        identity(key)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError, Rejected):
        raise UsageFault(fault) from None
    return key


def read_event(source: str) -> Any:
    """JSON of a file, or of standard input for `-`. Raises UsageFault."""
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text()
        if source == "-" and not text.strip():
            raise UsageFault("standard input is empty: the command before the pipe has printed no event")
        return json.loads(text)
    except OSError as error:
        raise UsageFault(f"{source}: {error.strerror}: name a file, such as events/insert.json") from None
    except ValueError as error:
        raise UsageFault(f"{'standard input' if source == '-' else source} is no JSON: {error}") from None


def pairs(option: str, given: Sequence[str], form: str = "KEY=VALUE") -> dict[str, str]:
    """What an option gives, such as KEY=VALUE, by key. Raises UsageFault."""
    for each in given:
        if "=" not in each:
            raise UsageFault(f"{option} {each}: write it as {form}")
    return dict(each.split("=", 1) for each in given)
