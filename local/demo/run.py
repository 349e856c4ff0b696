"""Runs the demo from beginning to end."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from distributary.feed.snapshot import Table
from local.attach import source_table
from local.aws import Aws
from local.build import build
from local.demo import reconcile, report
from local.demo.chaos import BusyProxy, Poison
from local.demo.compared import Source, compared
from local.demo.faults import Faults
from local.demo.memory import PeakMemory
from local.demo.pair import BRANCH, Pair
from local.demo.reconcile import Reconciliation
from local.demo.report import BranchLine, percentile
from local.demo.trunked import Load, Outcome, town
from local.demo.user_table import FUNCTIONS, POISON_EVERY, REGION, TABLE, UserTable, parameters
from local.demo.workload import KEY_SCHEMA, STREAM, TTL_ATTRIBUTE, Workload
from local.emulators import Endpoints, embedded
from local.errors import LocalError
from local.esm.mapping import EventSourceMapping, Hooks
from local.function_logs import LogFiles
from local.stack import Project, Stack

EXISTING = 500
PAIRED = 20
"""Each region of the pair makes one edit for so many changes of the source."""
DRAIN_SECONDS = 240.0
IN_TRUNK = Load(changes=120, each_second=40)


def run(changes: int, seed: int, to: Path, console: Console) -> int:
    """Prints the table and writes the report. Returns 0 if every branch agrees with its source, else 1."""
    started = time.monotonic()
    with PeakMemory() as memory, _bar(console) as bar:
        step = Steps(bar, console)
        with _world(seed, step) as world:
            demo = Demo(world, Workload(world.users.put, world.users.delete, seed), changes, step)
            demo.prepare()
            live = demo.live()
            lines = demo.reconcile(live)
        trunk = _in_a_trunk(seed, step)
        lines += report.of_trunk(trunk)
    seconds = time.monotonic() - started
    report.show(lines, console)
    for found in (*demo.found, *trunk.found):
        for difference in found.differences[: reconcile.SHOWN]:
            console.print(f"{found.branch}: {difference}", style="red", markup=False)
    differ = [line.branch for line in lines if not line.reconciled]
    console.print(
        f"{', '.join(differ)}: not as the source says" if differ else "Every branch is as the source says.",
        style="bold red" if differ else "bold green",
    )
    faults = dict(Counter(live.faults) + Counter(trunk.faults))
    console.print(f"Faults on purpose: {report.injected(faults)}.", markup=False)
    console.print(report.of_outage(trunk), markup=False)
    console.print(f"{seconds:.0f} s, {memory.peak_mb:.0f} MB at most. The report is in {to}.", markup=False)
    report.write(to, lines, seconds, memory.peak_mb, faults)
    return 0 if all(line.reconciled for line in lines) else 1


def _in_a_trunk(seed: int, step: "Steps") -> Outcome:
    with step("the five functions in one trunk, the search engine down for a while", None), town(seed, IN_TRUNK) as it:
        return it.run()


@dataclass(frozen=True, slots=True)
class World:
    """The embedded services, the functions' stack, the source table, and the table of two regions."""

    endpoints: Endpoints
    stack: Stack
    proxy: BusyProxy
    users: UserTable
    pair: Pair


