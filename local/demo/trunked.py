"""The five functions in one trunk, and a search engine that is down for a while: `index` alone is deferred."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from distributary.feed.snapshot import Table
from local.attach import source_table
from local.aws import Aws
from local.build import TRUNK
from local.demo import reconcile
from local.demo.chaos import BusyProxy, Poison
from local.demo.compared import Source, compared
from local.demo.faults import Faults
from local.demo.lags import CALM, DEFERRED, FED, OPENING, STAMP, Lags
from local.demo.reconcile import Reconciliation
from local.demo.user_table import FUNCTIONS, POISON_EVERY, REGION, TABLE, UserTable, parameters
from local.demo.workload import KEY_SCHEMA, STREAM, TTL_ATTRIBUTE, Workload
from local.emulators import Endpoints, embedded
from local.errors import LocalError
from local.esm.mapping import Hooks
from local.function_logs import LogFiles
from local.stack import Project, Stack
from local.trunk import Trunk

DOWN = 503
DEFER_AFTER_SECONDS = 3
OPEN_SECONDS, DRAIN_SECONDS = 120.0, 240.0
_STEP = 20
"""So many changes are made between two looks at the breaker."""


@dataclass(frozen=True, slots=True)
class Load:
    """In each round: how many changes are made while all branches answer, as many as while `index` is deferred, and
    again half as many while it is fed; how many a second; how many items there are before. `rounds`: for each, whether
    both parts have the faults."""

    changes: int
    each_second: float
    existing: int = 100
    defer_after: int = DEFER_AFTER_SECONDS
    rounds: tuple[bool, ...] = (True,)


@dataclass(frozen=True, slots=True)
class Round:
    """`lags` by phase. `open_seconds`: from the moment when the search engine went down until `index` was deferred."""

    faulted: bool
    lags: Mapping[str, Sequence[float]]
    open_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    found: Sequence[Reconciliation]
    counts: Mapping[str, Mapping[str, int]]
    fed: Mapping[str, int]
    rounds: Sequence[Round]
    faults: Mapping[str, int]
    seconds: float

    @property
    def lags(self) -> Mapping[str, Sequence[float]]:
        """By phase, of all rounds."""
        phases = dict.fromkeys(phase for each in self.rounds for phase in each.lags)
        return {phase: [lag for each in self.rounds for lag in each.lags.get(phase, ())] for phase in phases}

    @property
    def open_seconds(self) -> float:
        """Of the slowest round."""
        return max(each.open_seconds for each in self.rounds)


@contextmanager
def town(seed: int, load: Load) -> Iterator["Town"]:
    """Services, stack and tables of its own, and the trunk's functions, attached to the stream of its table."""
    project = Project()
    with ExitStack() as held:
        endpoints = held.enter_context(embedded())
        proxy = held.enter_context(BusyProxy(endpoints.opensearch).serving())
        given = {**parameters(proxy.url), "DeferAfterSeconds": str(load.defer_after)}
        logs = LogFiles(project.artifacts / "logs" / TRUNK)
        stack = held.enter_context(Stack(project, Aws.at_emulator(endpoints.aws, REGION), given, logs))
        found = Town(endpoints, stack, proxy, load, seed)
        held.callback(found.stop)
        yield found


