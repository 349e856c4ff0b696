"""Every group: what the scans of derived table and ledger say of it, then a second look at those that look wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock

from distributary.derive.contribution import shape_of
from distributary.derive.delta import Key, RecordedContribution, Row
from distributary.derive.expiry import VERIFIED, closed
from distributary.derive.groups import REVISION, Group
from distributary.derive.verify.expected_rows import Problem, name_of
from distributary.derive.verify.group_diff import (
    GroupFinding,
    Members,
    Sums,
    edges_in,
    group_of_members,
    group_problems,
    partitions,
)
from distributary.derive.verify.incarnation import GroupBuilder
from distributary.derive.verify.item_verifier import Comparator
from distributary.derive.verify.key_owner import view_of_member
from distributary.derive.verify.repair import Repair, needs_building
from distributary.derive.verify.scan import Scan, look_at_groups
from distributary.derive.view import View
from distributary.dynamodb import table_reader
from distributary.verify.recheck import LOOKS
from distributary.verify.report import Report


@dataclass(slots=True)
class GroupCheck:
    """Filled page by page, from several threads, then settled once."""

    comparator: Comparator
    scan: Scan
    report: Report
    repair: Repair | None
    _sums: Sums = field(default_factory=Sums)
    _members: dict[str, Members] = field(default_factory=dict)
    _rows: dict[Key, tuple[View, Row]] = field(default_factory=dict)
    _orphans: dict[str, str] = field(default_factory=dict)
    _foreign: list[Key] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def row(self, view: View, key: Key, row: Row) -> None:
        """A row under a key of the view's groups; without a revision it is none that the branch wrote."""
        with self._lock:
            self._rows[key] = view, row if REVISION in row else {}
            self._foreign += [] if REVISION in row else [key]

    def member(self, row: Row) -> None:
        """A counted member."""
        partition, name = row["pk"]["S"], view_of_member(self.comparator.views, row) or ""
        with self._lock:
            if partition not in self._members:
                owner = self._view(name)
                self._members[partition] = Members(edges_in(owner, partition) if owner is not None else ())
            self._members[partition].count(row)
            self._orphans[partition] = name

    def share(self, view: str, recorded: RecordedContribution) -> None:
        """What a ledger row says that its item contributed."""
        with self._lock:
            self._sums.count(view, recorded)

    def settle(self) -> int:
        """How many groups there are; what differs is in the report, and repaired if that is wanted."""
        known = self._known()
        suspects = [(view, key) for view, key in known if self._looks_wrong(view, key)]
        wrong = self._looked_at_again(suspects)
        wrong += [found for each in self._orphans.items() if (found := self._orphan(*each)) is not None]
        for each in wrong:
            for problem in each.problems:
                where = {"kind": problem.kind, "where": problem.where}
                self.report.name("differences", view=each.view.name, item="", **where)
        if self.repair is not None and wrong:
            self._repair_all(self.repair, wrong)
        for key in self._foreign:
            if key not in self._sums.owners:
                self.report.name("unknown", where=name_of(key))
        return len(known)

    def _known(self) -> list[tuple[View, Key]]:
        views = {view.name: view for view in self.comparator.views}
        known = {key: view for key, (view, _) in self._rows.items()}
        known |= {key: views[name] for key, name in self._sums.owners.items()}
        return [(view, key) for key, view in known.items()]

    def _looks_wrong(self, view: View, key: Key) -> bool:
        _, row = self._rows.get(key, (view, {}))
        for incarnation in Group(row).incarnations:
            for at in partitions(view, key, incarnation).values():
                self._orphans.pop(at, None)
        return not self._closed(view, key) and bool(group_problems(view, key, row, self._sums, self._members))

    def _closed(self, view: View, key: Key) -> bool:
        """Whether nothing has to agree: TTL removes the group's rows one by one."""
        return bool(closed(shape_of(view).until, [key], self.comparator.tables.now() + VERIFIED))

    def _looked_at_again(self, suspects: Sequence[tuple[View, Key]]) -> list[GroupFinding]:
        wrong: list[GroupFinding] = []
        for tries in range(LOOKS):
            if not suspects:
                break
            self.comparator.sleep(self.comparator.pause if tries else 0)
            found, moving = look_at_groups(self.scan, suspects)
            wrong += found
            suspects = [(each.view, each.key) for each in moving]
        for view, key in suspects:
            self.report.name("moving", view=view.name, item=" | ".join(key))
        return wrong

    def _repair_all(self, repair: Repair, wrong: Sequence[GroupFinding]) -> None:
        """What one write of a group's row corrects, as long as a look finds something wrong behind it: a group without
        a row has no revision, so it may have come and gone while the ledger was scanned, and what was put there is of a
        moment that has passed. What is left is built anew."""
        left = [each for each in wrong if not needs_building(each)]
        for _ in range(LOOKS):
            if not left:
                break
            written = [repair.group(each) for each in left]
            left = self._looked_at_again([(each.view, each.key) for each in left])
            if not any(written):
                break
        broken = [*left, *(each for each in wrong if needs_building(each))]
        if broken:
            GroupBuilder(self.comparator).build(broken)
            views = {each.key: each.view for each in broken}
            left = self._looked_at_again([(view, key) for key, view in views.items()])
        after = {each.key: len(each.problems) for each in left}
        for each in wrong:
            self.report.add("repaired", max(0, len(each.problems) - after.get(each.key, 0)))

    def _orphan(self, partition: str, view: str) -> GroupFinding | None:
        """Members of a group that no item explains, if they are still there."""
        owner = self._view(view)
        if owner is None:
            self.report.name("unknown", where=partition)
            return None
        again = Members()
        for row in self._rows_of(partition):
            again.count(row)
        if not again.number or not again.same(self._members[partition]):
            return None
        problem = Problem("dead", f"members {partition}")
        found = group_of_members(owner, partition)
        if found is None:
            self.report.name("differences", view=view, item="", kind=problem.kind, where=problem.where)
            return None
        key, incarnation = found
        if self._closed(owner, key):
            return None
        return GroupFinding(owner, key, {}, Sums(), {}, (problem,), incarnation)

    def _view(self, name: str) -> View | None:
        return next((each for each in self.comparator.views if each.name == name), None)

    def _rows_of(self, partition: str) -> Iterator[Row]:
        return table_reader.partition(self.comparator.tables.client, self.comparator.tables.derived, partition)
