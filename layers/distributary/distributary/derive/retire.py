"""What a view that is declared no more has left behind, taken back by its ledger rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import SUPERSEDED, Outcome, Status
from distributary.consumer.reconcile import LOOKS, MOVING
from distributary.derive.contribution import shape_of
from distributary.derive.declarations import Join, Projection
from distributary.derive.delta import (
    Contribution,
    Delta,
    Entry,
    Key,
    RecordedContribution,
    Row,
    Shape,
    difference,
    member_key,
    member_partition,
)
from distributary.derive.expiry import VERIFIED, closed
from distributary.derive.format import STATE, entry_name
from distributary.derive.groups import REVISION, Group, at_edges
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.reconcile import register_ids
from distributary.derive.transaction_queue import TransactionQueue
from distributary.derive.transactions import PendingEntry
from distributary.derive.verify.item_verifier import Comparator, Subject
from distributary.derive.verify.key_owner import item_of_entry, view_of
from distributary.derive.verify.repair import Repair
from distributary.derive.view import View
from distributary.errors import Rejected, Unavailable
from distributary.stream import struct
from distributary.stream import version as versions
from distributary.stream.keys import escape

_UNKNOWN = outcomes.parked(Rejected("a ledger row's id does not show the item whose rows another view has now"))
_NOTHING = Shape(lambda amounts, different: {})  # noqa: ARG005


@dataclass(frozen=True, slots=True)
class Retirement:
    """What belongs to a view that is declared is that view's. `comparator` has all views."""

    comparator: Comparator
    repair: Repair

    @property
    def views(self) -> tuple[View, ...]:
        """Those that are declared."""
        return self.comparator.views

    @property
    def tables(self) -> LedgerTables:
        """Where they are kept."""
        return self.comparator.tables

    def entries(self, rows: Sequence[Row], deadline: Deadline) -> list[Outcome]:
        """One outcome a ledger row. Each is emptied in one transaction with what it says of its own rows and groups, on
        condition that it is as it was read. It keeps its version: were the view declared again, an older change would
        still be superseded. Superseded: it changed since it was read."""
        ends = []
        for row in rows:
            try:
                deadline.check()
                ends.append(self._entry(row, deadline))
            except Unavailable as error:
                ends.append(outcomes.failed(error))
        return ends

    def _entry(self, row: Row, deadline: Deadline) -> Outcome:
        """In a transaction of its own: two entries of one group that nobody declares would both delete its row. Rows
        that another view keeps now come first: what was not reached is found by the entry again."""
        id, version = row["id"]["S"], row["version"]["S"]
        name, recorded = entry_name(row), RecordedContribution.read(row)
        view = name.partition("|")[0]
        owners = {key: view_of(self.views, key) for key in recorded.rows}
        handed = {key: owner for key, owner in owners.items() if owner is not None and not _has_groups(owner)}
        end = self._handed_over(name, handed, deadline)
        if end.status in (Status.PARKED, Status.FAILED):
            return end
        entry = Entry(
            id, name, view, versions.from_text(version), Contribution(), self._shape(recorded), self.tables.revision()
        )
        delta = self._delta(view, recorded, frozenset(owners) - handed.keys(), deadline)
        case = PendingEntry(entry, version, delta, recorded)
        return TransactionQueue(self.tables, deadline).run([[case]])[id]

    def _handed_over(self, name: str, handed: Mapping[Key, View], deadline: Deadline) -> Outcome:
        """Each row is made what the view that has its key now makes of the item, on condition of that view's own ledger
        row or of the row's version. An entry of an earlier table says which item it was by its keys."""
        ends = [outcomes.IGNORED]
        for owner in {each.name: each for each in handed.values()}.values():
            entry = name.partition("|")[2]
            item, table = item_of_entry([owner], None, f"{owner.name}|{entry}"), owner.declared.of.table
            if item is None or (table is not None and entry.partition("/")[0] != escape(table)):
                ends.append(_UNKNOWN)
                continue
            also = frozenset((owner.name, key) for key, each in handed.items() if each is owner)
            ends.append(self._set_right(owner, Subject(item[1], also), deadline))
        return outcomes.combine(ends)

    def _set_right(self, owner: View, subject: Subject, deadline: Deadline) -> Outcome:
        comparator = replace(self.comparator, views=(owner,))
        for _ in range(LOOKS):
            deadline.check()
            tombstones = self._tombstones(owner, subject, deadline)
            wrong = [each for each in comparator.compare([subject], deadline=deadline).findings if each.problems]
            if not wrong:
                return SUPERSEDED
            end = outcomes.combine([self.repair.item(each, tombstones, 0, deadline) for each in wrong])
            if end.status in (Status.PARKED, Status.FAILED):
                return end
        return MOVING

    def _tombstones(self, owner: View, subject: Subject, deadline: Deadline) -> dict[str, str]:
        ids = register_ids([owner], subject.keys)
        return self.repair.register.tombstones.find(ids, deadline) if ids else {}

    def _delta(self, name: str, recorded: RecordedContribution, own: frozenset[Key], deadline: Deadline) -> Delta:
        """What is subtracted from groups that a declared view owns; everything else goes. Of `own` rows not those that
        are a group's now."""
        whole, rows = difference(recorded, Contribution()), set[Key]()
        owners = {key: view_of(self.views, key) for key in recorded.shares}
        groups = {key: each for key, each in whole.groups.items() if self._takes(owners[key], key)}
        for key in recorded.shares.keys() - groups.keys():
            mark = recorded.marks.get(key, "")
            rows |= {member_key(name, key, member, mark) for member in recorded.shares[key][1]}
            rows |= {key} if owners[key] is None else set()
        standing = self.tables.derived_rows(list(own), deadline) if own else {}
        rows |= {key for key, row in standing.items() if REVISION not in row}
        return struct.replace(whole, groups=groups, deletes=frozenset(rows))

    def _takes(self, owner: View | None, key: Key) -> bool:
        """Whether the group is a declared view's, and not closed."""
        if owner is None or not _has_groups(owner):
            return False
        return not closed(shape_of(owner).until, [key], self.tables.now())

    def _shape(self, recorded: RecordedContribution) -> Shape:
        owners = (view_of(self.views, key) for key in recorded.shares)
        return next((shape_of(owner) for owner in owners if owner is not None and _has_groups(owner)), _NOTHING)


def _has_groups(view: View | None) -> bool:
    return view is not None and not isinstance(view.declared, Projection | Join)


def edges_as_counted(tables: LedgerTables, view: View, key: Key, row: Row) -> Row | None:
    """A group's row as its members are, if it shows other first or last ones: they may have been another view's, of
    which nothing is left. None if all is right. 1 query for each edge. Raises Unavailable."""
    shape, group = shape_of(view), Group(row)
    if not shape.edges or closed(shape.until, [key], tables.now() + VERIFIED):
        return None
    partitions = {edge: member_partition(view.name, key, edge.of, group.incarnation) for edge in shape.edges}
    places, shown = at_edges({edge: tables.members(at, edge.size, edge.last) for edge, at in partitions.items()})
    if places == row[STATE]["M"]["edges"]["M"] and shown.items() <= row.items():
        return None
    state = {**row[STATE]["M"], "edges": {"M": places}}
    figures = shape.present(group.figures.amounts, group.figures.different)
    own = {
        **shape.expiry(key),
        "pk": row["pk"],
        "sk": row["sk"],
        STATE: {"M": state},
        REVISION: {"S": tables.revision()},
    }
    return {**shown, **figures, **own}
