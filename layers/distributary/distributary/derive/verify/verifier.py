"""The whole verification: derived table and ledger, then groups, then every item of the source."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import Status
from distributary.derive.contribution import entry_id
from distributary.derive.declarations import Join, Projection
from distributary.derive.delta import Key, RecordedContribution, Row, is_member
from distributary.derive.format import check_derived_row, check_ledger_row, entry_name
from distributary.derive.join_rows import LeftRow, is_joined
from distributary.derive.verify.expected_rows import wants
from distributary.derive.verify.group_verifier import GroupCheck
from distributary.derive.verify.item_verifier import Comparator, Finding, Subject, merged, merged_subjects
from distributary.derive.verify.key_owner import item_of_entry, item_of_row, owner_of_joined, view_of, view_of_member
from distributary.derive.verify.repair import Repair
from distributary.derive.verify.scan import Scan
from distributary.derive.view import View
from distributary.errors import ConfigError, Unavailable
from distributary.stream.canonical import digest_bytes
from distributary.stream.codec import Typed
from distributary.stream.keys import escape, identity, item_identity, table_arn, table_of
from distributary.verify.parked import NOTHING_LISTED, ParkedItems
from distributary.verify.progress import Progress, silent
from distributary.verify.report import Report

SUSPECTS = 1000
"""So many wait for their second look at most: it bounds the memory. Of what is left a digest is held."""

_BATCH = 100


@dataclass(slots=True)
class Verify:
    """One run. `keys` are the source table's key attributes; `others` are views that are not to be
    verified, whose rows are passed over; `parked` tells whose changes are parked; `progress` receives what was read,
    and how much of it. `also`: the tables that the function reads, whose items a view may have as well."""

    comparator: Comparator
    scan: Scan
    keys: tuple[str, ...]
    others: tuple[View, ...] = ()
    repair: Repair | None = None
    progress: Progress = silent
    parked: ParkedItems = NOTHING_LISTED
    also: frozenset[str] = frozenset()
    report: Report = field(default_factory=Report)
    _suspects: list[Finding] = field(default_factory=list)
    _left: set[bytes] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)
    _groups: GroupCheck = field(init=False)

    def __post_init__(self) -> None:
        self._groups = GroupCheck(self.comparator, self.scan, self.report, self.repair)

    def run(self, export: Iterable[list[Row]] | None = None) -> Report:
        """`export`: pages of a full export, read in the place of the source's scan. An item's second look is always at
        the table, so that an item that has changed since is no difference; one that is newer is not looked at.
        Raises Unavailable."""
        self.scan.each_page(self.comparator.tables.derived, self._derived_page)
        self.scan.each_page(self.comparator.tables.ledger, self._ledger_page)
        self._read("groups", self._groups.settle())
        self._settle()
        if export is None:
            self.scan.each_page(self.comparator.source, self._source_page)
        else:
            for page in export:
                self._source_page(page)
        self._settle()
        return self.report

    def _source_page(self, page: list[Row]) -> None:
        for at in range(0, len(page), _BATCH):
            batch = {identity(self._key(item)): item for item in page[at : at + _BATCH]}
            found = self.comparator.look([Subject(self._key(item)) for item in batch.values()], batch)
            for (view, item), reason in found.rejected.items():
                self.report.parked(item, reason, self.parked.find(self._key(batch[item])), view=view)
            self._suspect(found.findings)
            self._read("items", len(batch))

    def _derived_page(self, page: list[Row]) -> None:
        owned: list[tuple[View, Key, Subject]] = []
        self._joined_rows([row for row in page if is_joined(row)])
        for row in map(check_derived_row, page):
            key = row["pk"]["S"], row["sk"]["S"]
            if is_joined(row) or (is_member(row) and view_of_member(self.others, row)):
                continue
            if is_member(row):
                self._groups.member(row)
            elif (view := view_of((*self.comparator.views, *self.others), key)) is None:
                self.report.name("unknown", where=" | ".join(key))
            elif view in self.others:
                continue
            elif not isinstance(view.declared, Projection | Join):
                self._groups.row(view, key, row)
            elif self._is_left_table(view) and (keys := item_of_row(view, key)) is not None:
                owned.append((view, key, Subject(keys, frozenset({(view.name, key)}))))
        for at in range(0, len(owned), _BATCH):
            self._ownerless(owned[at : at + _BATCH])
        self._read("rows", len(page))

    def _ownerless(self, owned: Sequence[tuple[View, Key, Subject]]) -> None:
        """Rows that their items do not make."""
        joined = [each for each in owned if isinstance(each[0].declared, Join)]
        self._suspect(self._looked(self._not_named(joined)))
        owned = [each for each in owned if not isinstance(each[0].declared, Join)]
        items = self.comparator.source_items([subject for _, _, subject in owned])
        dead = []
        for view, key, subject in owned:
            item = items.get(identity(subject.keys))
            wanted, _ = wants([view], self.comparator.source, subject.keys, item, self.comparator.version)
            if any(key not in want.rows for want in wanted):
                dead.append(subject)
        self._suspect(self.comparator.look(dead).findings)

    def _joined_rows(self, page: Sequence[Row]) -> None:
        """What joins store beside their rows: right items that are gone, and subscriptions that no ledger row names."""
        others = {view.name for view in self.others}
        lefts, rights = list[tuple[View, Key, Subject]](), list[Subject]()
        for row in page:
            key = row["pk"]["S"], row["sk"]["S"]
            owner = owner_of_joined((*self.comparator.views, *self.others), row)
            if owner is None:
                self.report.name("unknown", where=" | ".join(key))
            elif owner.view.name in others or not owner.entity.reads(table_arn(self.comparator.source)):
                continue
            elif owner.left:
                lefts.append((owner.view, key, Subject(owner.keys, frozenset({(owner.view.name, key)}))))
            else:
                rights.append(Subject(owner.keys))
        for at in range(0, len(lefts), _BATCH):
            self._suspect(self._looked(self._not_named(lefts[at : at + _BATCH])))
        for at in range(0, len(rights), _BATCH):
            items = self.comparator.source_items(merged_subjects(rights[at : at + _BATCH]))
            self._suspect(self._looked([each for each in rights[at : at + _BATCH] if identity(each.keys) not in items]))

    def _not_named(self, owned: Sequence[tuple[View, Key, Subject]]) -> list[Subject]:
        """Those whose row or subscription is not what the left item's ledger row says, or whose ledger row has an id
        that does not show the item, so that no scan of the ledger leads to it."""
        source = table_of(table_arn(self.comparator.source))
        ids = [entry_id(view.name, item_identity(source, each.keys)) for view, _, each in owned]
        ledger = self.comparator.tables.ledger_rows(list(dict.fromkeys(ids)), FOREVER)
        known = [(id, LeftRow.of(ledger.get(id, {}))) for id in ids]
        return [
            each
            for (_, key, each), (id, row) in zip(owned, known, strict=True)
            if key not in (row.shown, row.subscription) or id.startswith("%")
        ]

    def _looked(self, subjects: Sequence[Subject]) -> list[Finding]:
        return self.comparator.look(merged_subjects(subjects)).findings

    def _joins_beside(self, name: str) -> bool:
        """Whether the left items of a join are another table's."""
        view = next((each for each in self.comparator.views if each.name == name), None)
        return view is not None and not self._is_left_table(view)

    def _is_left_table(self, view: View) -> bool:
        return view.declared.of.reads(table_arn(self.comparator.source))

    def _ledger_page(self, page: list[Row]) -> None:
        subjects, source = [], table_of(table_arn(self.comparator.source))
        for row in page:
            name = entry_name(row)
            view = name.partition("|")[0]
            if any(each.name == view for each in self.others) or self._joins_beside(view):
                continue
            recorded = RecordedContribution.read(check_ledger_row(row))
            owner = item_of_entry(self.comparator.views, source, name)
            if any(each.name == view for each in self.comparator.views):
                self._groups.share(view, recorded)
            if recorded != RecordedContribution() and owner is not None:
                subjects.append(Subject(owner[1]))
            elif recorded != RecordedContribution() and not self._is_of_another(view, name, source):
                self.report.name("unknown", where=f"ledger {row['id']['S']}")
        items = self.comparator.source_items(subjects)
        gone = {identity(each.keys): each for each in subjects if identity(each.keys) not in items}
        self._suspect(self.comparator.look(list(gone.values())).findings)
        self._read("ledger rows", len(page))

    def _is_of_another(self, view: str, name: str, source: str) -> bool:
        """Whether a ledger row belongs to an item of another table that the view reads too."""
        owner = name.partition("|")[2].partition("/")[0]
        reads = any(each.name == view and each.declared.of.table is None for each in self.comparator.views)
        return reads and owner in {escape(table) for table in self.also if table != source}

    def _suspect(self, findings: list[Finding]) -> None:
        with self._lock:
            self._suspects += findings
            full = len(self._suspects) >= SUSPECTS
        if full:
            self._settle()

    def _settle(self) -> None:
        with self._lock:
            suspects, self._suspects = self._suspects, []
        confirmed, moving = self.comparator.settle(suspects)
        for each in moving:
            self.report.name("moving", view=each.name[0], item=each.name[1])
        left, refused = {each.name: each for each in confirmed}, dict[tuple[str, str], str]()
        if self.repair is not None:
            left, refused = self._repair(self.repair, confirmed)
        for each in confirmed:
            self._name(each, left.get(each.name), refused.get(each.name))

    def _name(self, found: Finding, left: Finding | None, refused: str | None) -> None:
        """`left` is what a repair has left of it, `refused` why the table cannot take its rows."""
        (view, item), after = found.name, left.problems if left else ()
        parked = self.parked.find(found.subject.keys) if left else None
        cause = parked.cause if parked is not None else refused
        if cause is not None:
            if self._is_new(found.name):
                self.report.parked(item, cause, parked, view=view)
            return
        still = {each.where for each in after}
        for problem in found.problems:
            if self._is_new((*found.name, problem.where), problem.where in still):
                self.report.name("differences", view=view, item=item, kind=problem.kind, where=problem.where)
        self.report.add("repaired", max(0, len(found.problems) - len(after)))

    def _is_new(self, name: tuple[str, ...], is_left: bool = True) -> bool:
        """Whether no earlier scan has met this and left it, as two scans may meet one item."""
        digest = digest_bytes(*name)
        with self._lock:
            new = digest not in self._left
            (self._left.add if is_left else self._left.discard)(digest)
        return new

    def _repair(
        self, repair: Repair, confirmed: Sequence[Finding]
    ) -> tuple[dict[tuple[str, str], Finding], dict[tuple[str, str], str]]:
        """What is left, and why a table refused an item's rows. Goes by one more look, after the tombstones were read;
        what has changed by then is left."""
        refused: dict[tuple[str, str], str] = {}
        tombstones, subjects = repair.tombstones(confirmed), merged(confirmed)
        last = {each.name: each for each in self.comparator.look(subjects).findings}
        for each in confirmed:
            if each.name in last and last[each.name].evidence == each.evidence:
                end = repair.item(each, tombstones)
                if end.status is Status.FAILED:
                    raise Unavailable(end.cause, end.detail)
                if end.status is Status.PARKED:
                    refused[each.name] = end.cause
        return {each.name: each for each in self.comparator.look(subjects).findings}, refused

    def _key(self, item: Row) -> Mapping[str, Typed]:
        if any(name not in item for name in self.keys):
            raise ConfigError(f"an item has no {', '.join(self.keys)}: the export is another table's")
        return {name: item[name] for name in self.keys}

    def _read(self, what: str, number: int) -> None:
        self.report.add(what, number)
        self.progress(what, number)
