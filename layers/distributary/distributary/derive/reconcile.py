"""Items set right in every view from what the source table holds now, whatever became of their changes.

For each item the tombstones are read, then the item, then its rows. What differs is written on condition that it is as
it was read. This repeats until a look finds everything right: so a write that was overtaken is decided again, and a
tombstone that another reconcile left beside a row is seen. `tests/scheduler` plays it beside the stream and itself.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import SUPERSEDED, Outcome, Status
from distributary.consumer.reconcile import LOOKS, MOVING, Reconcile, in_batches
from distributary.derive.branch import row_id
from distributary.derive.format import mark_of
from distributary.derive.verify.expected_rows import name_of, row_key
from distributary.derive.verify.item_verifier import Comparator, Finding, Subject
from distributary.derive.verify.repair import Repair
from distributary.derive.view import Primitive, View
from distributary.errors import Rejected
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION, Image
from distributary.stream.codec import Typed
from distributary.stream.entity import claimable

BROKEN = outcomes.parked(
    Rejected(
        "a member row of its group is missing, which no change of the item restores: run 'distributary verify derive "
        "TABLE ... --repair', which builds the group anew"
    )
)
"""What an item of such a group ends as."""

_BATCH = 25


@dataclass(frozen=True, slots=True)
class DeriveReconciler:
    """Compares and writes as a verification does, without its pause: the item is read now, so nothing is early."""

    comparator: Comparator
    repair: Repair

    def __call__(self, requests: Sequence[Reconcile], deadline: Deadline) -> list[Outcome]:
        """See `consumer.reconcile.Reconciler`. An item that a view cannot take is parked by name of the view; what the
        other views make of it is kept."""
        return in_batches(requests, _BATCH, lambda batch: self._reconciled(batch, deadline), deadline)

    def _reconciled(self, batch: Mapping[str, Reconcile], deadline: Deadline) -> dict[str, Outcome]:
        left, ends = dict(batch), dict.fromkeys(batch, SUPERSEDED)
        ended, broken = set[tuple[str, str]](), set[tuple[str, str]]()
        due: list[Finding] = []
        for _ in range(LOOKS):
            tombstones = self._tombstones(left, deadline)
            subjects = [Subject(each.keys, asked=each) for each in left.values()]
            compared = self.comparator.compare(subjects, deadline=deadline)
            for (view, name), reason in compared.rejected.items():
                ends[name] = outcomes.combine([ends[name], outcomes.parked(Rejected(f"view '{view}': {reason}"))])
            due = [each for each in compared.findings if each.name not in ended and self._due(each, left, tombstones)]
            left = {name: left[name] for name in dict.fromkeys(each.name[1] for each in due)}
            if not left:
                return ends
            for finding in due:
                end = self._written(finding, left[finding.name[1]], tombstones, deadline)
                if lacks_members(finding):
                    end = BROKEN if finding.name in broken else end
                    broken.add(finding.name)
                self._note(finding, end, ends, ended)
        moving = {each.name[1] for each in due if each.name not in ended}
        return {name: outcomes.combine([end, MOVING]) if name in moving else end for name, end in ends.items()}

    def _note(self, finding: Finding, end: Outcome, ends: dict[str, Outcome], ended: set[tuple[str, str]]) -> None:
        """What a view that takes no more of the item says is named by the view."""
        view, name = finding.name
        if end.status in (Status.PARKED, Status.FAILED):
            ended.add(finding.name)
            end = end._replace(cause=f"view '{view}': {end.cause}")
        ends[name] = outcomes.combine([ends[name], end])

    def _tombstones(self, left: Mapping[str, Reconcile], deadline: Deadline) -> dict[str, str]:
        ids = [id for each in left.values() for id in register_ids(self.comparator.views, each.keys)]
        return self.repair.register.tombstones.find(ids, deadline) if ids else {}

    def _due(self, finding: Finding, left: Mapping[str, Reconcile], tombstones: Mapping[str, str]) -> bool:
        asked, write = left[finding.name[1]], finding.want.write
        return not settled(finding, tombstones.get(write.id, "") if write else "", asked)

    def _written(
        self, finding: Finding, asked: Reconcile, tombstones: Mapping[str, str], deadline: Deadline
    ) -> Outcome:
        deadline.check()
        return self.repair.item(finding, tombstones, least(finding, asked), deadline)


def settled(finding: Finding, tombstone: str, asked: Reconcile) -> bool:
    """Whether one view's rows are as the item says, and no change up to the version asked for can still take effect.
    `tombstone` is the row's as text, empty if there is none."""
    want, at_least = finding.want, least(finding, asked)
    if want.joined is not None:
        return not finding.problems and bool(want.joined.settled(at_least))
    row = finding.ledger if want.write is None else finding.derived[row_key(want.write)]
    version = row.get("version" if want.write is None else REPLICA_VERSION, {}).get("S", "")
    if want.outlives is not None:
        mark = mark_of(row) if want.write is None else versions.mark_in(version)
        return want.outlives == mark and version >= versions.to_text(at_least)
    if finding.problems:
        return False
    if not claimable(want.view.declared.of.claims, Image(finding.subject.keys)) and not row:
        return True
    if row:
        return version >= versions.to_text(at_least) and version > tombstone
    return at_least == 0 or (want.write is not None and tombstone >= versions.to_text(at_least, versions.RETIRED))


def least(finding: Finding, asked: Reconcile) -> int:
    """See `Reconcile.at_least`."""
    return asked.at_least(finding.gone and finding.want.view.keeps_expired and finding.want.outlives is None)


def lacks_members(finding: Finding) -> bool:
    """Whether nothing is wrong but that members of a group have no row: no item's write restores one."""
    members = {name_of(key) for key in finding.want.values}
    return bool(finding.problems) and all(each.kind == "missing" and each.where in members for each in finding.problems)


def register_ids(views: Sequence[View], keys: Mapping[str, Typed]) -> list[str]:
    """Of the rows on the Register that an item with these keys can have; see `Write.id`."""
    found = []
    for view in views:
        if view.primitive is Primitive.REGISTER:
            with suppress(Rejected):
                found.append(row_id(view, *view.key(Image(keys))))
    return found
