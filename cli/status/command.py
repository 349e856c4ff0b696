"""`distributary status`: a deployed stack on one screen."""

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.deployed import reported
from cli.errors import UsageFault
from cli.options import Json, StackEndpoint, StackRegion, checked_endpoint
from cli.stack import Clients, Stack, clients
from cli.status.row import Row, shown, unread
from cli.status.sections import Look, rows
from distributary.consumer.aws import AwsError
from distributary.verify.finding import Level
from distributary.verify.finding import status as status_of

_CLEAR = "\x1b[2J\x1b[H"


def status(
    context: typer.Context,
    stack: Annotated[str, typer.Option(help="The deployed stack.")],
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=5, metavar="SECONDS", help="Between two looks, with --watch.")] = 30.0,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    json: Json = None,
) -> int:
    """Show a deployed stack on one screen: deployment, alarms, mappings, lag, outcomes, streams, parked, drift.

    Exit status: 0 all is well, 1 something needs attention, 2 something could not be read. It only reads.
    """
    if watch and json is not None:
        raise UsageFault("--watch and --json exclude each other: give one of them")
    reach = clients(checked_endpoint(endpoint_url), region)
    while True:
        now = datetime.now(UTC)
        found = look(stack, reach, now, context)
        if not watch:
            report = {"stack": stack, "at": now.isoformat(), "status": status_of(found)}
            rows_of = {"rows": [each.as_json() for each in found]}
            return reported({**report, **rows_of}, screen(found, now), json, status_of(found))
        print(*([_CLEAR] if sys.stdout.isatty() else []), *screen(found, now), sep="\n", flush=True)
        time.sleep(every)


def look(name: str, reach: Clients, now: datetime, context: typer.Context) -> list[Row]:
    """The rows of the screen. Raises ConfigError if there is no such stack."""
    try:
        found = Stack.find(name, reach)
    except AwsError as error:
        return [unread("stack", error)]
    return rows(Look(found, now, context.obj))


def screen(found: Sequence[Row], now: datetime) -> Iterator[str]:
    """For people, the worst at the top of what one reads first: the last line says how it is."""
    yield from map(shown, found)
    faults, unknown = (sum(each.level is level for each in found) for level in (Level.FAULT, Level.UNKNOWN))
    said = f"{faults} need attention" if faults else "nothing needs attention"
    if unknown == len(found):
        said = "nothing could be read"
    elif unknown:
        said += f"; {unknown} could not be read"
    yield f"{now:%Y-%m-%d %H:%M:%S} UTC: {said}"
