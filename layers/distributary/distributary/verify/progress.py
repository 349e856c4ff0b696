"""How far a command is: bars on a terminal that has rich, else a line every ten seconds."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import TextIO

Progress = Callable[[str, int], None]
"""Called with what was read, and how many more of it; from several threads."""


def silent(_what: str, _number: int) -> None:
    """Progress that is shown nowhere."""


SECONDS = 10.0
"""The time between two lines."""


@contextmanager
def progress(
    expected: Mapping[str, int],
    to: TextIO | None = None,
    now: Callable[[], float] = time.monotonic,
    command: str = "verify",
) -> Iterator[Progress]:
    """`expected` says how much there is of each kind, 0 where that is unknown; a table's count is hours old."""
    stream = to or sys.stderr
    if not stream.isatty() or find_spec("rich") is None:
        yield _Lines(expected, stream, now, command)
        return
    rich, console = import_module("rich.progress"), import_module("rich.console")
    columns = ("{task.description:<12}", rich.BarColumn(), "{task.completed:>12,.0f}", rich.TimeRemainingColumn())
    with rich.Progress(*columns, console=console.Console(file=stream)) as bars:
        tasks = {what: bars.add_task(what, total=many or None) for what, many in expected.items()}
        yield lambda what, number: bars.update(tasks[what], advance=number)


class _Lines:
    def __init__(self, expected: Mapping[str, int], stream: TextIO, now: Callable[[], float], command: str) -> None:
        self._expected, self._stream, self._now, self._command = expected, stream, now, command
        self._read = dict.fromkeys(expected, 0)
        self._lock, self._printed = Lock(), now()

    def __call__(self, what: str, number: int) -> None:
        with self._lock:
            self._read[what] += number
            if self._now() - self._printed < SECONDS:
                return
            self._printed = self._now()
            print(f"{self._command}: " + ", ".join(self._parts()), file=self._stream, flush=True)

    def _parts(self) -> Iterator[str]:
        for what, many in self._expected.items():
            yield f"{what} {self._read[what]:,}" + (f" of about {many:,}" if many else "")
