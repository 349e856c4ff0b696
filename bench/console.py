"""What the console costs `attach`: changes a second with and without it, over the same stream, in pairs.

`python -m bench.console CHANGES PAIRS FUNCTION...`. A page is open all the time, and its own work is counted as well.
"""

import io
import resource
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from bench.console_page import opened
from cli import project as projects
from cli.console.downstream import Declarations
from cli.console.watching import Watching
from cli.running import declared_by, faults_of
from local.attach import Order, attach, source_table
from local.aws import Aws
from local.emulators import Endpoints, embedded
from local.esm.mapping import Delivering
from local.esm.records import Record
from local.esm.watching import Delivered, Watcher
from local.recording.recorded import recording
from local.spectator import ALONE, Spectator
from local.stack import Project, Stack

ROOT = Path(__file__).resolve().parents[1]
TABLE = "users"
FUNCTIONS = ("derive", "replicate", "archive")


@dataclass
class Clock:
    """When the first record was read and the last one ended."""

    first: float = 0.0
    last: float = 0.0
    ended: int = 0


class Timed:
    """A spectator that another one sits behind, with the time of the first and the last record. `printed`: where the
    console's link is, None without a console."""

    def __init__(self, inner: Spectator, printed: io.StringIO | None) -> None:
        self.clock, self.loads, self._inner, self._lock = Clock(), 0, inner, threading.Lock()
        self._printed = printed
        self.parameters: Mapping[str, str] = inner.parameters
        self.line, self.through, self.restarted = inner.line, inner.through, inner.restarted

    def watcher(self, function: str) -> Watcher:
        """See `Spectator`."""
        return _TimedWatcher(self.clock, self._lock, self._inner.watcher(function))

    @contextmanager
    def beside(self, stack: Stack, mappings: Mapping[str, Delivering]) -> Iterator[None]:
        """See `Spectator`."""
        with self._inner.beside(stack, mappings):
            if self._printed is None:
                yield
                return
            with opened(self._printed.getvalue()) as page:
                yield
                self.loads = page.loads


class _TimedWatcher:
    def __init__(self, clock: Clock, lock: threading.Lock, inner: Watcher) -> None:
        self._clock, self._lock, self._inner = clock, lock, inner

    def read(self, shard: str, records: Sequence[Record], filtered: Sequence[Mapping[str, Any]]) -> None:
        """See `Watcher`."""
        with self._lock:
            self._clock.first = self._clock.first or time.monotonic()
        self._inner.read(shard, records, filtered)

    def delivered(self, delivered: Delivered) -> None:
        """See `Watcher`."""
        self._inner.delivered(delivered)

    def ended(self, shard: str, done: Sequence[Record], discarded: Sequence[Record], /) -> None:
        """See `Watcher`."""
        self._inner.ended(shard, done, discarded)
        with self._lock:
            self._clock.last = time.monotonic()
            self._clock.ended += len(done)


@contextmanager
def _console(found: projects.Found, order: Order, project: Project, screen: Console) -> Iterator[Spectator]:
    lock = threading.Lock()
    declared = Declarations(partial(declared_by, found, order.tables), lock)
    with recording() as recorded:
        yield Watching(
            order.functions, order.tables, order.source, project.outbox, declared, screen, recorded, None, True
        )


def run(endpoints: Endpoints, functions: tuple[str, ...], name: str, with_console: bool) -> tuple[float, float]:
    """One attach over the whole stream, with tables of its own: changes that each function ended in a second, and
    seconds of CPU of everything that ran for it."""
    aws, printed = Aws.at_emulator(endpoints.aws, "us-east-1"), io.StringIO()
    screen = Console(file=printed, width=200)
    found = projects.find(ROOT)
    project = Project(ROOT, ROOT / ".build" / "bench-console", {}, name)
    described, spec = source_table(aws, TABLE)
    parameters = {"OpenSearchEndpoint": endpoints.opensearch, "OpenSearchService": "none", "ReplicaTableName": name}
    order = Order(described, spec, functions, aws, None, False, True, False, parameters)
    check = partial(faults_of, threading.Lock(), found, [described])
    beside = _console(found, order, project, screen) if with_console else nullcontext(ALONE)
    before = _cpu()
    with beside as spectator:
        timed = Timed(spectator, printed if with_console else None)
        attach(order, project, screen, check, timed)
    clock = timed.clock
    if with_console and not timed.loads:
        raise RuntimeError("the page saw nothing")
    return clock.ended / len(functions) / (clock.last - clock.first), _cpu() - before


def _cpu() -> float:
    """Of this process, of all that it started and that has ended, and of what runs still: the embedded services."""
    ended = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    running = [each.cpu_times() for each in psutil.Process().children(recursive=True)]
    return sum(each.ru_utime + each.ru_stime for each in ended) + sum(each.user + each.system for each in running)


def fill(endpoints: Endpoints, changes: int) -> None:
    """Users, as the project's declarations have them."""
    client = Aws.at_emulator(endpoints.aws, "us-east-1").client("dynamodb")
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "user_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "user_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    for first in range(0, changes, 25):
        items = [_user(number) for number in range(first, min(changes, first + 25))]
        client.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": item}} for item in items]})


def _user(number: int) -> dict[str, Any]:
    return {
        "user_id": {"S": f"u{number}"},
        "email": {"S": f"u{number}@example.com"},
        "name": {"S": f"User {number}"},
        "status": {"S": ("active", "new", "closed")[number % 3]},
        "visits": {"N": str(number % 97)},
        "avatar": {"S": "x" * 300},
    }


def main() -> int:
    """Prints each pair, and the best of each side: changes a second, and seconds of CPU, which say more on a busy
    machine. 1 if the console costs more than a tenth of the changes a second."""
    changes, pairs, *given = [*sys.argv[1:], *("4000", "5")[len(sys.argv) - 1 :]]
    functions = tuple(given) or FUNCTIONS
    best, least = {True: 0.0, False: 0.0}, {True: float("inf"), False: float("inf")}
    with embedded() as endpoints:
        fill(endpoints, int(changes))
        run(endpoints, functions, "warm", False)
        for pair in range(int(pairs)):
            for at, console in enumerate((True, False) if pair % 2 else (False, True)):
                each_second, cpu = run(endpoints, functions, f"p{pair}{'ab'[at]}", console)
                best[console], least[console] = max(best[console], each_second), min(least[console], cpu)
                which = "with the console" if console else "alone"
                print(f"pair {pair + 1}: {which}: {each_second:.0f} changes a second, {cpu:.1f} s of CPU", flush=True)
    share = best[True] / best[False]
    print(f"best: {best[False]:.0f} a second alone, {best[True]:.0f} with the console: {share:.1%}")
    ratio = least[False] / least[True]
    print(f"least: {least[False]:.1f} s of CPU alone, {least[True]:.1f} with the console: {ratio:.1%}")
    return 0 if share >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
