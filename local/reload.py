"""Restarts a function whose declarations changed while it was attached."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from local.attach_report import say
from local.errors import LocalError
from local.stack import Stack

Check = Callable[[str], Sequence[str]]
"""The faults of a function's declarations, one line each; none if they are right."""

Files = Mapping[Path, tuple[int, int]]
"""Each file with the time of its last change, in nanoseconds, and its size."""


class Reload:
    """Looks at the folders of declarations, and restarts the functions that follow them."""

    def __init__(
        self,
        stack: Stack,
        folders: Mapping[str, Sequence[Path]],
        check: Check,
        console: Console,
        seconds: float = 0.5,
        restarted: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`folders`: by function, where its files are. `seconds`: between two looks. `restarted` is told which function
        was."""
        self._stack, self._folders, self._check, self._console = stack, folders, check, console
        self._seconds, self._next, self._restarted = seconds, 0.0, restarted
        self._running = {name: _files(paths) for name, paths in folders.items()}
        self._seen = dict(self._running)

    def look(self) -> None:
        """Restarts what changed. A file that still changes between two looks is left for the next one: an editor may be
        in the middle of writing it."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._seconds
        for name, paths in self._folders.items():
            found = _files(paths)
            settled, self._seen[name] = found == self._seen[name], found
            if settled and found != self._running[name]:
                self._running[name] = found
                self._restart(name)

    def _restart(self, name: str) -> None:
        faults = self._check(name)
        for fault in faults:
            say(self._console, f"{fault} (the function keeps its last declarations)")
        if faults:
            return
        try:
            self._stack.restart(name)
        except LocalError as error:
            say(self._console, f"{name}: not restarted: {error}")
            return
        self._restarted(name)
        say(self._console, f"{name}: restarted with the changed declarations")


def _files(folders: Sequence[Path]) -> Files:
    found: dict[Path, tuple[int, int]] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if "__pycache__" in path.parts or not path.is_file():
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found[path] = status.st_mtime_ns, status.st_size
    return found
