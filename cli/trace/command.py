"""`distributary trace`: one change, or one item, through every branch."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from cli.deployed import reported
from cli.errors import UsageFault
from cli.item_key import other_key
from cli.options import (
    Declared,
    Json,
    Parameters,
    SourceTable,
    StackEndpoint,
    StackName,
    StackRegion,
    key_of,
    table_names,
)
from cli.stack import Stack
from cli.status.row import Row, readable, shown
from cli.target import Where, stack_of
from cli.trace import sources
from cli.trace.sought import Sought, Step

_EVENT_ID = re.compile(r"[\w:-]+", re.ASCII)
_KEY = 'give an event id, or the item\'s whole key as DynamoDB JSON, {"user_id": {"S": "u-1"}}'


def trace(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="EVENT_ID|KEY", help="A stream record's eventID, or a key as JSON.")],
    stack: StackName = None,
    table: SourceTable = None,
    hours: Annotated[float, typer.Option(min=0.1, help="How far back logs, archive and batches are searched.")] = 24.0,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    json: Json = None,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Gather what a stack knows of one change, or of all changes of an item, in order of time. It only reads.

    Exit status: 0 something was found, 1 nothing was found, 2 something could not be read.
    """
    keys = key_of(what, f"EVENT_ID|KEY: {_KEY}") if what.lstrip().startswith("{") else None
    if keys is None and not _EVENT_ID.fullmatch(what):
        raise UsageFault(f"EVENT_ID|KEY: {_KEY}")
    found = stack_of(context, Where(stack, table, endpoint_url, region, parameter, declared))
    tables = tuple(table_names(table)) if table else sources.tables_of(found) if keys is not None else ()
    sought = Sought("" if keys is not None else what, keys, tables, datetime.now(UTC) - timedelta(hours=hours))
    steps, unread = gathered(found, sought, context.obj)
    if keys is not None and not steps and (fault := other_key(found.clients("dynamodb"), tables, keys)):
        raise UsageFault(f"EVENT_ID|KEY: {fault}")
    lines = [each.line() for each in steps] or [f"nothing was found in the last {hours:g} hours"]
    report = {"steps": [each.as_json() for each in steps], "unread": [each.as_json() for each in unread]}
    status = 2 if unread else 0 if steps else 1
    return reported(report, [*lines, *map(shown, unread)], json, status)


def gathered(stack: Stack, sought: Sought, project: Path) -> tuple[list[Step], list[Row]]:
    """The steps by time, and what could not be read. Archive and parking come first: they tell an item's events.
    `project`: where the rules are declared."""
    steps, unread = list[Step](), list[Row]()

    def gather(check: str, read: Callable[[], Iterator[Step]]) -> None:
        def rows() -> Iterator[Row]:
            for step in read():
                steps.append(step)
            yield from ()

        unread.extend(readable(check, rows))

    if "archive" in stack.functions:
        gather("archive", lambda: sources.archived(stack, sought))
    gather("parked", lambda: sources.parked(stack, sought))
    if "replicate" in stack.functions:
        gather("conflicts", lambda: sources.conflicts(stack, sought))
    if "welcome" in stack.functions:
        gather("claims", lambda: sources.claims(stack, sought, project))
    for branch, function in stack.functions.items():
        gather(f"logs {branch}", lambda function=function: sources.logged(stack, sought, function))  # type: ignore[misc]
    return sorted(steps, key=lambda step: step.time), unread
