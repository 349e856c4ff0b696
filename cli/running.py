"""Commands that run the project's functions on this machine."""

import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console

from cli import project as projects
from cli.errors import UsageFault

_REGION = "us-east-1"

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


def up(port: Port = None, opensearch_port: SearchPort = None) -> int:
    """Start embedded AWS and OpenSearch until interrupted."""
    from local.aws import Aws
    from local.emulators import Ports, embedded

    with embedded(Ports(port, opensearch_port)) as endpoints:
        print(f"AWS at {endpoints.aws}, OpenSearch at {endpoints.opensearch}; Ctrl-C ends both. In another shell:\n")
        exports = {**Aws.at_emulator(endpoints.aws, _REGION).environment(), "OPENSEARCH_ENDPOINT": endpoints.opensearch}
        print("\n".join(f"export {name}={value}" for name, value in exports.items()), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")
    return 0


def attach(
    context: typer.Context,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="An existing table with a stream of both images.")],
    functions: Annotated[
        list[str], typer.Argument(metavar="FUNCTION...", help="derive, index, welcome, replicate, archive")
    ],
    endpoint_url: Annotated[
        str | None, typer.Option(help="Where the table is (default: AWS_ENDPOINT_URL, or else AWS).")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Of the table (default: AWS_REGION, or your profile's).")] = None,
    backfill: Annotated[
        bool, typer.Option("--backfill", help="Also deliver the items that the table already holds.")
    ] = False,
    until_drained: Annotated[
        bool, typer.Option("--until-drained", help="End once everything in the stream is processed.")
    ] = False,
    embedded: Annotated[
        bool,
        typer.Option(
            "--embedded",
            help="Keep the functions' own tables in services embedded in this run, not at the endpoint. "
            "Always so for a table on AWS.",
        ),
    ] = False,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Drive functions from an existing table's stream."""
    from local.attach import Order
    from local.attach import attach as drive
    from local.aws import Aws

    endpoint = checked_endpoint(endpoint_url)
    parameters = _pairs("--parameter", parameter)
    if search := os.environ.get("OPENSEARCH_ENDPOINT"):
        parameters = {"OpenSearchEndpoint": search, **parameters}
    found = _project(context, declared)
    projects.check(found, functions)
    order = Order(
        table=table,
        functions=tuple(dict.fromkeys(functions)),
        source=Aws.of_user(endpoint, region),
        embedded=embedded or endpoint is None,
        until_drained=until_drained,
        backfill=backfill,
        parameters=parameters,
    )
    return drive(order, _local(found), Console(width=max(130, Console().width)))


def invoke(
    context: typer.Context,
    function: Annotated[str, typer.Argument(metavar="FUNCTION")],
    event: Annotated[str, typer.Option("-e", "--event", metavar="FILE|-", help="A stream event; - is standard input.")],
    region: Annotated[str, typer.Option(help="Where the function runs.")] = _REGION,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Run one function with one event, on embedded services."""
    from local.stack import Stack

    given, parameters, found = read_event(event), _pairs("--parameter", parameter), _project(context, declared)
    projects.check(found, [function])
    with Stack.start(_local(found), parameters, region, log=lambda _, line: print(line, file=sys.stderr)) as stack:
        if function == "index":
            stack.apply_index()
        if function == "replicate" and (replica := _table_of(given)):
            stack.create_replica(replica)
        running = stack.function(function)
        answer = running.invoke(json.dumps(given).encode())
        if counts := running.metrics.counts():
            print("metrics: " + ", ".join(f"{name} {count}" for name, count in counts.items()), file=sys.stderr)
        print(json.dumps(answer.payload, indent=2))
        return 1 if answer.function_error else 0


def demo(
    context: typer.Context,
    changes: Annotated[int, typer.Option(min=1, help="How many writes to make.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the workload.")] = 1,
    report: Annotated[Path, typer.Option(help="Where the report is written as JSON.")] = Path(".demo/report.json"),
) -> int:
    """Send a stream with faults through all functions, and reconcile every branch with the source."""
    projects.check(_project(context, []), list(projects.DECLARES))
    from local.demo.run import run

    return run(changes, seed, report, Console(width=max(150, Console().width)))


def checked_endpoint(given: str | None) -> str | None:
    """--endpoint-url, or AWS_ENDPOINT_URL. Raises UsageFault for what is no http address."""
    endpoint = given or os.environ.get("AWS_ENDPOINT_URL") or None
    if endpoint is not None:
        try:
            address = urlsplit(endpoint)
            valid = address.scheme in ("http", "https") and bool(address.hostname) and (address.port or 1) > 0
        except ValueError:
            valid = False
        if not valid:
            raise UsageFault(f"--endpoint-url {endpoint}: give an address such as http://127.0.0.1:8000")
    return endpoint


def read_event(source: str) -> Any:
    """JSON of a file, or of standard input for `-`. Raises UsageFault."""
    try:
        return json.loads(sys.stdin.read() if source == "-" else Path(source).read_text())
    except OSError as error:
        raise UsageFault(f"{source}: {error.strerror}: name a file, such as events/insert.json") from None
    except ValueError as error:
        raise UsageFault(f"{'standard input' if source == '-' else source} is no JSON: {error}") from None


def _table_of(event: Any) -> Any:
    """A table whose key is that of the event's first record that has one."""
    from local.template import TableSpec

    records = event.get("Records") if isinstance(event, dict) else None
    for record in records if isinstance(records, list) else []:
        keys = (record.get("dynamodb") or {}).get("Keys") if isinstance(record, dict) else None
        if isinstance(keys, dict) and 1 <= len(keys) <= 2:
            kinds = zip(keys, ("HASH", "RANGE"), strict=False)
            schema = tuple({"AttributeName": name, "KeyType": kind} for name, kind in kinds)
            types = tuple({"AttributeName": name, "AttributeType": next(iter(keys[name]))} for name in keys)
            return TableSpec("", schema, types)
    return None


def _project(context: typer.Context, declared: Sequence[str]) -> projects.Found:
    folders = _pairs("--declared", declared, "FUNCTION=FOLDER")
    return projects.find(context.obj, {name: Path(folder) for name, folder in folders.items()})


def _local(found: projects.Found) -> Any:
    from local.stack import Project

    return Project(found.folder, found.folder / ".build" / "local", found.declared)


def _pairs(option: str, given: Sequence[str], form: str = "KEY=VALUE") -> Mapping[str, str]:
    for each in given:
        if "=" not in each:
            raise UsageFault(f"{option} {each}: write it as {form}")
    return dict(each.split("=", 1) for each in given)