class Town:
    """A table whose stream the trunk reads for five functions."""

    def __init__(self, endpoints: Endpoints, stack: Stack, proxy: BusyProxy, load: Load, seed: int) -> None:
        self._endpoints, self._stack, self._proxy, self._load = endpoints, stack, proxy, load
        self._users = UserTable(stack.aws.client("dynamodb"))
        self._workload = Workload(self._put, self._delete, seed)
        self._poison, self._lags = Poison(POISON_EVERY, TTL_ATTRIBUTE), Lags()
        self._lock, self._next, self._said = threading.Lock(), 0.0, list[str]()
        self._existing, self._table = self._filled()
        self._trunk = self._attached()
        functions, mappings = {TRUNK: stack.function(TRUNK)}, {TRUNK: self._trunk.mapping}
        self._faults = Faults(lambda: 0.0, functions, mappings, proxy)

    def stop(self) -> None:
        """Ends the mapping and the feeders."""
        self._trunk.stop()

    def run(self) -> Outcome:
        """Writes, takes the search engine down and up again, waits until all is fed, as often as there are rounds; and
        compares."""
        began = time.monotonic()
        opened = [self._round(at, faulted) for at, faulted in enumerate(self._load.rounds)]
        seconds = time.monotonic() - began
        self._trunk.stop()
        self._faults.counts["malformed records"] = self._poison.slipped_in
        self._faults.counts[f"answers {DOWN}"] = self._proxy.answered[DOWN]
        source = Source(self._table, self._existing, self._workload.born)
        metrics = self._stack.function(TRUNK).metrics
        return Outcome(
            compared(source, self._stack, self._endpoints),
            {name: metrics.counts(name) for name in FUNCTIONS},
            self._trunk.fed,
            [Round(each, self._lags.of(at), opened[at]) for at, each in enumerate(self._load.rounds)],
            self._faults.counts,
            seconds,
        )

    def _round(self, at: int, faulted: bool) -> float:
        """How many seconds it took until `index` was deferred. Each part ends before the next one begins."""
        self._lags.round = at
        self._part(CALM, faulted)
        opened = self._taken_down()
        self._part(DEFERRED, faulted)
        self._lags.phase, self._proxy.status = FED, None
        self._workload.run(self._load.changes // 2)
        self._awaited(self._trunk.drained)
        return opened

    def _filled(self) -> tuple[list[dict[str, Any]], Table]:
        """What the table holds before it has a stream, and the table."""
        client = self._stack.aws.client("dynamodb")
        client.create_table(TableName=TABLE, **KEY_SCHEMA)
        for item in self._workload.existing(self._load.existing):
            self._users.put(item)
        existing = list(reconcile.scan(client, TABLE))
        client.update_table(TableName=TABLE, StreamSpecification=STREAM)
        table, spec = source_table(self._stack.aws, TABLE)
        self._stack.prepare((*FUNCTIONS, TRUNK))
        self._stack.create_replica(spec)
        self._stack.apply_index()
        return existing, table

    def _put(self, item: Mapping[str, Any]) -> None:
        """A write of the application at its turn, with the time at which it is made."""
        self._await_turn()
        now = time.time()
        self._lags.written(now)
        self._users.put({**item, STAMP: Decimal(repr(now))})

    def _delete(self, user_id: str) -> None:
        self._await_turn()
        self._users.delete(user_id)

    def _attached(self) -> Trunk:
        hooks = Hooks(self._poison, self._lags.ended)
        trunk = Trunk.attach(self._stack, self._table.stream_arn, FUNCTIONS, self._said.append, hooks=hooks)
        self._stack.backfill(self._table, FUNCTIONS)
        return trunk

    def _await_turn(self) -> None:
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + 1 / self._load.each_second
        time.sleep(max(0.0, turn - time.monotonic()))

    def _part(self, phase: str, faulted: bool) -> None:
        """The changes of a phase, and until they have ended."""
        self._lags.phase = phase
        if faulted:
            self._disturbed()
        else:
            self._workload.run(self._load.changes)
        self._awaited(self._trunk.mapping.drained)

    def _disturbed(self) -> None:
        """Each phase has the same faults."""
        first, *rest = _parts(self._load.changes)
        faults = self._faults
        caused: Sequence[Callable[[], None]] = (partial(faults.kill, TRUNK), faults.mark, faults.rewind)
        with ThreadPoolExecutor(1) as pool:
            self._workload.run(first)
            for many, fault in zip(rest, caused, strict=True):
                done = pool.submit(fault)
                self._workload.run(many)
                done.result()

    def _taken_down(self) -> float:
        """Goes on writing until `index` is called no more; how many seconds that took."""
        self._lags.phase, self._proxy.status = OPENING, DOWN
        began = time.monotonic()
        while not (row := self._trunk.feeder.breakers.read()["index"]).defers:
            if time.monotonic() > began + OPEN_SECONDS:
                raise LocalError(f"index is {row.state} {OPEN_SECONDS:.0f} s after its search engine went down")
            if self._trunk.mapping.outstanding() < _STEP:
                self._workload.run(_STEP)
            time.sleep(0.05)
        return time.monotonic() - began

    def _awaited(self, drained: Callable[[float], bool]) -> None:
        asked = time.monotonic()
        while not drained(asked):
            if time.monotonic() > asked + DRAIN_SECONDS:
                said = self._said[-1] if self._said else "its feeder said nothing"
                raise LocalError(f"not drained after {DRAIN_SECONDS:.0f} s: {said} (logs: .build/local/logs/{TRUNK})")
            time.sleep(0.2)


def _parts(changes: int) -> list[int]:
    """Four of nearly the same size."""
    return [changes // 4 + (at < changes % 4) for at in range(4)]
