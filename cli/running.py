"""Commands that run the project's functions on this machine."""

import os
import re
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from cli import project as projects
from cli.console.command import start_page
from cli.errors import DeclarationFaults, UsageFault
from cli.options import (
    LOCAL_REGION,
    AllowWrites,
    ConsolePort,
    Declared,
    Parameters,
    Port,
    SearchPort,
    Source,
    SourceRegion,
    checked_endpoint,
    pairs,
    table_names,
)

if TYPE_CHECKING:
    from distributary.feed.snapshot import Table
    from local.aws import Aws
    from local.stack import Project
    from local.template import TableSpec


def up(
    context: typer.Context,
    port: Port = None,
    opensearch_port: SearchPort = None,
    console: Annotated[
        bool, typer.Option("--console", help="Also serve a web page that attaches functions, and shows each change.")
    ] = False,
    console_port: ConsolePort = None,
) -> int:
    """Start embedded AWS and OpenSearch until interrupted."""
    from local.aws import Aws
    from local.emulators import Ports, embedded

    if console_port and not console:
        raise UsageFault("--console-port is for the console: give --console as well")
    outbox = _outbox(context)
    with embedded(Ports(port, opensearch_port), outbox=outbox) as endpoints, ExitStack() as ending:
        aws, search = Aws.at_emulator(endpoints.aws, LOCAL_REGION), {"OPENSEARCH_ENDPOINT": endpoints.opensearch}
        if console:
            print(f"console: {ending.enter_context(start_page(context, aws, search, console_port))}")
        print(f"AWS at {endpoints.aws}, OpenSearch at {endpoints.opensearch}; Ctrl-C ends both.")
        print(f"Mail that is sent there is written to {outbox}/. In another shell:\n")
        exports = {**aws.environment(), **search}
        print("\n".join(f"export {name}={value}" for name, value in exports.items()), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")
    return 0


def attach(
    context: typer.Context,
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE[,TABLE...]", help="An existing table with a stream of both images; derive takes several."
        ),
    ],
    functions: Annotated[
        list[str], typer.Argument(metavar="FUNCTION...", help="derive, index, welcome, replicate, archive")
    ],
    endpoint_url: Source = None,
    region: SourceRegion = None,
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
    trunk: Annotated[
        bool, typer.Option("--trunk", help="One function reads the stream for all of them, as with TrunkSourceArn.")
    ] = False,
    kinesis: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Read the Kinesis data stream of this name, which the table writes its changes into."
        ),
    ] = "",
    parameter: Parameters = [],
    declared: Declared = [],
    stack_name: Annotated[
        str, typer.Option(metavar="NAME", help="What the names of the functions' own tables and buckets begin with.")
    ] = "distributary",
    console: Annotated[
        bool, typer.Option("--console", help="Also serve a web page that shows what becomes of each change.")
    ] = False,
    console_port: ConsolePort = None,
    allow_writes: AllowWrites = False,
) -> int:
    """Drive functions from an existing table's stream."""
    from local.attach import Order
    from local.attach import attach as drive
    from local.aws import Aws

    if unknown := [each for each in functions if each not in projects.FUNCTIONS]:
        raise UsageFault(f"there is no function '{unknown[0]}': name one or several of {', '.join(projects.FUNCTIONS)}")
    if trunk and "," in table:
        raise UsageFault("--trunk reads the stream of one table: leave out the others, or --trunk")
    if console and until_drained:
        raise UsageFault("--console shows pages until you end it: leave out --until-drained, or --console")
    if not console and (console_port or allow_writes):
        raise UsageFault("--console-port and --allow-writes are for the console: give --console as well")
    endpoint = checked_endpoint(endpoint_url)
    parameters = local_parameters(parameter)
    found = here(context, declared)
    projects.check(found, functions)
    source = Aws.of_user(endpoint, region)
    (described, spec), *more = _tables(source, table, kinesis)
    also = tuple(each for each, _ in more)
    lock = threading.Lock()
    check = partial(faults_of, lock, found, (described, *also))
    if faults := [fault for function in functions for fault in check(function)]:
        raise DeclarationFaults(faults)
    beside = os.environ.get("AWS_ENDPOINT_URL")
    order = Order(
        table=described,
        spec=spec,
        functions=tuple(dict.fromkeys(functions)),
        source=source,
        beside=Aws.of_user(checked_endpoint(beside), region) if beside else None,
        embedded=embedded,
        until_drained=until_drained,
        backfill=backfill,
        parameters=parameters,
        also=also,
        trunk=trunk,
    )
    project = replace(local_project(found), stack=_checked_name(stack_name))
    screen = Console(width=max(130, Console().width))
    if not console:
        return drive(order, project, screen, check)
    from cli.console.downstream import Declarations
    from cli.console.watching import Watching
    from local.recording.recorded import recording

    declarations = Declarations(partial(declared_by, found, order.tables), lock)
    writable = source.endpoint is not None or allow_writes
    with recording() as recorded:
        watching = Watching(
            order.functions,
            order.tables,
            source,
            project.outbox,
            declarations,
            screen,
            recorded,
            console_port,
            writable,
        )
        return drive(order, project, screen, check, watching)


