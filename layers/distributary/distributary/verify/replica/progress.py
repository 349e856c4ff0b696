"""How far a verification is: a bar on a terminal that has rich, else a line now and then."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec

from distributary.verify.replica.run import Progress

EVERY_SECONDS = 10.0
KINDS = ("items", "rows", "second looks")


@contextmanager
def progress(expected: dict[str, int], to_terminal: bool | None = None) -> Iterator[Progress]:
    """`expected`: how many of each kind there will be, about. Everything goes to stderr."""
    terminal = sys.stderr.isatty() if to_terminal is None else to_terminal
    if not terminal or find_spec("rich") is None:
        yield Lines(expected)
        return
    rich, console = import_module("rich.progress"), import_module("rich.console")
    columns = ("{task.description:<12}", rich.BarColumn(), "{task.completed:>10,.0f}", rich.TimeElapsedColumn())
    with rich.Progress(*columns, console=console.Console(stderr=True)) as bars:
        tasks = {kind: bars.add_task(kind, total=expected.get(kind) or None) for kind in KINDS}
        yield lambda what, number: bars.update(tasks[what], advance=number)


class Lines:
    """One line every ten seconds, for logs."""

    def __init__(self, expected: dict[str, int], clock: Callable[[], float] = time.monotonic) -> None:
        self._expected, self._clock = expected, clock
        self._counts: Counter[str] = Counter()
        self._lock, self._said = threading.Lock(), clock()

    def __call__(self, what: str, number: int) -> None:
        """See `Progress`."""
        with self._lock:
            self._counts[what] += number
            if self._clock() - self._said < EVERY_SECONDS:
                return
            self._said = self._clock()
            print("verify: " + ", ".join(map(self._part, KINDS)), file=sys.stderr, flush=True)

    def _part(self, kind: str) -> str:
        about = f" of about {self._expected[kind]:,}" if self._expected.get(kind) else ""
        return f"{kind} {self._counts[kind]:,}{about}"