class Steps:
    """Shows the demo's steps: as bars on a terminal, as plain lines elsewhere."""

    def __init__(self, bar: Progress, console: Console) -> None:
        self._bar, self._console = bar, console

    @contextmanager
    def __call__(self, name: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Shows a step while the block runs. The block is given a function that takes how much is done."""
        if not self._console.is_terminal:
            self._console.print(f"{name} ...")
            self._console.file.flush()
        task = self._bar.add_task(name, total=total)
        yield lambda done: self._bar.update(task, completed=done)
        self._bar.update(task, total=total or 1, completed=total or 1)


@contextmanager
def _world(seed: int, step: Steps) -> Iterator[World]:
    """Builds the functions and starts the services at the same time."""
    project = Project()
    with ExitStack() as held:
        with step("starting AWS and OpenSearch, building", None), ThreadPoolExecutor(1) as pool:
            building = pool.submit(build, project.template, FUNCTIONS, project.artifacts)
            endpoints = held.enter_context(embedded())
            building.result()
        proxy = held.enter_context(BusyProxy(endpoints.opensearch).serving())
        aws, logs = Aws.at_emulator(endpoints.aws, REGION), LogFiles(project.artifacts / "logs")
        stack = held.enter_context(Stack(project, aws, parameters(proxy.url), logs))
        pair = held.enter_context(Pair.started(endpoints.aws, seed, lambda _, line: logs(BRANCH, line)))
        yield World(endpoints, stack, proxy, UserTable(aws.client("dynamodb")), pair)


@dataclass(frozen=True, slots=True)
class Live:
    """The results of the live part."""

    seconds: float
    mappings: Mapping[str, EventSourceMapping]
    faults: Mapping[str, int]


class Demo:
    """Prepares the tables, runs the workload, and compares the branches with the source."""

    def __init__(self, world: World, workload: Workload, changes: int, step: Steps) -> None:
        self._world, self._workload, self._changes, self._step = world, workload, changes, step
        self._poison = {name: Poison(POISON_EVERY, TTL_ATTRIBUTE) for name in FUNCTIONS}
        self._table: Table | None = None
        self._existing: list[dict[str, Any]] = []
        self.found: list[Reconciliation] = []

    def prepare(self) -> None:
        """Makes the tables, fills the source, and enables its stream."""
        stack, users = self._world.stack, self._world.users
        with self._step(f"writing {EXISTING} users before the stream", None):
            self._world.pair.prepare()
            users.dynamodb.create_table(TableName=TABLE, **KEY_SCHEMA)
            for item in self._workload.existing(EXISTING):
                users.put(item)
            self._existing = list(reconcile.scan(users.dynamodb, TABLE))
            users.dynamodb.update_table(TableName=TABLE, StreamSpecification=STREAM)
            self._table, spec = source_table(stack.aws, TABLE)
            stack.create_replica(spec)
            stack.apply_index()

    def live(self) -> Live:
        """Runs the workload, the backfill and the faults at the same time, until everything is drained."""
        stack, pair, table, began = self._world.stack, self._world.pair, self._table, time.monotonic()
        assert table is not None
        pair.attach()
        mappings: dict[str, EventSourceMapping] = {}
        for name in FUNCTIONS:
            mappings |= stack.attach(table.stream_arn, [name], hooks=Hooks(transform=self._poison[name]))
        functions = {name: stack.function(name) for name in FUNCTIONS} | pair.functions()
        faults = Faults(self._share_done, functions, mappings | pair.mappings, self._world.proxy)
        stopping = threading.Event()
        with (
            ThreadPoolExecutor(4, thread_name_prefix="demo") as pool,
            self._step("writing changes, with faults", self._changes) as advance,
        ):
            jobs: list[Future[Any]] = [
                pool.submit(self._workload.run, self._changes),
                pool.submit(stack.backfill, table, FUNCTIONS),
                pool.submit(pair.write, self._changes // PAIRED, self._share_done),
                pool.submit(faults.run, stopping),
            ]
            try:
                while not all(job.done() for job in jobs):
                    _raise_errors(jobs)
                    advance(self._workload.done)
                    time.sleep(0.1)
                _raise_errors(jobs)
            finally:
                stopping.set()
                stack.stop_backfill()
        with self._step("draining", None):
            _drain(mappings)
            pair.settle(DRAIN_SECONDS)
        seconds = time.monotonic() - began
        for mapping in mappings.values():
            mapping.stop()
        faults.counts["malformed records"] = sum(poison.slipped_in for poison in self._poison.values())
        faults.counts["conflicts"] = pair.counts()["Conflicts"]
        return Live(seconds, mappings, faults.counts)

    def _share_done(self) -> float:
        return self._workload.done / self._changes

    def reconcile(self, live: Live) -> list[BranchLine]:
        """The report's line for each branch."""
        with self._step("reconciling", None):
            assert self._table is not None
            source = Source(self._table, self._existing, self._workload.born)
            world = self._world
            self.found = [*compared(source, world.stack, world.endpoints), world.pair.reconcile()]
        return [self._line(found, live) for found in self.found]

    def _line(self, found: Reconciliation, live: Live) -> BranchLine:
        pair = self._world.pair
        counts, mappings = pair.counts(), list(pair.mappings.values())
        if found.branch != BRANCH:
            counts = Counter(self._world.stack.function(found.branch).metrics.counts())
            mappings = [live.mappings[found.branch]]
        lags = [lag for mapping in mappings for lag in mapping.tally.lags()]
        return BranchLine(
            branch=found.branch,
            **{name: counts.get(name.capitalize(), 0) for name in report.COUNTS},
            expected=found.expected,
            actual=found.actual,
            excused=found.excused,
            differences=len(found.differences),
            changes_per_second=round(counts.get("Received", 0) / live.seconds, 1),
            lag_p50=round(percentile(lags, 0.5), 1),
            lag_p99=round(percentile(lags, 0.99), 1),
        )


def _bar(console: Console) -> Progress:
    columns = TextColumn("{task.description:<42}"), BarColumn(), TimeElapsedColumn()
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _raise_errors(jobs: Sequence[Future[Any]]) -> None:
    for job in jobs:
        if job.done():
            job.result()


def _drain(mappings: Mapping[str, EventSourceMapping]) -> None:
    asked, until = time.monotonic(), time.monotonic() + DRAIN_SECONDS
    while not all(mapping.drained(asked) for mapping in mappings.values()):
        if time.monotonic() > until:
            left = Counter({name: mapping.outstanding() for name, mapping in mappings.items()})
            raise LocalError(f"not drained after {DRAIN_SECONDS:.0f} s ({dict(left)}): see .build/local/logs")
        time.sleep(0.1)
