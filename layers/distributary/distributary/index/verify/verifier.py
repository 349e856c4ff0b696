"""Verifies a whole index: every visible document, then every item of the table."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

from distributary.consumer.backoff import backoff
from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.outcome import Status
from distributary.dynamodb import table_reader
from distributary.dynamodb.requests import Item
from distributary.errors import Unavailable
from distributary.index.opensearch import reader, schema
from distributary.index.opensearch.history import History
from distributary.index.opensearch.reader import Document
from distributary.index.verify.comparison import Comparator, Comparison, Finding, Subject
from distributary.index.verify.report import IndexReport
from distributary.stream import version as versions
from distributary.stream.keys import identity
from distributary.verify.parked import NOTHING_LISTED, ParkedItems
from distributary.verify.progress import Progress, silent
from distributary.verify.recheck import recheck

SUSPECTS = 10_000
"""The most findings that wait for their second look, and the most ids kept that name no item. It bounds the memory."""

_BATCH, _SCANS = 200, 6
_REPAIR_SECONDS = 60.0


@dataclass(slots=True)
class Verify:
    """One run. `segments` of both scans go side by side; `pause` in seconds, longer than the stream's lag; `parked`
    tells whose changes are parked. A repair that leaves no difference is noted in the `history`."""

    comparator: Comparator
    segments: int = 4
    pause: float = 10.0
    repair: bool = False
    progress: Progress = silent
    sleep: Callable[[float], None] = time.sleep
    parked: ParkedItems = NOTHING_LISTED
    history: History | None = None
    report: IndexReport = field(default_factory=IndexReport)
    _suspects: list[Subject] = field(default_factory=list)
    _strangers: dict[str, Subject] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def run(self) -> IndexReport:
        """A document whose id is a digest does not name its item. It is dead if two scans of the table meet no item of
        its id, and it has not changed since before the second. Raises Unavailable, ConfigError."""
        search, physical = self.comparator.search, self.comparator.declared.physical
        reader.asked("format", lambda: schema.require_format(search, physical))
        reader.refresh(search, physical)
        written = self.history.written() if self.history is not None else {}
        self._side_by_side(self._documents)
        self._side_by_side(self._items)
        self._settle()
        self._second_scan()
        if self.repair and self.history is not None and not self.report.status:
            self.history.repaired(written)
        return self.report

    def _side_by_side(self, work: Callable[[int], None]) -> None:
        with ThreadPoolExecutor(self.segments, thread_name_prefix="verify") as pool:
            list(pool.map(work, range(self.segments)))

    def _documents(self, slice: int) -> None:
        """A scan that loses a page begins anew. What it has named before, it does not name again."""
        known, most = set[str](), 0
        for tried in range(1, _SCANS + 1):
            read = 0
            try:
                for page in reader.visible(
                    self.comparator.search, self.comparator.declared.physical, slice, self.segments
                ):
                    for at in range(0, len(page), _BATCH):
                        self._document_batch(page[at : at + _BATCH], known)
                    read += len(page)
                    self._read("documents", max(0, read - most))
                    most = max(most, read)
                return
            except reader.Lost:
                if tried == _SCANS:
                    raise
                backoff(FOREVER, tried, first=1.0, longest=30.0, sleep=self.sleep)

    def _document_batch(self, batch: Sequence[Document], known: set[str]) -> None:
        dead, strangers = self.comparator.ownerless(batch)
        with self._lock:
            self._strangers |= {each.id: each for each in strangers}
            if len(self._strangers) > SUSPECTS:
                raise Unavailable(
                    f"more than {SUSPECTS} documents have ids that do not name their items: rebuild the index"
                )
        self._suspect([each for each in dead if each.id not in known])
        known.update(each.id for each in dead)

    def _items(self, segment: int) -> None:
        for page in table_reader.pages(self.comparator.dynamodb, self.comparator.table, segment, self.segments):
            for at in range(0, len(page), _BATCH):
                self._item_batch(page[at : at + _BATCH])

    def _item_batch(self, batch: Sequence[Item]) -> None:
        self._meet(batch)
        look = self.comparator.items(batch)
        self._refused(look)
        self._suspect([each.subject for each in look.findings])
        self._read("items", len(batch))

    def _meet(self, batch: Sequence[Item]) -> None:
        if self._strangers:
            explained = self.comparator.explained(batch)
            with self._lock:
                for id in explained:
                    self._strangers.pop(id, None)

    def _second_scan(self) -> None:
        """The first scan misses an item that was deleted and made again while it ran. Its document, if the stream has
        written it since, is the item's newest: so only what has not changed from before this scan to its end is dead.
        An item that this scan misses as well was made again after its document was written, and its change will win."""
        before = self._look(list(self._strangers.values()))
        self._strangers = {id: each.subject for id, each in before.items()}
        if not before:
            return
        self.sleep(self.pause)
        self._side_by_side(self._items_again)
        after = self._look(list(self._strangers.values()))
        self._confirmed([each for id, each in after.items() if before[id].evidence == each.evidence])
        for id, each in after.items():
            if before[id].evidence != each.evidence:
                self.report.name("moving", id=id, version=each.version)

    def _items_again(self, segment: int) -> None:
        for page in table_reader.pages(self.comparator.dynamodb, self.comparator.table, segment, self.segments):
            self._meet(page)

    def _suspect(self, subjects: Sequence[Subject]) -> None:
        with self._lock:
            self._suspects += subjects
            full = len(self._suspects) >= SUSPECTS
        if full:
            self._settle()

    def _settle(self) -> None:
        """Looks again at what differed. It counts if document, version and item are the same at both looks."""
        with self._lock:
            suspects, self._suspects = self._suspects, []
        moving = recheck(
            self._look(suspects),
            lambda found: self._look([each.subject for each in found]),
            lambda: self.sleep(self.pause),
            self._confirmed,
        )
        for each in moving:
            self.report.name("moving", id=each.subject.id, version=each.version)

    def _look(self, subjects: Sequence[Subject]) -> dict[str, Finding]:
        found: dict[str, Finding] = {}
        for at in range(0, len(subjects), _BATCH):
            look = self.comparator.documents(subjects[at : at + _BATCH])
            found |= {each.subject.id: each for each in look.findings}
        return found

    def _confirmed(self, findings: Sequence[Finding]) -> None:
        if not self.repair:
            for each in findings:
                self._name(each)
            return
        declared = self.comparator.declared
        actions = [declared.action(each.due, repaired_at(each, declared.generation)) for each in findings]
        ends = declared.branch.bulk.send(actions, Deadline(time.monotonic() + _REPAIR_SECONDS))
        for each, end in zip(findings, ends, strict=True):
            if end.status is Status.FAILED:
                raise Unavailable(f"the repair of document {each.subject.id!r} failed: {end.cause}", end.detail)
            if end.status is Status.PARKED:
                found = self.parked.find(each.subject.keys) if each.subject.keys else None
                self.report.parked(each.subject.id, end.cause, found)
                continue
            overtaken = end.status is Status.SUPERSEDED
            self.report.name("moving" if overtaken else each.kind, id=each.subject.id, version=each.version)
            self.report.add("repaired", not overtaken)

    def _name(self, finding: Finding) -> None:
        found = self.parked.find(finding.subject.keys) if finding.subject.keys else None
        if found is not None:
            self.report.parked(finding.subject.id, found.cause, found)
        else:
            self.report.name(finding.kind, id=finding.subject.id, version=finding.version)

    def _refused(self, look: Comparison) -> None:
        for keys, cause in look.refused:
            self.report.parked(identity(keys), cause, self.parked.find(keys))

    def _read(self, what: str, number: int) -> None:
        self.report.add(what, number)
        self.progress(what, number)


def repaired_at(finding: Finding, generation: int) -> int:
    """The external version that a repair carries: the next after that of the document it replaces, else a snapshot's.

    The write is refused if a version at least as high exists by then (`external`). The item was read after the
    document, so every change that it may lack is newer than the document. Its version is at least as high as the
    repair's, so it wins (`external_gte`), before or after the repair. A repair knows no position in the stream: a
    change newer than the document that it replaced, but older than the item, shows again if it is redriven after the
    repair.
    """
    if not finding.version:
        return versions.to_external(versions.of(generation, versions.SNAPSHOT_POSITION))
    return finding.version + 1
