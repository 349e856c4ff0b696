"""One verification: scans or named items, second looks, repairs, all side by side in bounded memory."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from distributary.consumer.deadline import FOREVER
from distributary.consumer.parallel import Parallel
from distributary.dynamodb.requests import BATCH_GET_KEYS
from distributary.errors import DistributaryError, Rejected
from distributary.replicate.verify import sample
from distributary.replicate.verify.comparison import Comparator, Comparison, Finding
from distributary.replicate.verify.equality import Row
from distributary.replicate.verify.recheck_queue import MOST, PendingRecheck, RecheckQueue
from distributary.replicate.verify.repair import Repair, repaired
from distributary.replicate.verify.report import MirrorReport
from distributary.replicate.verify.scan import pages
from distributary.replicate.verify.table import Keys, Side
from distributary.verify.parked import NOTHING_LISTED, ParkedItems
from distributary.verify.progress import Progress, silent
from distributary.verify.recheck import LOOKS

End = TypeVar("End")


@dataclass(slots=True)
class Verify:
    """One run. `progress` receives items, rows and second looks; `enough` ends a sampled run before its time. `parked`
    tells whose changes are parked.

    `repairers` repair side by side; they are other threads than those of `parallel`, which wait for them.
    """

    comparator: Comparator
    queue: RecheckQueue
    parallel: Parallel
    repair: Repair | None = None
    repairers: Parallel = field(default_factory=lambda: Parallel(1))
    progress: Progress = silent
    enough: Callable[[], bool] = lambda: False
    sleep: Callable[[float], None] = time.sleep
    parked: ParkedItems = NOTHING_LISTED
    report: MirrorReport = field(default_factory=MirrorReport)
    _stopping: Event = field(default_factory=Event)

    def scan(self, segments: Sequence[int], of: int) -> MirrorReport:
        """These of so many segments, on both sides. Raises what a read raised."""
        tasks = [task for each in segments for task in (("items", each), ("rows", each))]
        done = self._side_by_side(lambda task: self._segment(*task, of), tasks)
        self._drain()
        if sum(done) < 2 * of:
            self.report.sampled = self._sampled(sum(done), 2 * of)
        return self._finished()

    def named(self, batches: Iterable[Sequence[Keys]]) -> MirrorReport:
        """Only these items, as a stream names them. Raises what a read raised."""
        for batch in batches:
            self._seen("items", len(batch), self.comparator.again(batch))
        self._drain()
        return self._finished()

    def _sampled(self, read: int, of: int) -> dict[str, float]:
        sampled: dict[str, float] = {"segments_read": read, "segments": of}
        if not self.report["differences"]:
            sampled |= {"share_at_most": sample.at_most(read, of), "confidence": sample.CONFIDENCE}
        return sampled

    def _segment(self, what: str, segment: int, of: int) -> bool:
        """Whether it was read to its end."""
        side, look = self._side(what)
        if self.enough():
            return False
        for page in pages(side, segment, of):
            for at in range(0, len(page), BATCH_GET_KEYS):
                if self._stopping.is_set() or self.enough():
                    return False
                batch = page[at : at + BATCH_GET_KEYS]
                self._seen(what, len(batch), look(batch))
        return True

    def _side(self, what: str) -> tuple[Side, Callable[[Sequence[Row]], Comparison]]:
        return (
            (self.comparator.source, self.comparator.items)
            if what == "items"
            else (self.comparator.replica, self.comparator.orphans)
        )

    def _seen(self, what: str, number: int, look: Comparison) -> None:
        for item, (keys, reason) in look.rejected.items():
            self.report.parked(item, reason, self.parked.find(keys))
        self.queue.add(look.findings)
        self.report.add(what, number)
        self.progress(what, number)
        self._look_again(self.queue.due(BATCH_GET_KEYS))
        while len(self.queue) > MOST and not self._stopping.is_set():
            self.sleep(self.queue.wait())
            self._look_again(self.queue.due(BATCH_GET_KEYS))

    def _drain(self) -> None:
        while len(self.queue):
            self.sleep(self.queue.wait())
            self._look_again(self.queue.due(BATCH_GET_KEYS))

    def _look_again(self, due: Sequence[PendingRecheck]) -> None:
        if not due:
            return
        found = {each.name: each for each in self.comparator.again([each.keys for each in due]).findings}
        moved: list[tuple[PendingRecheck, Finding]] = []
        confirmed: list[Finding] = []
        for pending in due:
            finding = found.get(pending.name)
            if finding is None:
                continue
            if finding.evidence == pending.evidence:
                confirmed.append(finding)
            elif pending.looks + 1 < LOOKS:
                moved.append((pending, finding))
            else:
                self.report.name("moving", item=pending.name)
        self.queue.back(moved)
        _values(self.repairers.run(self._confirmed, confirmed, FOREVER))
        self.progress("second looks", len(due))

    def _confirmed(self, finding: Finding) -> None:
        """Repairs and names it. Raises Unavailable."""
        try:
            done = repaired(self.comparator, self.repair, finding) if self.repair is not None else 0
        except Rejected as error:
            self.report.parked(finding.name, str(error), self.parked.find(finding.keys))
            return
        found = self.parked.find(finding.keys) if not done else None
        if found is not None:
            self.report.parked(finding.name, found.cause, found)
            return
        self.report.name("differences", kind=finding.kind, item=finding.name)
        self.report.add("repaired", done)

    def _side_by_side(self, read: Callable[[tuple[str, int]], bool], tasks: Sequence[tuple[str, int]]) -> list[bool]:
        """Which of them were read to their end. The first error ends them all."""

        def one(task: tuple[str, int]) -> bool:
            try:
                return not self._stopping.is_set() and read(task)
            except BaseException:
                self._stopping.set()
                raise

        try:
            ends = self.parallel.run(one, tasks, FOREVER)
        except BaseException:
            self._stopping.set()
            raise
        return _values(ends)

    def _finished(self) -> MirrorReport:
        self.report.units = {side.name: side.pace.units for side in (self.comparator.source, self.comparator.replica)}
        return self.report


def _values(ends: Sequence[End | DistributaryError]) -> list[End]:
    """The ends, unless one of them is an error: that is raised."""
    for end in ends:
        if isinstance(end, DistributaryError):
            raise end
    return [end for end in ends if not isinstance(end, DistributaryError)]
