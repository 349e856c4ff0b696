"""Commands that give a deployed function what its source table holds."""

from typing import Annotated, Any

import typer

from cli.deployed import reported
from cli.errors import UsageFault
from cli.feed.backfill import Backfill, Result, State
from cli.feed.parked import BRANCHES, RECONCILED
from cli.options import (
    DryRun,
    Json,
    Only,
    Segments,
    StackEndpoint,
    StackName,
    StackRegion,
    StateFile,
    Table,
    check_segments,
    checked_endpoint,
)
from cli.stack import Function, Stack, clients
from distributary.dynamodb.key_schema import key_names
from distributary.dynamodb.read_budget import Pace
from distributary.feed.give import Giver
from distributary.feed.invoke import Feed
from distributary.feed.snapshot import Table as Scanned
from distributary.feed.sources import Scan
from distributary.stream.keys import table_of
from distributary.verify.progress import progress
from distributary.verify.report import printable

_WRONG = {
    "welcome": "give derive, index or replicate; an old item is no reason to send a message",
    "archive": "give derive, index or replicate: an archive holds changes, not items",
}
_UNKNOWN = f"there is no such function; there are {', '.join(BRANCHES)}"

Branch = Annotated[str, typer.Option("--function", help="derive, index or replicate.")]


def backfill(
    table: Table,
    function: Branch,
    stack: StackName,
    only: Only = [],
    first_fill: Annotated[
        bool,
        typer.Option(
            "--first-fill",
            help="Nothing was ever kept for another declaration: give whole items, which cost less than reads by key.",
        ),
    ] = False,
    segments: Segments = 4,
    rate: Annotated[float, typer.Option(min=0.1, help="Items a second.")] = 1000.0,
    state: StateFile = None,
    dry_run: DryRun = False,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    json: Json = None,
) -> int:
    """Give a function every item that its table holds, while the stream runs."""
    if function not in RECONCILED:
        raise UsageFault(f"--function {function}: {_WRONG.get(function, _UNKNOWN)}")
    if function == "replicate" and only:
        raise UsageFault("--function replicate: it keeps one replica; leave out --view and --index")
    if first_fill and only:
        raise UsageFault("--first-fill fills a whole branch: leave out --view and --index, or leave out --first-fill")
    check_segments(segments)
    found = Stack.find(stack, clients(checked_endpoint(endpoint_url), region))
    target = found.function(function)
    source, many, size = source_of(found.clients("dynamodb"), table, target)
    if dry_run:
        print(f"about {many:,} items of {table}: {size / 4096:,.0f} read units for the scan, and what {function} reads")
        return 0
    task = {"table": table, "function": target.arn, "segments": segments}
    task |= {"first_fill": first_fill, "only": sorted(only)}
    with progress({"items": many}, command="backfill") as told:
        steps = Backfill(
            source,
            Giver(Feed(target.invoke), source.table, tuple(only)),
            State(state, task),
            first_fill,
            lambda n: told("items", n),
            Pace(rate).take,
        )
        result = steps.run(segments)
    return reported(result.as_json(), _lines(result), json, 1 if result.left else 0)


def source_of(dynamodb: Any, table: str, function: Function) -> tuple[Scan, int, int]:
    """The table, about how many items it has, and how many bytes. Raises UsageFault if the function reads another."""
    keys = key_names(dynamodb, table)
    described = dynamodb.describe_table(TableName=table)["Table"]
    streams = list(function.streams)
    if streams and described["TableName"] != table_of(streams[0]):
        raise UsageFault(f"{function.branch} of this stack reads table '{table_of(streams[0])}', not '{table}'")
    arn = streams[0] if streams else described.get("LatestStreamArn", "")
    region = arn.split(":")[3] if arn else ""
    return Scan(dynamodb, Scanned(table, keys, arn, region)), described["ItemCount"], described["TableSizeBytes"]


def _lines(result: Result) -> list[str]:
    lines = [f"{many:>9,}  {end.status:<11} {printable(end.cause)}".rstrip() for end, many in result.ends.most_common()]
    return [*lines, f"{result.items:,} items, {result.left:,} left"]
