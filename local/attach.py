"""Drives functions from an existing table's stream."""

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from local.aws import Aws, said_in_one_line
from local.backfill import Table
from local.errors import LocalError
from local.esm.mapping import EventSourceMapping
from local.esm.tally import Tally
from local.function_logs import LogFiles
from local.stack import Project, Stack
from local.template import TableSpec

_COUNTS = ("Received", "Applied", "Superseded", "Ignored", "Parked", "Failed")
_PLACES = {
    "DERIVED_TABLE": "rows in table {}",
    "OPENSEARCH_ENDPOINT": "documents in OpenSearch at {}",
    "CLAIM_TABLE": "claims of messages in table {}",
    "REPLICA_TABLE": "rows in table {}",
    "ARCHIVE_BUCKET": "changes in s3://{}",
}
"""Where a function keeps what it makes, by the variable of its environment that names the place."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to attach. Without `embedded`, the functions' tables are made where the source is."""

    table: str
    functions: tuple[str, ...]
    source: Aws
    embedded: bool
    until_drained: bool
    backfill: bool
    parameters: Mapping[str, str]


class Watch:
    """Keeps the functions' log files, and prints the cause of each change that is parked or failed, as it happens."""

    def __init__(self, files: LogFiles, console: Console) -> None:
        self.files, self._console = files, console
        self.causes: dict[str, str] = {}

    def last(self) -> list[tuple[str, str]]:
        """The last cause of each function that has one."""
        return sorted(self.causes.copy().items())

    def __call__(self, function: str, line: str) -> None:
        """Takes a line of a function's log."""
        self.files(function, line)
        try:
            entry = json.loads(line)
            message, cause = entry["message"], str(entry["cause"])
        except (ValueError, LookupError, TypeError):
            return
        if message in ("parked", "failed"):
            which = f"event {entry['event_id']}" if "event_id" in entry else f"{entry.get('changes', 1)} changes"
            self.causes[function] = cause
            self._console.print(
                f"{function}: {message}: {which}: {cause}", soft_wrap=True, markup=False, highlight=False
            )


def attach(order: Order, project: Project, console: Console) -> int:
    """Runs until interrupted, or until the stream is drained; prints the counts. 1 if a change was parked or failed, or
    if records were given up, else 0."""
    table, spec = source_table(order.source, order.table)
    watch = Watch(LogFiles(project.artifacts / "logs"), console)
    with _stack(order, project, watch) as stack:
        stack.prepare(order.functions)
        if "index" in order.functions:
            stack.apply_index()
        if "replicate" in order.functions:
            stack.create_replica(spec)
        mappings = stack.attach(table.stream_arn, order.functions, order.source)
        _say_places(stack, order.functions, table.stream_arn, watch, console)
        try:
            with Live(console=console, get_renderable=lambda: _shown(stack, mappings, watch), transient=True):
                _run(order, stack, table, mappings, console)
        except KeyboardInterrupt:
            console.print("interrupted")
        for mapping in mappings.values():
            mapping.stop()
        console.print(_counts(stack, mappings))
        say_undelivered({name: mapping.tally for name, mapping in mappings.items()}, console)
        return 1 if any(_went_wrong(stack, name, mapping) for name, mapping in mappings.items()) else 0


def say_undelivered(tallies: Mapping[str, Tally], console: Console) -> None:
    """Names, by function, the records that were given up and that no destination took: nothing else keeps them."""
    for name, tally in tallies.items():
        for line in tally.undelivered():
            console.print(f"{name}: given up: {line}", soft_wrap=True, markup=False, highlight=False)


def _went_wrong(stack: Stack, name: str, mapping: EventSourceMapping) -> bool:
    counts = stack.function(name).metrics.counts()
    return bool(mapping.tally.counts().get("discarded") or counts.get("Parked") or counts.get("Failed"))


def _say_places(stack: Stack, functions: Sequence[str], stream_arn: str, watch: Watch, console: Console) -> None:
    for name in functions:
        environment = stack.spec(name, stream_arn).environment
        places = [text.format(environment[each]) for each, text in _PLACES.items() if environment.get(each)]
        bucket = environment["PARKING_BUCKET"]
        places += [f"parked changes in s3://{bucket}/parked/{name}/", f"log in {watch.files.path(name)}"]
        console.print(f"{name}: {'; '.join(places)}", soft_wrap=True, markup=False, highlight=False)


