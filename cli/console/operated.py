"""A deployed stack as the console's pages need it: everything is read from AWS, nothing is received."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from cli import project as projects
from cli import stack as deployed
from cli.console.downstream import Declarations, Downstream
from cli.console.history import History
from cli.errors import UsageFault
from cli.options import key_of
from cli.status.sections import Look, rows
from cli.trace.command import gathered
from cli.trace.sought import Sought
from distributary.feed.snapshot import Table
from distributary.stream.keys import table_of

SECONDS = 30.0
"""How long a look at the stack is shown to all pages: CloudWatch's metrics are a minute behind anyway."""

NOWHERE = Path("nowhere")
"""No mail is written to this machine."""

Reach = Callable[[str | None], deployed.Clients]
"""Clients of a region; None for the stack's own."""


@dataclass(frozen=True, kw_only=True)
class Operated(Downstream):
    """`acts`: whether the console may redrive and reconcile, which has the stack's functions write."""

    stack: deployed.Stack
    reach: Reach
    project: Path
    acts: bool
    _looks: "_Looks" = field(default_factory=lambda: _Looks())

    @classmethod
    def of(cls, stack: deployed.Stack, reach: Reach, project: Path, acts: bool) -> "Operated":
        """With the tables that the stack's functions read. Raises UsageFault outside a project, and ClientError."""
        found, lock = projects.find(project), threading.Lock()
        tables = tuple(_tables(stack))

        def load(function: str) -> Any:
            keys, name = (tables[0].keys, tables[0].name) if tables else ((), "")
            with projects.declarations(found, function, keys, name) as declared:
                return declared

        return cls(
            history=History(),
            declared=Declarations(load, lock),
            functions=tuple(stack.functions),
            tables=tables,
            outbox=NOWHERE,
            stack=stack,
            reach=reach,
            project=project,
            acts=acts,
        )

    @property
    def deployed(self) -> deployed.Stack:
        """See `Downstream`."""
        return self.stack

    def made(self, service: str, region: str | None) -> Any:
        """See `Downstream`."""
        return self.reach(region)(service)

    @cached_property
    def dynamodb(self) -> Any:
        """See `Downstream`."""
        return self.clients("dynamodb")

    def environment(self, function: str) -> Mapping[str, str]:
        """See `Downstream`. Lambda itself sets the region."""
        region = self.stack.function(function).arn.split(":")[3]
        return {"AWS_REGION": region, **self.stack.function(function).environment}

    def summary(self) -> dict[str, Any]:
        """What every page knows. Nothing arrives by itself."""
        return {
            "kind": "stack",
            "version": 1,
            "name": self.stack.name,
            "tables": self.shown_tables(),
            "branches": list(self.functions),
            "acts": self.acts,
        }

    def status(self, _: Mapping[str, Any] = {}) -> dict[str, Any]:
        """The rows of `distributary status`, as they were `at` an epoch second, at most half a minute ago."""
        return self._looks.newest(lambda: [each.as_json() for each in rows(self._look())])

    def _look(self) -> Look:
        return Look(self.stack, datetime.now(UTC), self.project)

    def trace(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The steps of one change (`what` is its event id) or item (its whole key as JSON), as `distributary trace`
        gathers them of the last `hours`. Raises UsageFault and ValueError."""
        what, hours = str(asked.get("what", "")).strip(), float(asked.get("hours") or 24)
        if not what or not 0 < hours <= 24 * 400:
            raise UsageFault("give an event id or an item's whole key as DynamoDB JSON, and up to 9,600 hours")
        keys = key_of(what) if what.startswith("{") else None
        names = tuple(table.name for table in self.tables)
        since = datetime.now(UTC) - timedelta(hours=hours)
        steps, unread = gathered(self.stack, Sought("" if keys else what, keys, names, since), self.project)
        return {"steps": [each.as_json() for each in steps], "unread": [each.as_json() for each in unread]}


class _Looks:
    """The last look at a stack: several pages that ask at once cause one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at, self._rows, self._until = 0.0, list[dict[str, Any]](), 0.0

    def newest(self, look: Callable[[], list[dict[str, Any]]]) -> dict[str, Any]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._rows, self._at = look(), time.time()
                self._until = time.monotonic() + SECONDS
            return {"at": self._at, "rows": self._rows}


def _tables(stack: deployed.Stack) -> list[Table]:
    """The source tables, as the functions list them."""
    streams = {stream for function in stack.functions.values() for stream in function.sources.values()}
    found = []
    for stream in sorted(streams):
        described = stack.clients("dynamodb").describe_table(TableName=table_of(stream))["Table"]
        keys = sorted(described["KeySchema"], key=lambda each: each["KeyType"])
        found.append(
            Table(table_of(stream), tuple(each["AttributeName"] for each in keys), stream, stream.split(":")[3])
        )
    return found
