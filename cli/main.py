"""The `distributary` command: its help page, its commands, and what becomes of their errors."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.exceptions import TyperException

from cli import (
    archive,
    declared,
    deployed,
    erasing,
    events,
    feeding,
    indexing,
    invoking,
    parking,
    rebuilding,
    replaying,
    running,
    trunk,
)
from cli.console import command as console
from cli.errors import DeclarationFaults, UsageFault
from cli.monthly import command as monthly
from cli.status import command as seeing
from cli.trace import command as tracing
from distributary import __version__
from distributary.consumer.aws import how_to_reach
from distributary.errors import ConfigError, DistributaryError
from local.errors import LocalError

app = typer.Typer(
    help="Carries every change of a DynamoDB table onward: derived tables, OpenSearch, messages, replicas, an archive.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(running.up)
app.command()(running.attach)
app.command()(console.console)
app.command()(invoking.invoke)
app.command()(running.demo)
app.command()(declared.views)
app.command()(monthly.costs)
app.command()(declared.preview)
app.command("event")(events.event)
app.add_typer(indexing.app, name="index")
app.add_typer(deployed.verify, name="verify")
app.add_typer(archive.app, name="archive")
app.command()(deployed.doctor)
app.command()(seeing.status)
app.command()(tracing.trace)
app.command()(erasing.erase)
app.command()(feeding.backfill)
app.command()(rebuilding.rebuild)
app.command()(rebuilding.retire)
app.command()(replaying.replay)
app.add_typer(parking.app, name="parked")
app.command()(trunk.pause)
app.command()(trunk.resume)
app.command()(trunk.deferred)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    project: Annotated[
        Path, typer.Option(metavar="DIR", help="The project, or a folder in it (default: the current folder).")
    ] = Path(),
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What holds for every command."""
    context.obj = project


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 success, 1 a difference, a failure or wrong declarations, 2 wrong usage or not completed.

    What a user can fix is a line on stderr for each fault.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        given = sys.argv[1:] if arguments is None else list(arguments)
        return int(app(args=given, prog_name="distributary", standalone_mode=False) or 0)
    except DeclarationFaults as error:
        return _failed(1, *error.faults)
    except ConfigError as error:
        return _failed(2, *error.faults)
    except DistributaryError as error:
        return _failed(2, f"stopped: {error}; run it again")
    except BotoCoreError as error:
        return _failed(2, how_to_reach(error) or str(error))
    except (LocalError, UsageFault, OSError, ClientError) as error:
        return _failed(2, str(error))
    except TyperException as error:
        return _failed(2, f"{error.format_message()} (see --help)" if error.format_message() else "see --help")
    except (KeyboardInterrupt, typer.Abort):
        return _failed(130, "interrupted")


def _failed(status: int, *lines: str) -> int:
    for line in lines:
        print(" ".join(line.split()), file=sys.stderr)
    return status


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends the command as an interrupt at the keyboard does: everything is stopped in order."""
    raise KeyboardInterrupt
