"""What the table holds, written into a new index at the versions that the readers' index has."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome, Status
from distributary.consumer.reconcile import Reconcile
from distributary.dynamodb import table_reader
from distributary.dynamodb.requests import Item
from distributary.errors import Unavailable
from distributary.index.opensearch.bulk import Action
from distributary.index.opensearch.reader import Document, markers, refresh
from distributary.index.opensearch.target import Declared, read
from distributary.index.reconcile import IndexReconciler, documents, places
from distributary.stream import version as versions
from distributary.verify.progress import Progress, silent

Entry = TypeVar("Entry")

_BATCH = 100
_SECONDS = 60.0
_TRIES = 10


@dataclass(frozen=True, slots=True)
class Backfill:
    """Reconciles every item, above the version that its document or marker has in the readers' index.

    A change that went to the readers' index alone may be followed by an older one that goes to both, of an invocation
    that Lambda has given up. So that it loses in the new index too, the version is read there before the item is: what
    is written is at least as new. `counts` are outcomes, and causes of what was parked; such an item stays without a
    document, and only that is said of it here, for the table still holds it.
    """

    declared: Declared
    search: Any
    dynamodb: Any
    table: str
    keys: tuple[str, ...]
    progress: Progress = silent
    sleep: Callable[[float], None] = time.sleep
    counts: Counter[str] = field(default_factory=Counter)
    _lock: Any = field(default_factory=Lock, repr=False)

    def run(self, left: Sequence[int], segments: int, done: Callable[[int], None], origin: Declared | None) -> None:
        """Segments side by side; `done` is called with each that is complete, one at a time. `origin` is the readers'
        index; None if it belongs to another stream, whose positions say nothing here. Raises Unavailable, ConfigError.
        """
        if origin is not None:
            self._carry_markers(origin)

        def one(segment: int) -> int:
            for page in table_reader.pages(self.dynamodb, self.table, segment, segments):
                for at in range(0, len(page), _BATCH):
                    self._fill(page[at : at + _BATCH], origin)
            return segment

        with ThreadPoolExecutor(len(left) or 1, thread_name_prefix="backfill") as pool:
            for segment in pool.map(one, left):
                done(segment)

    def _fill(self, items: Sequence[Item], origin: Declared | None) -> None:
        """The items are read again: a version that is read behind an item may be that of a newer one."""
        asked = [Reconcile({name: item[name] for name in self.keys}) for item in items]
        if origin is not None:
            asked = self._outranking(asked, origin)
        reconcile = IndexReconciler(self.declared.branch, self.search, self.dynamodb, lambda: self.table)
        self.progress("items", len(items))
        self._written(asked, reconcile, count=True)

    def _outranking(self, asked: Sequence[Reconcile], origin: Declared) -> list[Reconcile]:
        """The same requests, each for every change up to the version that the item has in the readers' index."""
        found = documents(origin.branch, self.search, [each.keys for each in asked])
        outranking = []
        for each in asked:
            there = [found[place].version for place in places(origin.branch, each.keys) if place in found]
            above = versions.from_external(max(there) + 1) if there else versions.SNAPSHOT_POSITION
            outranking.append(Reconcile(each.keys, versions.of(self.declared.generation, above) if there else 0))
        return outranking

    def _carry_markers(self, origin: Declared) -> None:
        """An item that was deleted before has its marker in the new index, where it would be without one."""
        refresh(self.search, origin.physical)
        for page in markers(self.search, origin.physical):
            actions = [each for document in page for each in self._markers(origin, document)]
            self.progress("markers", len(page))
            self._written(actions, self.declared.branch.bulk.send, count=False)

    def _markers(self, origin: Declared, document: Document) -> list[Action]:
        """Those of the item whose document this was. Of an id that was too long and is a digest, nobody knows it."""
        keys = origin.keys_of(document.id)
        if keys is None:
            return []
        found = (read(action) for action in places(self.declared.branch, keys).values())
        return [self.declared.action(each, document.version) for each in found]

    def _written(
        self,
        entries: Sequence[Entry],
        write: Callable[[Sequence[Entry], Deadline], list[Outcome]],
        count: bool,
    ) -> None:
        waiting, cause = entries, ""
        for _ in range(_TRIES):
            ends = write(waiting, Deadline(time.monotonic() + _SECONDS))
            if count:
                self._count(ends)
            pairs = list(zip(waiting, ends, strict=True))
            waiting = [each for each, end in pairs if end.status is Status.FAILED]
            if not waiting:
                return
            cause = next(end.cause for end in ends if end.status is Status.FAILED)
            self.sleep(1.0)
        raise Unavailable(f"backfill: {len(waiting)} of {len(entries)} documents failed {_TRIES} times, {cause}")

    def _count(self, ends: Sequence[Outcome]) -> None:
        with self._lock:
            self.counts.update(end.status.value for end in ends if end.status is not Status.FAILED)
            self.counts.update(end.cause for end in ends if end.status is Status.PARKED)
