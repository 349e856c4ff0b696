"""Commands that compare what a deployed stack keeps with its source."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import project as projects
from cli.errors import UsageFault
from cli.feed.new_views import read_by
from cli.options import (
    Attribute,
    Days,
    Declared,
    Derived,
    Endpoint,
    Generation,
    IndexName,
    Json,
    Ledger,
    Parameters,
    ParkingBucket,
    Pause,
    Region,
    Repair,
    ReplicaRegion,
    ReplicaTable,
    Search,
    Secret,
    Segments,
    Service,
    Sources,
    StackName,
    Table,
    Target,
    Tombstones,
    checked_endpoint,
    checked_search,
)
from cli.target import Where, stack_of
from distributary.consumer.streams import parse_sources
from distributary.derive import doctor as derived
from distributary.feed.invoke import Feed
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.described import Description
from distributary.verify.finding import Finding, line, status

verify = typer.Typer(help="Compare what a function keeps with the source table.", no_args_is_help=True)


@verify.command()
def derive(
    context: typer.Context,
    table: Table,
    derived_table: Derived = "",
    ledger_table: Ledger = "",
    tombstone_table: Tombstones = "",
    endpoint_url: Endpoint = None,
    region: Region = None,
    segments: Segments = 4,
    view: Annotated[list[str], typer.Option(help="Only this view; may be repeated.")] = [],
    repair: Repair = False,
    json: Json = None,
    export: Annotated[
        str | None, typer.Option(help="A folder or s3://bucket/prefix with a full export, in place of the scan.")
    ] = None,
    pause: Pause = 10.0,
    generation: Generation = 0,
    tombstone_days: Days = 7,
    parking: ParkingBucket = "",
    sources: Sources = "",
) -> int:
    """Compare derived tables with the table that they are made from."""
    from distributary.derive.verify import command

    with projects.declarations(projects.find(context.obj), "derive"):
        report = command.run(
            command.Options(
                table=table,
                derived_table=derived_table,
                ledger_table=ledger_table,
                tombstone_table=tombstone_table,
                endpoint_url=checked_endpoint(endpoint_url),
                region=region,
                segments=segments,
                view=view,
                repair=repair,
                export=export,
                pause=pause,
                generation=generation,
                tombstone_days=tombstone_days,
                parking=parking,
                sources=_sources(sources),
            )
        )
    return reported(report.as_json(), command.lines(report), json, 0 if report.equal else 1)


def _sources(text: str) -> tuple[str, ...]:
    try:
        return parse_sources(text)
    except ValueError as error:
        raise UsageFault(f"--sources: {error}") from None


@verify.command()
def index(
    context: typer.Context,
    table: Table,
    endpoint: Search = None,
    service: Service = "es",
    secret: Secret = "none",
    index: IndexName = None,
    endpoint_url: Endpoint = None,
    region: Region = None,
    segments: Segments = 4,
    pause: Pause = 10.0,
    json: Json = None,
    generation: Generation = 0,
    repair: Repair = False,
    parking: ParkingBucket = "",
) -> int:
    """Compare an OpenSearch index with the table that it is made from."""
    from distributary.index.verify import command

    options = command.Options(
        table=table,
        endpoint=checked_search(endpoint),
        service=service,
        secret=secret,
        index=index,
        endpoint_url=checked_endpoint(endpoint_url),
        region=region,
        segments=segments,
        pause=pause,
        parking=parking,
    )
    with projects.declarations(projects.find(context.obj), "index"):
        report = command.build(options, generation, repair).run()
    return reported(report.as_json(), report.lines(), json, report.status)


@verify.command()
def replicate(
    context: typer.Context,
    table: Table,
    region: Region = None,
    endpoint_url: Endpoint = None,
    replica_table: ReplicaTable = "",
    replica_region: ReplicaRegion = None,
    target_endpoint_url: Target = None,
    segments: Segments = 4,
    read_units: Annotated[float | None, typer.Option(help="A second, of each table at most.")] = None,
    sample: Annotated[float | None, typer.Option(metavar="SHARE", help="Only a random share, such as 0.01.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="AGO", help="Only what changed in the last 30m or 24h (at most).")
    ] = None,
    pause: Pause = 10.0,
    repair: Repair = False,
    tombstone_table: Tombstones = "",
    tombstone_days: Days = 7,
    generation: Generation = 0,
    version_attribute: Attribute = REPLICA_VERSION,
    json: Json = None,
    parking: ParkingBucket = "",
) -> int:
    """Compare a replica with its source, or the tables of all regions with each other."""
    from distributary.replicate.verify import command

    if sample is not None and since is not None:
        raise UsageFault("--sample and --since exclude each other: give one of them")
    options = command.Options(
        table=table,
        region=region,
        endpoint_url=checked_endpoint(endpoint_url),
        replica_table=replica_table,
        replica_region=replica_region,
        target_endpoint_url=target_endpoint_url,
        segments=segments,
        read_units=read_units,
        sample=sample,
        since=since,
        pause=pause,
        repair=repair,
        tombstone_table=tombstone_table,
        tombstone_days=tombstone_days,
        generation=generation,
        version_attribute=version_attribute,
        parking=parking,
    )
    with projects.declarations(projects.find(context.obj), "replicate"):
        report = command.run(options)
    return reported(report.as_json(), command.lines(report), json, 0 if report.equal else 1)


def doctor(
    context: typer.Context,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The source table; leave it out with --stack.")] = "",
    derive: Annotated[bool, typer.Option("--derive", help="Examine derived tables, not a replica.")] = False,
    index: Annotated[bool, typer.Option("--index", help="Examine the indexes' declarations, not a replica.")] = False,
    stack: StackName = None,
    region: Region = None,
    endpoint_url: Endpoint = None,
    replica_table: ReplicaTable = "",
    replica_region: ReplicaRegion = None,
    target_endpoint_url: Target = None,
    tombstone_table: Tombstones = "",
    function: Annotated[str | None, typer.Option(help="The replicate function's name in Lambda.")] = None,
    version_attribute: Attribute = REPLICA_VERSION,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Examine a replica, what derive or index keeps, or the streams of a stack. Changes nothing.

    With TABLE alone: the tables of a replica: their streams, readers, clocks, permissions.
    With --derive: whether the rows of derived tables were written as the views are declared.
    With --index: the same of documents.
    With --stack alone: whether a stream of the stack has more readers than it serves, or a data stream lacks changes.
    """
    if derive and index:
        raise UsageFault("--derive and --index exclude each other: give one of them")
    if (derive or index) and stack is None and not table:
        raise UsageFault("give --stack NAME; for functions on this machine give TABLE, their source")
    if index:
        from distributary.index import doctor as indexed

        where = Where(stack, table or None, endpoint_url, region, parameter, declared)
        told = Feed(stack_of(context, where).function("index").invoke).ask({"declarations": {}}, "declarations")
        return examined(list(indexed.examine_declarations(told, placed(stack, table))), as_json)
    if derive:
        target = stack_of(context, Where(stack, table or None, endpoint_url, region, parameter, declared)).function(
            "derive"
        )
        told = Feed(target.invoke).ask({"declarations": {}}, "declarations")
        fill = partial(_fill, told["declared"], list(target.sources), stack, table)
        return examined(list(derived.examine(told, placed(stack, table), fill)), as_json)
    if stack is not None and not table:
        from cli import data_streams, readers

        found = stack_of(context, Where(stack, None, endpoint_url, region, parameter, declared))
        return examined([*readers.examine(found), *data_streams.examine(found)], as_json)
    if stack is not None or parameter or declared:
        raise UsageFault(
            "--stack, --parameter and --declared are for --derive and --index: give one of them. --stack without TABLE "
            "counts the readers of the stack's streams"
        )
    if not table:
        raise UsageFault(
            "give TABLE, the source of a replica; --derive or --index for what these functions keep; or --stack NAME "
            "alone for the streams of a stack"
        )
    from distributary.replicate.doctor import command

    options = command.Options(
        table=table,
        region=region,
        endpoint_url=checked_endpoint(endpoint_url),
        replica_table=replica_table,
        replica_region=replica_region,
        target_endpoint_url=target_endpoint_url,
        tombstone_table=tombstone_table,
        function=function,
        version_attribute=version_attribute,
    )
    with projects.declarations(projects.find(context.obj), "replicate"):
        findings = list(command.examine(options))
    return examined(findings, as_json)


