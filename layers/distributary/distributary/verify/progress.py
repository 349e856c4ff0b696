"""How far a command is, how fast, and how long the rest takes: bars on a terminal that has rich, else a line every ten
seconds."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import Any, Protocol, TextIO

from distributary.verify.report import printable

Progress = Callable[[str, int], None]
"""Called with what was read, and how many more of it; from several threads."""


class ProgressWithCause(Protocol):
    """The same, of a command that gives things to a function."""

    def __call__(self, what: str, number: int, cause: str = "") -> None:
        """`cause`: why some of them are not done."""


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
) -> Iterator[ProgressWithCause]:
    """`expected` says how much there is of each kind, 0 where that is unknown; a table's count is hours old."""
    stream = to or sys.stderr
    if not stream.isatty() or find_spec("rich") is None:
        yield _Lines(expected, stream, now, command)
        return
    rich, console = import_module("rich.progress"), import_module("rich.console")
    columns = [
        "{task.description:<12}",
        rich.BarColumn(),
        "{task.completed:>12,.0f}",
        "{task.fields[speed]:>9}",
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.fields[cause]}", markup=False),
    ]
    with rich.Progress(*columns, console=console.Console(file=stream)) as bars:
        yield _Bars(bars, expected, now)


class _Bars:
    def __init__(self, bars: Any, expected: Mapping[str, int], now: Callable[[], float]) -> None:
        self._bars, self._now, self._begun = bars, now, now()
        self._tasks = {
            what: bars.add_task(what, total=many or None, speed="", cause="") for what, many in expected.items()
        }
        self._read, self._lock = dict.fromkeys(expected, 0), Lock()

    def __call__(self, what: str, number: int, cause: str = "") -> None:
        with self._lock:
            self._read[what] += number
            speed = _per_second(self._read[what], self._now() - self._begun)
        shown = {"cause": f"not done: {printable(cause)}"} if cause else {}
        self._bars.update(self._tasks[what], advance=number, speed=_shown(speed), **shown)


class _Lines:
    def __init__(self, expected: Mapping[str, int], stream: TextIO, now: Callable[[], float], command: str) -> None:
        self._expected, self._stream, self._now, self._command = expected, stream, now, command
        self._read, self._cause = dict.fromkeys(expected, 0), ""
        self._lock, self._begun = Lock(), now()
        self._printed = self._begun

    def __call__(self, what: str, number: int, cause: str = "") -> None:
        with self._lock:
            self._read[what] += number
            self._cause = cause or self._cause
            if self._now() - self._printed < SECONDS:
                return
            self._printed = self._now()
            last = f"; not done: {printable(self._cause)}" if self._cause else ""
            print(f"{self._command}: {', '.join(self._parts())}{last}", file=self._stream, flush=True)

    def _parts(self) -> Iterator[str]:
        for what, many in self._expected.items():
            read = self._read[what]
            speed = _per_second(read, self._printed - self._begun)
            of = f" of about {many:,}" if many else ""
            left = f", {_duration((many - read) / speed)} left" if many > read and speed else ""
            yield f"{what} {read:,}{of}" + (f" ({_shown(speed)}{left})" if speed else "")


def _per_second(read: int, seconds: float) -> float:
    return read / seconds if seconds > 0 else 0.0


def _shown(per_second: float) -> str:
    return f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.1f}/s"


def _duration(seconds: float) -> str:
    """As hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
