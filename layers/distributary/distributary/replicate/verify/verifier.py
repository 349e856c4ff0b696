"""One verification: scans or named items, second looks, repairs, all side by side in bounded memory."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import TypeVar

from distributary.consumer.deadline import FOREVER
from distributary.consumer.parallel import Parallel
from distributary.dynamodb.requests import BATCH_GET_KEYS
from distributary.errors import DistributaryError, Rejected
from distributary.replicate.verify import sample
from distributary.replicate.verify.comparison import Comparator, Comparison, Finding
from distributary.replicate.verify.equality import Row
from distributary.replicate.verify.recheck_queue import MOST, RecheckQueue, Suspect
from distributary.replicate.verify.repair import Repairs, repaired
from distributary.replicate.verify.report import MirrorReport
from distributary.replicate.verify.table import Keys, Side
from distributary.verify.progress import Progress, silent
from distributary.verify.recheck import LOOKS

End = TypeVar("End")


@dataclass(slots=True)
class Verify:
    """One run. `progress` receives items, rows and second looks; `enough` ends a sampled run before its time.

    `hands` repair side by side; they are other threads than those of `parallel`, which wait for them.
    """

    eye: Comparator
    suspects: RecheckQueue
    parallel: Parallel
    repair: Repairs | None = None
    hands: Parallel = field(default_factory=lambda: Parallel(1))
    progress: Progress = silent
    enough: Callable[[], bool] = lambda: False
    sleep: Callable[[float], None] = time.sleep
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
            self._seen("items", len(batch), self.eye.again(batch))
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
        for page in side.pages(segment, of):
            for at in range(0, len(page), BATCH_GET_KEYS):
                if self._stopping.is_set() or self.enough():
                    return False
                batch = page[at : at + BATCH_GET_KEYS]
                self._seen(what, len(batch), look(batch))
        return True

    def _side(self, what: str) -> tuple[Side, Callable[[Sequence[Row]], Comparison]]:
        return (self.eye.source, self.eye.items) if what == "items" else (self.eye.replica, self.eye.orphans)

    def _seen(self, what: str, number: int, look: Comparison) -> None:
        for item, reason in look.rejected.items():
            self.report.name("rejected", item=item, reason=reason)
        self.suspects.add(look.findings)
        self.report.add(what, number)
        self.progress(what, number)
        self._look_again(self.suspects.due(BATCH_GET_KEYS))
        while len(self.suspects) > MOST and not self._stopping.is_set():
            self.sleep(self.suspects.wait())
            self._look_again(self.suspects.due(BATCH_GET_KEYS))

    def _drain(self) -> None:
        while len(self.suspects):
            self.sleep(self.suspects.wait())
            self._look_again(self.suspects.due(BATCH_GET_KEYS))

    def _look_again(self, due: Sequence[Suspect]) -> None:
        if not due:
            return
        found = {each.name: each for each in self.eye.again([each.keys for each in due]).findings}
        moved: list[tuple[Suspect, Finding]] = []
        confirmed: list[Finding] = []
        for suspect in due:
            finding = found.get(suspect.name)
            if finding is None:
                continue
            if finding.evidence == suspect.evidence:
                confirmed.append(finding)
            elif suspect.looks + 1 < LOOKS:
                moved.append((suspect, finding))
            else:
                self.report.name("moving", item=suspect.name)
        self.suspects.back(moved)
        for finding in confirmed:
            self.report.name("differences", kind=finding.kind, item=finding.name)
        if self.repair is not None:
            _risen(self.hands.run(partial(self._repaired, self.repair), confirmed, FOREVER))
        self.progress("second looks", len(due))

    def _repaired(self, repair: Repairs, finding: Finding) -> None:
        try:
            self.report.add("repaired", repaired(self.eye, repair, finding))
        except Rejected as error:
            self.report.name("rejected", item=finding.name, reason=str(error))

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
        return _risen(ends)

    def _finished(self) -> MirrorReport:
        self.report.units = {side.name: side.pace.units for side in (self.eye.source, self.eye.replica)}
        return self.report


def _risen(ends: Sequence[End | DistributaryError]) -> list[End]:
    """The ends, unless one of them is an error: that is raised."""
    for end in ends:
        if isinstance(end, DistributaryError):
            raise end
    return [end for end in ends if not isinstance(end, DistributaryError)]
