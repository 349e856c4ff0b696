"""The console beside `attach`: it sees what functions do, and serves its pages until they end."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from starlette.applications import Starlette

from cli.console import lanes, pages
from cli.console.attached import Attached
from cli.console.downstream import Declarations
from cli.console.history import History
from cli.console.mails import Mails
from cli.console.parked import Redrives
from cli.console.recorder import MappingWatcher, Recorder
from cli.console.server import application
from cli.console.serving import served
from distributary.feed.snapshot import Table
from local.attach_report import say
from local.aws import Aws
from local.esm.mapping import Delivering
from local.recording.recorded import Recorded
from local.runtime import Environment
from local.stack import Stack


class Watching:
    """See `local.spectator.Spectator`. The functions' own logs name the outcome of each change at DEBUG."""

    parameters: Mapping[str, str] = {"LogLevel": "DEBUG"}

    def __init__(
        self,
        functions: Sequence[str],
        tables: Sequence[Table],
        source: Aws,
        outbox: Path,
        declared: Declarations,
        console: Console,
        recorded: Recorded,
        port: int | None = None,
        writable: bool = False,
    ) -> None:
        self._functions, self._tables, self._source = tuple(functions), tuple(tables), source
        self._outbox, self._declared, self._console, self._port = outbox, declared, console, port
        self._writable, self._recorded = writable, recorded
        self._history = History()
        self._recorder = Recorder(self._history)

    def line(self, line: str) -> bool:
        """See `Spectator`."""
        return self._recorder.line(line)

    def watcher(self, function: str) -> MappingWatcher:
        """See `Spectator`."""
        return self._recorder.watcher(function)

    def through(self, function: str, environment: Environment) -> Environment:
        """See `Spectator`. Requests are written down."""
        return self._recorded.through(function, environment)

    def restarted(self, function: str) -> None:
        """See `Spectator`."""
        self._declared.forget(function)
        self._history.forget_entities()

    @contextmanager
    def beside(self, stack: Stack, mappings: Mapping[str, Delivering]) -> Iterator[None]:
        """Serves the pages, and prints their link."""
        attached = Attached(
            history=self._history,
            declared=self._declared,
            functions=self._functions,
            tables=self._tables,
            source=self._source,
            stack=stack,
            mappings=mappings,
            outbox=self._outbox,
            recorded=self._recorded,
            writable=self._writable,
        )

        self._recorded.crash = lambda function: stack.function(function).kill()
        self._recorded.renew = lambda function: stack.function(function).renew()

        def made(token: str, hosts: list[str]) -> Starlette:
            mails, redrives = Mails(), Redrives(attached)
            reads, writes = pages.reads(attached, mails, redrives), pages.writes(attached, redrives)
            return application(reads, writes, lambda: lanes.summary(attached), mails.endpoint, token, hosts)

        with served(made, self._port) as link:
            say(self._console, f"console: {link}")
            yield
