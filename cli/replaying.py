"""The command that gives an event branch what the archive holds."""

from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from cli.archive import Place, archive_of, moment
from cli.deployed import reported
from cli.errors import UsageFault
from cli.feed.backfill import State
from cli.feed.replay import Replay, Result, Window
from cli.item_key import check_key
from cli.options import Declared, Json, Parameters, StackEndpoint, StackName, StackRegion, StateFile, Table, key_of
from cli.target import Where, stack_of
from distributary.dynamodb.read_budget import Pace
from distributary.feed.invoke import Feed
from distributary.stream.keys import identity
from distributary.verify.progress import progress
from distributary.verify.report import printable


def replay(
    context: typer.Context,
    table: Table,
    function: Annotated[str, typer.Option("--function", help="welcome: the others are set right from the items.")],
    archive: Place,
    begin: Annotated[str, typer.Option("--from", metavar="TIME", help="The window's first moment, ISO 8601.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="The first moment after the window.")],
    stack: StackName = None,
    key: Annotated[
        str | None, typer.Option(metavar="JSON", help="""Only of this item: '{"user_id": {"S": "u-1"}}'.""")
    ] = None,
    even_if_old: Annotated[
        bool, typer.Option("--even-if-old", help="Send what is older than its rule allows.")
    ] = False,
    rate: Annotated[float, typer.Option(min=0.1, help="Records a second.")] = 10.0,
    state: StateFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the records, and replay nothing.")] = False,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    json: Json = None,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Give welcome the changes that the archive holds of a window, each under its claim."""
    if function != "welcome":
        raise UsageFault(
            f"--function {function}: only welcome is replayed; derive and index are set right from the items: "
            "`distributary rebuild`"
        )
    item = identity(key_of(key)) if key else ""
    window = Window(moment("--from", begin), moment("--to", end), lambda each: item in ("", identity(each.keys)))
    if window.end <= window.begin:
        raise UsageFault(f"--to {end}: give a time after --from {begin}")
    found = stack_of(context, Where(stack, table, endpoint_url, region, parameter, declared))
    target = found.function(function)
    if key:
        check_key(found.clients("dynamodb"), [table], key_of(key))
    task: dict[str, object] = {
        "command": "replay",
        "function": target.arn,
        "archive": archive,
        "table": table,
        "item": item,
    }
    task |= {"from": window.begin, "to": window.end, "even_if_old": even_if_old}
    steps = Replay(
        archive_of(archive, table, endpoint_url, region),
        window,
        Feed(target.invoke),
        State(state, task),
        even_if_old,
        wait=Pace(rate).take,
    )
    objects = steps.objects()
    if dry_run:
        many = sum(1 for name in objects for _ in steps.changes(name))
        return reported({"records": many}, [f"{many:,} records of {len(objects):,} objects would be replayed"], json, 0)
    with progress({"objects": len(objects)}, command="replay") as told:
        result = replace(steps, told=partial(told, "objects")).run()
    return reported(result.as_json(), _lines(result), json, 1 if result.left else 0)


def _lines(result: Result) -> list[str]:
    lines = [f"{many:>9,}  {end.status:<11} {printable(end.cause)}".rstrip() for end, many in result.ends.most_common()]
    return [*lines, f"{result.records:,} records, {result.left:,} left"]