def _fill(declared: Mapping[str, Description], sources: list[str], stack: str | None, table: str, view: str) -> str:
    """The command that fills a view. On this machine it names all tables, because the function reads them."""
    if stack is None:
        return f"distributary backfill {table} --function derive --view {view}"
    read = ",".join(name for name in sources if name in read_by(declared[view], set(sources)))
    return f"distributary backfill {read or 'TABLE'} --function derive --view {view} --stack {stack}"


def placed(stack: str | None, table: str | None) -> str:
    """The option that the next command needs as well."""
    return f"--stack {stack}" if stack else f"--table {table}"


def examined(findings: Sequence[Finding], as_json: bool) -> int:
    """Prints what a doctor found; the exit status."""
    if as_json:
        print(json.dumps({"status": status(findings), "findings": [each.as_json() for each in findings]}, indent=2))
    else:
        print(*map(line, findings), sep="\n")
    return status(findings)


def reported(report: Any, lines: Iterable[str], to: str | None, status: int) -> int:
    """Prints a comparison, writes it as JSON; the exit status. Raises UsageFault if the file cannot be written."""
    text = json.dumps(report, indent=2, ensure_ascii=False)
    if to == "-":
        print(text)
        return status
    if to:
        try:
            Path(to).write_text(text + "\n")
        except OSError as error:
            raise UsageFault(f"--json {to}: {error.strerror}; name a file in a folder that exists") from None
    print(*lines, sep="\n")
    return status
