"""Drives functions from an existing table's stream."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from local.aws import Aws, said_in_one_line
from local.backfill import Table
from local.errors import LocalError
from local.esm.mapping import EventSourceMapping
from local.function_logs import LogFiles
from local.stack import Project, Stack
from local.template import TableSpec

_COUNTS = ("Received", "Applied", "Superseded", "Ignored", "Parked", "Failed")


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


def attach(order: Order, project: Project, console: Console) -> int:
    """Runs until interrupted, or until the stream is drained; prints the counts. 1 if records were given up, else 0."""
    table, spec = source_table(order.source, order.table)
    with _stack(order, project) as stack:
        stack.prepare(order.functions)
        if "index" in order.functions:
            stack.apply_index()
        if "replicate" in order.functions:
            stack.create_replica(spec)
        mappings = stack.attach(table.stream_arn, order.functions, order.source)
        try:
            _run(order, stack, table, mappings, console)
        except KeyboardInterrupt:
            console.print("interrupted")
        for mapping in mappings.values():
            mapping.stop()
        console.print(_counts(stack, mappings))
        return 1 if any(mapping.tally.counts().get("discarded") for mapping in mappings.values()) else 0


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


def _stack(order: Order, project: Project) -> AbstractContextManager[Stack]:
    if order.embedded:
        return Stack.start(project, order.parameters, order.source.region)
    return Stack(project, order.source, order.parameters, LogFiles(project.artifacts / "logs"))


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


def _counts(stack: Stack, mappings: Mapping[str, EventSourceMapping]) -> Grid:
    grid = Grid(box=None)
    for heading in ("function", "delivered", *(name.lower() for name in _COUNTS), "retried", "bisected", "discarded"):
        grid.add_column(heading, justify="left" if heading == "function" else "right", no_wrap=True)
    for name, mapping in mappings.items():
        counts, metrics = mapping.tally.counts(), stack.function(name).metrics.counts()
        ours = [counts.get("delivered", 0), *(metrics.get(each, 0) for each in _COUNTS)]
        rest = [counts.get(each, 0) for each in ("retried", "bisected", "discarded")]
        grid.add_row(name, *(str(each) for each in (*ours, *rest)))
    return grid