def source_table(source: Aws, name: str) -> tuple[Table, TableSpec]:
    """A table with its stream, and its key. LocalError with the mend if it has no stream of both images."""
    with said_in_one_line(f"the table {name}"):
        found = source.client("dynamodb").describe_table(TableName=name)["Table"]
    stream = found.get("StreamSpecification") or {}
    if not stream.get("StreamEnabled") or stream.get("StreamViewType") != "NEW_AND_OLD_IMAGES":
        raise LocalError(_mend(source, name, bool(stream.get("StreamEnabled"))))
    keys = sorted(found["KeySchema"], key=lambda each: each["KeyType"])
    names = tuple(each["AttributeName"] for each in keys)
    attributes = tuple(each for each in found["AttributeDefinitions"] if each["AttributeName"] in names)
    return Table(name, names, found["LatestStreamArn"], source.region), TableSpec(name, tuple(keys), attributes)


def _mend(source: Aws, name: str, has_other: bool) -> str:
    place = f" --endpoint-url {source.endpoint}" if source.endpoint else ""
    update = f"aws dynamodb update-table --region {source.region}{place} --table-name {name} --stream-specification"
    enable = f"{update} StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"
    if has_other:
        return f"the stream of {name} lacks NEW_AND_OLD_IMAGES: {update} StreamEnabled=false, then: {enable}"
    return f"{name} has no stream: {enable}"


def _stack(order: Order, project: Project, watch: Watch) -> AbstractContextManager[Stack]:
    if order.embedded:
        return Stack.start(project, order.parameters, order.source.region, log=watch)
    return Stack(project, order.source, order.parameters, watch)


def _run(
    order: Order, stack: Stack, table: Table, mappings: Mapping[str, EventSourceMapping], console: Console
) -> None:
    console.print(f"attached to {table.stream_arn}: {', '.join(mappings)}", soft_wrap=True)
    asked, fill = time.monotonic(), partial(stack.backfill, table, order.functions, order.source)
    with ThreadPoolExecutor(1, thread_name_prefix="backfill") as pool:
        filling = [pool.submit(fill, first_fill=order.embedded)] if order.backfill else []
        try:
            while not (order.until_drained and _settled(filling) and _drained(mappings.values(), asked)):
                for mapping in mappings.values():
                    mapping.check()
                time.sleep(0.2)
        finally:
            stack.stop_backfill()


def _settled(filling: Sequence[Future[int]]) -> bool:
    return all(each.done() for each in filling) and all(each.result() >= 0 for each in filling)


def _drained(mappings: Any, since: float) -> bool:
    return all(mapping.drained(since) for mapping in mappings)


def _shown(stack: Stack, mappings: Mapping[str, EventSourceMapping], watch: Watch) -> Group:
    causes = [Text(f"{name}: last cause: {cause}", no_wrap=True, overflow="ellipsis") for name, cause in watch.last()]
    return Group(_counts(stack, mappings), *causes)


def _counts(stack: Stack, mappings: Mapping[str, EventSourceMapping]) -> Grid:
    grid = Grid(box=None)
    for heading in (
        "function",
        "delivered",
        *(name.lower() for name in _COUNTS),
        "retried",
        "bisected",
        "discarded",
        "lag",
    ):
        grid.add_column(heading, justify="left" if heading == "function" else "right", no_wrap=True)
    for name, mapping in mappings.items():
        counts, metrics = mapping.tally.counts(), stack.function(name).metrics.counts()
        ours = [counts.get("delivered", 0), *(metrics.get(each, 0) for each in _COUNTS)]
        rest = [counts.get(each, 0) for each in ("retried", "bisected", "discarded")]
        lag = (stack.function(name).metrics.samples("Lag") or [0.0])[-1]
        grid.add_row(name, *(str(each) for each in (*ours, *rest)), f"{lag:.0f} s")
    return grid
