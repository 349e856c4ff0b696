"""A mirror's rows set right from what the source table holds now, whatever became of their changes.

For each item its tombstone is read, then its row, and then the item: so the item is at least as new as the row. What
differs is written on condition that the row is as it was read. This repeats until a look finds everything right.
tests/unit/test_reconcile_model.py enumerates the orders, `tests/scheduler` plays them with the code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, SUPERSEDED, Outcome, Status
from distributary.consumer.reconcile import LOOKS, MOVING, Reconcile, in_batches
from distributary.dynamodb.requests import BATCH_GET_KEYS
from distributary.dynamodb.versioned_table import Write
from distributary.errors import Rejected, Unavailable
from distributary.replicate.mirror import MirrorBranch
from distributary.replicate.verify.comparison import Comparator, Finding, bare, later_generation, text_of
from distributary.stream import version as versions
from distributary.stream.change import Image
from distributary.stream.struct import replace

LATER = outcomes.failed(Unavailable("the row or the change is of a later generation than this function: give its own"))
"""What an item of a row ends as that another stack has written since."""


@dataclass(frozen=True, slots=True)
class MirrorReconciler:
    """Plans and writes as the branch does; `comparator` looks at its source and its replica."""

    branch: MirrorBranch
    comparator: Comparator

    def __call__(self, requests: Sequence[Reconcile], deadline: Deadline) -> list[Outcome]:
        """See `consumer.reconcile.Reconciler`. A row that outlived its item stays, unless a delete that is newer than
        the row is asked for; see `due`."""
        return in_batches(requests, BATCH_GET_KEYS, lambda batch: self._reconciled(batch, deadline), deadline)

    def _reconciled(self, batch: Mapping[str, Reconcile], deadline: Deadline) -> dict[str, Outcome]:
        left, ends = dict(batch), dict.fromkeys(batch, SUPERSEDED)
        for _ in range(LOOKS):
            deadline.check()
            found = self._due(left, ends, deadline)
            left = {name: left[name] for name in found}
            if not left:
                return ends
            for name, end in self._written(found, left, deadline).items():
                ends[name] = outcomes.combine([ends[name], end])
                if end.status in (Status.PARKED, Status.FAILED):
                    del left[name]
        return {name: outcomes.combine([end, MOVING]) if name in left else end for name, end in ends.items()}

    def _due(
        self, left: Mapping[str, Reconcile], ends: dict[str, Outcome], deadline: Deadline
    ) -> dict[str, tuple[Finding, Write, str]]:
        """What must be written, with the look that it follows from and the tombstone. An item that the declaration
        rejects is parked in `ends`."""
        for each in left.values():
            self.branch.declared.check_keys(each.keys)
        ids = [self.branch.row_id(each.keys) for each in left.values()]
        tombstones = self.branch.register.tombstones.find(ids, deadline)
        compared = self.comparator.compare([dict(each.keys) for each in left.values()], deadline)
        ends |= {name: outcomes.parked(Rejected(reason)) for name, (_, reason) in compared.rejected.items()}
        found: dict[str, tuple[Finding, Write, str]] = {}
        for finding in compared.findings:
            asked, tombstone = left[finding.name], tombstones.get(self.branch.row_id(finding.keys), "")
            if self._is_later(finding, asked):
                ends[finding.name] = LATER
            elif self.branch.declared.owns(Image(finding.keys)):
                write = due(finding, tombstone, asked, self.comparator.version_attribute, self.branch.keeps_expired)
                found |= {finding.name: (finding, write, tombstone)} if write is not None else {}
        return found

    def _is_later(self, finding: Finding, asked: Reconcile) -> bool:
        own = self.comparator.generation
        later = later_generation(finding.row, own, self.comparator.version_attribute)
        return later or versions.generation_of(asked.version) > own

    def _written(
        self, found: Mapping[str, tuple[Finding, Write, str]], left: Mapping[str, Reconcile], deadline: Deadline
    ) -> dict[str, Outcome]:
        """Side by side: each write crosses to another region."""
        register = self.branch.register

        def one(name: str) -> Outcome:
            finding, write, tombstone = found[name]
            at_least = left[name].at_least(finding.gone and finding.row is None)
            done = register.repair(write, finding.row or {}, tombstone, at_least)
            return APPLIED if done else SUPERSEDED

        ends = register.parallel.run(one, list(found), deadline)
        return {name: outcomes.of(end) for name, end in zip(found, ends, strict=True)}


def due(finding: Finding, tombstone: str, asked: Reconcile, attribute: str, keeps: bool) -> Write | None:
    """What must be written. None if the row is as the item says, and no change up to the one that is asked for can
    still take effect. `keeps`: rows outlive items that TTL deletes."""
    write, text = finding.write, text_of(finding.row, attribute)
    at_least = versions.to_text(asked.version) if asked.version else ""
    if write.row is not None:
        right = not finding.kind and text >= at_least and (not tombstone or text > tombstone)
        return None if right else write
    if finding.row is None:
        floor = asked.at_least(finding.gone)
        settled = not floor or tombstone >= versions.to_text(floor, versions.RETIRED)
        return None if settled else write
    if not keeps or not finding.gone or text < tombstone:
        return write
    mark = asked.outliving(versions.version_in(text) or 0, versions.mark_in(text))
    if mark is None:
        return write
    right = mark == versions.mark_in(text) and text >= at_least
    return None if right else replace(write, row=bare(finding.row, attribute), mark=mark)
