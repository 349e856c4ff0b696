"""What a table already holds, delivered as snapshot records beside the live stream.

The scan is consistent, so that a stream enabled before it began holds every change that the scan may have missed.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from distributary.consumer.partial_response import first_failure
from distributary.feed.snapshot import Table, snapshot_record
from distributary.stream.codec import typed_json
from local.errors import LocalError
from local.esm.batches import ready
from local.esm.lane import Backoff, Invoke
from local.esm.records import Record, event_of
from local.esm.settings import MappingSettings
from local.runtime_api import Throttled

_ATTEMPTS = 30


@dataclass(frozen=True, slots=True)
class Target:
    """A function that gets the snapshot. `name` is for messages."""

    name: str
    invoke: Invoke
    settings: MappingSettings


def backfill(
    dynamodb: Any,
    table: Table,
    targets: Sequence[Target],
    segments: int = 2,
    stopping: threading.Event | None = None,
    progress: Callable[[int], None] | None = None,
    first_fill: bool = False,
) -> int:
    """Scans the table once and delivers each item to every target; how many items there were. `first_fill` says that
    nothing was ever written downstream.

    `progress` is called with the number of items of each page that was delivered. LocalError if a function keeps
    failing.
    """
    stop = stopping or threading.Event()

    def segment(number: int) -> int:
        total = 0
        for page in _pages(dynamodb, table, number, segments):
            records = [Record.of(snapshot_record(typed_json(item), table, time.time(), first_fill)) for item in page]
            for target in targets:
                _deliver(records, target, stop)
            if stop.is_set():
                break
            total += len(records)
            if progress:
                progress(len(records))
        return total

    with ThreadPoolExecutor(segments, thread_name_prefix="backfill") as pool:
        return sum(pool.map(segment, range(segments)))


def _pages(dynamodb: Any, table: Table, segment: int, segments: int) -> Iterator[list[dict[str, Any]]]:
    request = {"TableName": table.name, "Segment": segment, "TotalSegments": segments, "ConsistentRead": True}
    while True:
        page = dynamodb.scan(**request)
        yield page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _deliver(records: Sequence[Record], target: Target, stop: threading.Event) -> None:
    """In the function's own batches, each until all of it succeeded."""
    at = 0
    while at < len(records) and not stop.is_set():
        sizes = [len(record.encoded) for record in records[at:]]
        count = ready(sizes, target.settings.window, target.settings)
        _insist(records[at : at + count], target, stop)
        at += count


def _insist(left: Sequence[Record], target: Target, stop: threading.Event) -> None:
    backoff, failures = Backoff(), 0
    while left and not stop.is_set():
        try:
            answer = target.invoke(event_of(left))
        except Throttled:
            stop.wait(backoff.first)
            continue
        failed_at = 0 if answer.function_error else first_failure([each.identifier for each in left], answer.payload)
        if failed_at is None:
            return
        failures = 0 if failed_at else failures + 1
        if failures == _ATTEMPTS:
            raise LocalError(
                f"{target.name} failed {_ATTEMPTS} times on one batch of the backfill: fix what its log reports"
            )
        left = left[failed_at:]
        stop.wait(backoff.after(failures))
