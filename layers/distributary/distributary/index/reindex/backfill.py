"""What the table holds, written into an index by the branch's own code."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.dynamodb import item_reader, table_reader
from distributary.dynamodb.requests import Item
from distributary.errors import Unavailable
from distributary.index.opensearch.target import Declared
from distributary.stream.change import Change
from distributary.verify.progress import Progress, silent

_BATCH = 500
_SECONDS = 60.0
_TRIES = 10


@dataclass(frozen=True, slots=True)
class Backfill:
    """Snapshots at position 0: any streamed change of the generation wins, whether it comes before or after.
    `counts` are outcomes, and causes of what was parked; such an item stays without a document, and only that is said
    of it here, for the table still holds it."""

    declared: Declared
    dynamodb: Any
    table: str
    keys: tuple[str, ...]
    progress: Progress = silent
    sleep: Callable[[float], None] = time.sleep
    counts: Counter[str] = field(default_factory=Counter)
    _lock: Any = field(default_factory=Lock, repr=False)

    def run(self, left: Sequence[int], segments: int, done: Callable[[int], None], first_fill: bool) -> None:
        """Side by side; `done` is called with each segment that is complete, one at a time. Raises Unavailable.

        In the first fill of an empty index, an item that it is not about writes nothing. Otherwise it leaves a marker,
        for an earlier declaration may have made a document of it.
        """

        def one(segment: int) -> int:
            for page in table_reader.pages(self.dynamodb, self.table, segment, segments):
                for at in range(0, len(page), _BATCH):
                    self._write([self._snapshot(item, first_fill) for item in page[at : at + _BATCH]])
            return segment

        with ThreadPoolExecutor(len(left) or 1, thread_name_prefix="backfill") as pool:
            for segment in pool.map(one, left):
                done(segment)

    def _snapshot(self, item: Item, first_fill: bool) -> Change:
        found = item_reader.change(item, self.keys, self.declared.generation, time.time())
        return found._replace(record={"distributary": {"origin": "snapshot", "first_fill": first_fill}})

    def _write(self, waiting: Sequence[Change]) -> None:
        many = len(waiting)
        self.progress("items", many)
        for _ in range(_TRIES):
            waiting, cause = self._once(waiting)
            if not waiting:
                return
            self.sleep(1.0)
        raise Unavailable(f"backfill: {len(waiting)} of {many} documents failed {_TRIES} times, {cause}")

    def _once(self, changes: Sequence[Change]) -> tuple[list[Change], str]:
        """Those that failed, and why."""
        ends = self.declared.branch.apply(changes, Deadline(time.monotonic() + _SECONDS))
        with self._lock:
            self.counts.update(end.status.value for end in ends if end.status is not Status.FAILED)
            self.counts.update(end.cause for end in ends if end.status is Status.PARKED)
        failed = [(each, end.cause) for each, end in zip(changes, ends, strict=True) if end.status is Status.FAILED]
        return [each for each, _ in failed], failed[0][1] if failed else ""
