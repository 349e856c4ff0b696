"""Drives functions from an existing table's stream."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from distributary.feed.snapshot import Table
from distributary.stream.keys import table_of
from distributary.stream.kinesis import data_stream_of
from local.attach_report import (
    MadeReport,
    Watch,
    counts,
    of_branches,
    say,
    say_due,
    say_places,
    say_undelivered,
    shown,
    went_wrong,
)
from local.aws import Aws, said_in_one_line
from local.errors import LocalError
from local.esm.mapping import Delivering, Hooks, Joined
from local.function_logs import LogFiles
from local.placement import place
from local.reload import Check, Reload
from local.spectator import ALONE, Spectator
from local.stack import Project, Stack
from local.template import TableSpec
from local.trunk import TRUNK, Trunk

_WORK = ("Received", "Reconciled", "Replayed")

GIVES_UP = 8
"""So many deliveries in a row without a record that ended, about 20 seconds, and waiting alone drains no stream."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to attach: a table, as `source_table` found it at `source`, `also` other tables, and functions. `embedded`,
    or else `beside`, says where the functions may keep what they make; see local/placement.py. With a `trunk`, one
    function reads the stream for all of them."""

    table: Table
    spec: TableSpec
    functions: tuple[str, ...]
    source: Aws
    beside: Aws | None
    embedded: bool
    until_drained: bool
    backfill: bool
    parameters: Mapping[str, str]
    also: tuple[Table, ...] = ()
    trunk: bool = False

    @property
    def tables(self) -> tuple[Table, ...]:
        """All of them."""
        return self.table, *self.also

    @property
    def streams(self) -> tuple[str, ...]:
        """Their ARNs."""
        return tuple(table.stream_arn for table in self.tables)


def attach(order: Order, project: Project, console: Console, check: Check, spectator: Spectator = ALONE) -> int:
    """Runs the functions until it is interrupted, or until the stream is drained or a function keeps failing, and
    prints the counts. A function whose declarations change is restarted if `check` finds no fault in them.

    Returns 1 if a change was parked or failed, or if records were given up, else 0. Raises LocalError if a function
    cannot start.
    """
    watch = Watch(LogFiles(project.artifacts / "logs"), console, spectator.line)
    kept = place(order.source, order.beside, order.embedded)
    say(console, kept.line)
    with _stack(kept.at, order, project, watch, spectator) as stack:
        stack.prepare((*order.functions, *((TRUNK,) if order.trunk else ())))
        if "index" in order.functions:
            stack.apply_index()
        if "replicate" in order.functions:
            stack.create_replica(order.spec)
        made = [stack.made(name) for name in order.functions]
        mappings = _trunk(stack, order, console, spectator) if order.trunk else _mappings(stack, order, spectator)
        say_places(stack, order.functions, order.streams, watch.files, console)
        report = MadeReport(made, partial(_received, stack, order.functions), console)
        reload = Reload(stack, _folders(order, project), check, console, restarted=spectator.restarted)
        run, left = _Run(order, kept.at is None, stack, mappings, watch, reload, report), ""
        try:
            with (
                spectator.beside(stack, mappings),
                Live(console=console, get_renderable=lambda: shown(stack, mappings, watch), transient=True),
            ):
                say(console, f"attached to {', '.join(order.streams)}: {', '.join(mappings)}")
                left = run.until_done()
        except KeyboardInterrupt:
            console.print("interrupted")
        for mapping in mappings.values():
            mapping.stop()
        report.print()
        console.print(counts(stack, mappings))
        if order.trunk:
            console.print(of_branches(stack, order.functions))
        say_due(stack, order.functions, ",".join(map(table_of, order.streams)), console)
        say_undelivered({name: mapping.tally for name, mapping in mappings.items()}, console)
        if left:
            say(console, left)
        wrong = any(went_wrong(stack, name, mapping) for name, mapping in mappings.items())
        return 1 if left or wrong or any(each.parked for each in mappings.values() if isinstance(each, Trunk)) else 0


def _mappings(stack: Stack, order: Order, spectator: Spectator) -> dict[str, Delivering]:
    """By function. Each is made with all streams before the first delivers."""
    for name in order.functions:
        stack.function(name, *order.streams)
    hooks = {name: Hooks(watcher=spectator.watcher(name)) for name in order.functions}
    attached = [
        {name: stack.attach(stream, [name], order.source, hooks[name])[name] for name in order.functions}
        for stream in order.streams
    ]
    return {name: Joined(tuple(each[name] for each in attached)) for name in order.functions}


def _trunk(stack: Stack, order: Order, console: Console, spectator: Spectator) -> dict[str, Delivering]:
    """One mapping for all functions, which themselves take what was deferred."""
    hooks, stream = Hooks(watcher=spectator.watcher(TRUNK)), order.table.stream_arn
    told = partial(say, console)
    return {TRUNK: Trunk.attach(stack, stream, order.functions, told, order.source, hooks)}


@dataclass(frozen=True, slots=True)
class _Run:
    """The attached functions while they run."""

    order: Order
    embedded: bool
    stack: Stack
    mappings: Mapping[str, Delivering]
    watch: Watch
    reload: Reload
    report: MadeReport
    stuck: "_Stuck" = field(default_factory=lambda: _Stuck({}))

    def until_done(self) -> str:
        """Watches the functions. If `order.until_drained`, it returns when the stream is drained, or why it never will
        be; else never."""
        asked, order = time.monotonic(), self.order
        fill = partial(self.stack.backfill, names=order.functions, source=order.source, first_fill=self._first_fill())
        with ThreadPoolExecutor(1, thread_name_prefix="backfill") as pool:
            filling = [pool.submit(fill, table) for table in order.tables] if order.backfill else []
            try:
                while not (order.until_drained and _settled(filling) and self._drained(asked)):
                    self._look()
                    failing = self.stuck.found(self.mappings) if order.until_drained else None
                    if failing:
                        cause = self.watch.causes.get(failing, "see its log")
                        return f"{failing}: not drained, its changes keep failing: {cause}: fix it, then run this again"
                    time.sleep(0.2)
                return ""
            finally:
                self.stack.stop_backfill()

    def _first_fill(self) -> bool:
        """Whether nothing was ever written downstream: everything is embedded in this run, including the index."""
        return self.embedded and "OpenSearchEndpoint" not in self.order.parameters

    def _look(self) -> None:
        for name, mapping in self.mappings.items():
            mapping.check()
            if error := self.stack.function(name).start_error():
                raise LocalError(f"{name} cannot start: {error} (log: {self.watch.files.path(name)})")
        self.reload.look()
        self.report.look()

    def _drained(self, since: float) -> bool:
        return all(mapping.drained(since) for mapping in self.mappings.values())


@dataclass(frozen=True, slots=True)
class _Stuck:
    """Finds the mapping that delivers the same records again and again. `since`: by function, how many records had
    ended when one ended last, and how many batches had been delivered again by then."""

    since: dict[str, tuple[int, int]]

    def found(self, mappings: Mapping[str, Delivering]) -> str | None:
        """The name of a function, if there is such a mapping."""
        for name, mapping in mappings.items():
            counts = mapping.tally.counts()
            ended, again = counts.get("done", 0) + counts.get("discarded", 0), counts.get("retried", 0)
            if self.since.setdefault(name, (ended, again))[0] != ended:
                self.since[name] = ended, again
            if again - self.since[name][1] >= GIVES_UP:
                return name
        return None


def _settled(filling: Sequence[Future[int]]) -> bool:
    return all(each.done() for each in filling) and all(each.result() >= 0 for each in filling)


def _received(stack: Stack, functions: Sequence[str]) -> int:
    return sum(sum(stack.counted(name).get(each, 0) for each in _WORK) for name in functions)


def _folders(order: Order, project: Project) -> dict[str, list[Path]]:
    declared = project.declared
    return {
        name: [project.template.source(name).folder, *([declared[name]] if name in declared else [])]
        for name in order.functions
    }


def source_table(source: Aws, name: str, kinesis: str = "") -> tuple[Table, TableSpec]:
    """A table with its stream, or with the Kinesis data stream of this name, and its key. Raises LocalError with the
    command that enables it, if the table has no stream with both images, or does not write into the data stream."""
    with said_in_one_line(f"the table {name}"):
        client = source.client("dynamodb", attempts=3)
        found = client.describe_table(TableName=name)["Table"]
        named = client.describe_kinesis_streaming_destination(TableName=name) if kinesis else {}
    stream = found.get("StreamSpecification") or {}
    if kinesis:
        arn = f"{found['TableArn']}/stream/kinesis/{kinesis}"
        _check_destination(source, name, arn, named["KinesisDataStreamDestinations"])
    elif stream.get("StreamEnabled") and stream.get("StreamViewType") == "NEW_AND_OLD_IMAGES":
        arn = found["LatestStreamArn"]
    else:
        raise LocalError(_how_to_enable(source, name, bool(stream.get("StreamEnabled"))))
    keys = sorted(found["KeySchema"], key=lambda each: each["KeyType"])
    names = tuple(each["AttributeName"] for each in keys)
    attributes = tuple(each for each in found["AttributeDefinitions"] if each["AttributeName"] in names)
    return Table(name, names, arn, source.region), TableSpec(name, tuple(keys), attributes)


def _check_destination(source: Aws, name: str, arn: str, destinations: Sequence[Mapping[str, Any]]) -> None:
    data_stream = data_stream_of(arn)
    if not any(
        each["StreamArn"] == data_stream and each["DestinationStatus"] in ("ACTIVE", "UPDATING")
        for each in destinations
    ):
        place = f" --endpoint-url {source.endpoint}" if source.endpoint else ""
        raise LocalError(
            f"{name} does not write into {data_stream}: aws dynamodb enable-kinesis-streaming-destination --region "
            f"{source.region}{place} --table-name {name} --stream-arn {data_stream} "
            "--enable-kinesis-streaming-configuration ApproximateCreationDateTimePrecision=MICROSECOND"
        )


def _how_to_enable(source: Aws, name: str, has_other: bool) -> str:
    place = f" --endpoint-url {source.endpoint}" if source.endpoint else ""
    update = f"aws dynamodb update-table --region {source.region}{place} --table-name {name} --stream-specification"
    enable = f"{update} StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"
    if has_other:
        return f"the stream of {name} lacks NEW_AND_OLD_IMAGES: {update} StreamEnabled=false, then: {enable}"
    return f"{name} has no stream: {enable}"


def _stack(
    at: Aws | None, order: Order, project: Project, watch: Watch, spectator: Spectator
) -> AbstractContextManager[Stack]:
    parameters, through = {**order.parameters, **spectator.parameters}, spectator.through
    if at is None:
        region, outbox = order.source.region, project.outbox
        return Stack.start(project, parameters, region, log=watch, outbox=outbox, through=through)
    return Stack(project, at, parameters, watch, through)