def declared_by(found: projects.Found, tables: Sequence["Table"], function: str) -> Any:
    """A function's declarations, checked. Raises DeclarationFaults."""
    with projects.declarations(found, function, tables[0].keys, tables[0].name) as declared:
        return declared


def _checked_name(stack: str) -> str:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,29}", stack):
        raise UsageFault(f"--stack-name {stack}: give at most 30 lower-case letters, digits and '-', a letter first")
    return stack


def _tables(source: "Aws", given: str, kinesis: str) -> list[tuple["Table", "TableSpec"]]:
    """Those that are named, each once. Raises LocalError as `source_table` does."""
    from local.attach import source_table

    return [source_table(source, name, kinesis) for name in table_names(given)]


def faults_of(lock: threading.Lock, found: projects.Found, tables: Sequence["Table"], function: str) -> list[str]:
    """Of a function's declarations, held against each of its tables. `lock`: one thread at a time may import them."""
    with lock:
        faults = [fault for each in tables for fault in projects.faults(found, function, each.keys, each.name)]
    return list(dict.fromkeys(faults))


def demo(
    context: typer.Context,
    changes: Annotated[int, typer.Option(min=1, help="How many writes to make.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the workload.")] = 1,
    report: Annotated[Path, typer.Option(help="Where the report is written as JSON.")] = Path(".demo/report.json"),
) -> int:
    """Send a stream with faults through all functions, and reconcile every branch with the source."""
    projects.check(here(context, []), list(projects.DECLARES))
    from local.demo.run import run

    return run(changes, seed, report, Console(width=max(150, Console().width)))


def here(context: typer.Context, declared: Sequence[str]) -> projects.Found:
    """The project that the command is called in. Raises UsageFault."""
    folders = pairs("--declared", declared, "FUNCTION=FOLDER")
    return projects.find(context.obj, {name: Path(folder) for name, folder in folders.items()})


def local_parameters(given: Sequence[str]) -> dict[str, str]:
    """--parameter, and where OpenSearch is if the environment says so. Raises UsageFault."""
    search = os.environ.get("OPENSEARCH_ENDPOINT")
    return {**({"OpenSearchEndpoint": search} if search else {}), **pairs("--parameter", given)}


def _outbox(context: typer.Context) -> Path:
    """The project's; outside a project, one in the current folder."""
    try:
        return local_project(projects.find(context.obj)).outbox
    except UsageFault:
        return Path(".build/local/outbox").resolve()


def local_project(found: projects.Found) -> "Project":
    """With what is built of it for this machine."""
    from local.stack import Project

    return Project(found.folder, found.folder / ".build" / "local", found.declared)
