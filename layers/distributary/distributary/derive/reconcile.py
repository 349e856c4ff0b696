"""Items set right in every view from what the source table holds now, whatever became of their changes.

For each item the tombstones are read, then the item, then its rows. What differs is written on condition that it is as
it was read. This repeats until a look finds everything right: so a write that was overtaken is decided again, and a
tombstone that another reconcile left beside a row is seen. `tests/scheduler` plays it beside the stream and itself.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.outcome import APPLIED, SUPERSEDED, Outcome, Status
from distributary.consumer.reconcile import LOOKS, MOVING, Reconcile, in_batches
from distributary.derive.branch import row_of
from distributary.derive.delta import Row
from distributary.derive.verify.item_verifier import Comparator, Finding, Subject
from distributary.derive.verify.repair import Repair
from distributary.derive.view import Primitive, View
from distributary.errors import Rejected
from distributary.stream import version as versions
from distributary.stream.change import Change, Image
from distributary.stream.codec import Typed
from distributary.stream.entity import claimable
from distributary.stream.keys import identity

_BATCH = 25


@dataclass(frozen=True, slots=True)
class DeriveReconciler:
    """Compares and writes as a verification does, without its pause: the item is read now, so nothing is early."""

    comparator: Comparator
    repair: Repair

    def __call__(self, requests: Sequence[Reconcile], deadline: Deadline) -> list[Outcome]:
        """See `consumer.reconcile.Reconciler`. An item that a view cannot take is parked by name of the view."""
        return in_batches(requests, _BATCH, self._reconciled, deadline)

    def _reconciled(self, batch: Mapping[str, Reconcile]) -> dict[str, Outcome]:
        left, ends = dict(batch), dict.fromkeys(batch, SUPERSEDED)
        for _ in range(LOOKS):
            due, rejected = self._due(left)
            for name, error in rejected.items():
                ends[name] = outcomes.combine([ends[name], outcomes.parked(error)])
            left = {name: each for name, each in left.items() if name in due}
            if not left:
                return ends
            for name, findings in due.items():
                end = self._written(findings, batch[name].version)
                ends[name] = outcomes.combine([ends[name], end])
                if end.status is Status.PARKED:
                    del left[name]
        return ends | dict.fromkeys(left, MOVING)

    def _due(self, left: Mapping[str, Reconcile]) -> tuple[dict[str, list["_Due"]], dict[str, Rejected]]:
        """What must be written, by item, and why a view rejects an item."""
        ids = [id for each in left.values() for id in register_ids(self.comparator.views, each.keys)]
        tombstones = self.repair.register.tombstones.find(ids, FOREVER) if ids else {}
        compared = self.comparator.compare([Subject(each.keys) for each in left.values()])
        rejected = {name: Rejected(f"view '{view}': {reason}") for (view, name), reason in compared.rejected.items()}
        due: dict[str, list[_Due]] = {}
        for finding in compared.findings:
            name = identity(finding.subject.keys)
            tombstone = tombstones.get(finding.want.write.id, "") if finding.want.write else ""
            each = _Due(finding, tombstone, self.repair.register.version_attribute)
            if not each.settled(left[name].version):
                due.setdefault(name, []).append(each)
        return due, rejected

    def _written(self, due: Sequence["_Due"], at_least: int) -> Outcome:
        try:
            written = [self.repair.item(each.finding, each.tombstones, at_least) for each in due]
        except Rejected as error:
            return outcomes.parked(error)
        return APPLIED if any(written) else SUPERSEDED


@dataclass(frozen=True, slots=True)
class _Due:
    """One view's rows of one item, beside the row's tombstone as text, empty if there is none."""

    finding: Finding
    tombstone: str
    version_attribute: str

    @property
    def tombstones(self) -> dict[str, str]:
        write = self.finding.want.write
        return {write.id: self.tombstone} if write and self.tombstone else {}

    def settled(self, at_least: int) -> bool:
        """Whether everything is as the item says, and no change up to `at_least` can still take effect."""
        if self.finding.problems:
            return False
        want = self.finding.want
        if want.write is None:
            row = self.finding.ledger
            return _version(row, "version") >= at_least or not (row or self._claimable())
        row = self.finding.derived[want.write.key["pk"]["S"], want.write.key["sk"]["S"]]
        if row:
            return _version(row, self.version_attribute) >= at_least and self._outlives(row)
        expired = want.write.row is not None
        covered = at_least == 0 or self.tombstone >= versions.to_text(at_least, versions.RETIRED)
        return expired or covered or not self._claimable()

    def _outlives(self, row: Row) -> bool:
        """Whether no older change that comes again takes the row away because of the tombstone."""
        return not self.tombstone or row.get(self.version_attribute, {}).get("S", "") > self.tombstone

    def _claimable(self) -> bool:
        return claimable(self.finding.want.view.declared.of.claims, Image(self.finding.subject.keys))


def register_ids(views: Sequence[View], keys: Mapping[str, Typed]) -> list[str]:
    """Of the rows on the Register that an item with these keys can have; see `Write.id`."""
    found = []
    for view in views:
        if view.primitive is Primitive.REGISTER:
            with suppress(Rejected):
                found.append(row_of(view, Change.snapshot(keys, None, 0)).id)
    return found


def _version(row: Row, attribute: str) -> int:
    return versions.from_text(row[attribute]["S"]) if attribute in row else 0
