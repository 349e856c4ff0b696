"""The console's first page at embedded services: it lists tables, and attaches functions to one of them."""

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from cli import project as projects
from cli.console.mails import Mails
from cli.console.server import application
from cli.console.serving import served
from local.attach import source_table
from local.aws import Aws, said_in_one_line
from local.errors import LocalError
from local.processes import TETHER, Child

LINES = 200
"""Of what `attach` prints, those that are kept."""

SECONDS = 2.0
"""Between two looks at the tables."""

LINK = "console: "


class Starting:
    """Runs `attach --console`, one at a time, in a process of its own that ends with this one. `environment`: over that
    of this process; `options`: of `attach`."""

    def __init__(self, project: Path, aws: Aws, environment: Mapping[str, str], options: Sequence[str] = ()) -> None:
        self._project, self._aws, self._options = project, aws, options
        self._environment = {**os.environ, **environment, **aws.environment(), "COLUMNS": "200"}
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._attach: dict[str, Any] = {"state": "none"}
        self._lines: deque[str] = deque(maxlen=LINES)
        self._tables: list[dict[str, str]] = []
        self._looked = 0.0

    def summary(self) -> dict[str, Any]:
        """All that the page shows. `attach`: its state (none, starting, running, ended), `tables` and `functions`, the
        `link` to its console, and the lines that it `said`."""
        with self._lock:
            attach = {**self._attach, "said": list(self._lines)}
        found = {"kind": "start", "tables": self._listed(), "functions": list(projects.FUNCTIONS), "attach": attach}
        return {**found, "version": str(found)}

    def _listed(self) -> list[dict[str, str]]:
        if time.monotonic() - self._looked > SECONDS or not self._looked:
            with said_in_one_line("the list of tables"):
                pages = self._aws.client("dynamodb", attempts=3).get_paginator("list_tables").paginate()
                names = [name for page in pages for name in page["TableNames"]]
            self._tables = [{"name": name, "why_not": self._why_not(name)} for name in names]
            self._looked = time.monotonic()
        return self._tables

    def _why_not(self, name: str) -> str:
        """Why a table cannot be attached, and how to change that; empty if it can."""
        try:
            source_table(self._aws, name)
        except LocalError as error:
            return str(error)
        return ""

    def attach(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Attaches `functions` to `tables`. Raises ValueError and LookupError."""
        known = [each["name"] for each in self._listed()]
        tables = _chosen("table", known, asked.get("tables"))
        functions = _chosen("function", projects.FUNCTIONS, asked.get("functions"))
        with self._lock:
            if self._attach["state"] in ("starting", "running"):
                raise ValueError("functions are attached already, and running: end them first")
            self._lines.clear()
            self._attach = {"state": "starting", "tables": tables, "functions": functions, "link": ""}
            self._child = self._begin(tables, functions)
            threading.Thread(target=self._follow, args=(self._child,), daemon=True, name="attach").start()
            return dict(self._attach)

    def _begin(self, tables: Sequence[str], functions: Sequence[str]) -> Child:
        root = str(Path(__file__).resolve().parents[2])
        own = ["cli", "--project", str(self._project), "attach", "--console", *self._options]
        command = [sys.executable, str(TETHER), os.pathsep.join([root, *sys.path]), *own, "--", ",".join(tables)]
        return Child([*command, *functions], self._environment, Path.cwd(), subprocess.PIPE)

    def _follow(self, child: Child) -> None:
        """What it prints, until it ends."""
        with suppress(ValueError):  # `end` has closed the pipe
            for line in child.output:
                self._told(line.decode(errors="replace").rstrip())
        child.wait()
        with self._lock:
            if self._child is child:
                self._attach |= {"state": "ended", "link": ""}

    def _told(self, text: str) -> None:
        with self._lock:
            if text.startswith(LINK):
                self._attach |= {"state": "running", "link": text.removeprefix(LINK)}
            elif text:
                self._lines.append(text)

    def end(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """Ends what is attached."""
        with self._lock:
            child = self._child
        if child is not None:
            child.stop(10.0)
        with self._lock:
            if self._child is child and child is not None:
                self._child = None
                self._attach |= {"state": "ended", "link": ""}
            return dict(self._attach)


def _chosen(what: str, known: Sequence[str], given: Any) -> list[str]:
    if not isinstance(given, list) or not given:
        raise ValueError(f"choose a {what}")
    if unknown := [each for each in given if each not in known]:
        raise LookupError(f"there is no {what} '{unknown[0]}': there are {', '.join(known)}")
    return list(dict.fromkeys(given))


@contextmanager
def starting(page: Starting, port: int | None = None) -> Iterator[str]:
    """The link to the page, while the block runs; what it attached ends with it. Raises LocalError if the port is
    taken."""

    def made(token: str, hosts: list[str]) -> Starlette:
        reads = {"/summary": lambda _: page.summary()}
        writes = {"/attach": page.attach, "/end": page.end}
        return application(reads, writes, page.summary, Mails().endpoint, token, hosts)

    try:
        with served(made, port) as link:
            yield link
    finally:
        page.end({})
