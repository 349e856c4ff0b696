"""What a view that is declared no more has left behind, taken back by its ledger rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome
from distributary.derive.contribution import shape_of
from distributary.derive.declarations import Projection
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
from distributary.derive.format import STATE
from distributary.derive.groups import REVISION, Group
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.transaction_queue import TransactionQueue
from distributary.derive.transactions import PendingEntry
from distributary.derive.verify.key_owner import view_of
from distributary.derive.view import Primitive, View
from distributary.errors import Unavailable
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.codec import Typed

_NOTHING = Shape(lambda amounts, different: {})  # noqa: ARG005


@dataclass(frozen=True, slots=True)
class Retirement:
    """`views` are those that are declared: what belongs to them now is theirs."""

    tables: LedgerTables
    views: tuple[View, ...]

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
        """In a transaction of its own: two entries of one group that nobody declares would both delete its row."""
        id, version = row["id"]["S"], row["version"]["S"]
        name, recorded = id.partition("|")[0], RecordedContribution.read(row)
        shape = self._shape(recorded)
        entry = Entry(id, name, versions.from_text(version), Contribution(), shape, self.tables.revision())
        case = PendingEntry(entry, version, self._delta(name, recorded, deadline))
        return TransactionQueue(self.tables, deadline).run([[case]])[id]

    def _delta(self, name: str, recorded: RecordedContribution, deadline: Deadline) -> Delta:
        """What is subtracted from groups that a declared view owns; everything else goes."""
        whole, rows = difference(recorded, Contribution()), set[Key]()
        owners = {key: view_of(self.views, key) for key in recorded.shares}
        groups = {key: each for key, each in whole.groups.items() if _has_groups(owners[key])}
        for key in recorded.shares.keys() - groups.keys():
            rows |= {member_key(name, key, member) for member in recorded.shares[key][1]}
            rows |= {key} if owners[key] is None else set()
        return replace(whole, groups=groups, deletes=self._own(name, whole.deletes, deadline) | rows)

    def _own(self, name: str, keys: frozenset[Key], deadline: Deadline) -> frozenset[Key]:
        """The rows that are no other view's. The view may keep rows of these keys by their versions now."""
        owners = {key: view_of(self.views, key) for key in keys}
        alone = {key for key, owner in owners.items() if owner is None}
        kept = [key for key, owner in owners.items() if owner is not None and self._was_its_own(owner, name)]
        standing = self.tables.derived_rows(kept, deadline) if kept else {}
        return frozenset(alone | {key for key, row in standing.items() if REPLICA_VERSION not in row})

    def _was_its_own(self, owner: View, name: str) -> bool:
        return owner.name == name and owner.primitive is Primitive.REGISTER

    def _shape(self, recorded: RecordedContribution) -> Shape:
        owners = (view_of(self.views, key) for key in recorded.shares)
        return next((shape_of(owner) for owner in owners if owner is not None and _has_groups(owner)), _NOTHING)


def _has_groups(view: View | None) -> bool:
    return view is not None and not isinstance(view.declared, Projection)


def edges_as_counted(tables: LedgerTables, view: View, key: Key, row: Row) -> Row | None:
    """A group's row as its members are, if it shows another first or last one: they may have been another view's, of
    which nothing is left. None if all is right. 1 query for each edge. Raises Unavailable."""
    shape, group = shape_of(view), Group(row)
    if not shape.edges:
        return None
    places: dict[str, Typed] = {}
    shown: dict[str, Typed] = {}
    for edge in shape.edges:
        for place, value in tables.members(member_partition(view.name, key, edge.of), 1, edge.last):
            places[edge.name] = {"S": place}
            shown |= {edge.output: value} if edge.output else value["M"]
    if places == row[STATE]["M"]["edges"]["M"] and shown.items() <= row.items():
        return None
    state = {**row[STATE]["M"], "edges": {"M": places}}
    figures = shape.present(group.amounts, group.different)
    own = {"pk": row["pk"], "sk": row["sk"], STATE: {"M": state}, REVISION: {"S": tables.revision()}}
    return {**shown, **figures, **own}
