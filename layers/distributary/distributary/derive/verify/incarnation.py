"""Broken groups built anew beside the stream, as another incarnation, and then switched over to it.

1. The group's row names the incarnation that is built. From then on each write adds to what is shown and to what is
   built, and marks its ledger row with the name.
2. Each ledger row without the mark is counted into it, in a transaction with the mark, as its item makes it now.
3. One write of the group's row shows what was built. The members of the incarnation before are removed.

Readers see the figures as they were, moved on by the stream, until the switch. Whoever finds an incarnation begun goes
on with it: two runs at once and one that died end the same. `tests/unit/test_incarnation_model.py` enumerates it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distributary.consumer.aws import AwsError, classify, code_of
from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import Status
from distributary.derive.contribution import shape_of
from distributary.derive.declarations import Ranked
from distributary.derive.delta import (
    Contribution,
    Entry,
    GroupDelta,
    Key,
    MemberName,
    RecordedContribution,
    Row,
    Share,
    difference,
    member_key,
    member_partition,
)
from distributary.derive.format import STATE, check_ledger_row, entry_name, mark_of
from distributary.derive.groups import REVISION, Figures, Group, made_row, under_construction
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.transact_items import group_write
from distributary.derive.transaction_queue import TransactionQueue
from distributary.derive.transactions import ACTIONS, CANCELLED, PendingEntry, is_busy, lanes, still_open
from distributary.derive.verify.group_diff import GroupFinding, ended_row, group_row, sets_of
from distributary.derive.verify.item_verifier import Comparator, Subject
from distributary.derive.verify.key_owner import item_of_entry
from distributary.derive.view import View
from distributary.dynamodb import table_reader
from distributary.errors import Unavailable
from distributary.stream import version as versions
from distributary.stream.codec import Typed
from distributary.stream.keys import table_arn, table_of
from distributary.stream.struct import replace

TRIES = 12
"""Of a write of one row or item that others keep changing, with full jitter."""

_BATCH = 50
"""So many ledger rows are counted at once: their items are read in one request."""

_NOTHING = Figures({}, {}, {})


@dataclass(frozen=True, slots=True)
class Built:
    """A group, and the name of its incarnation that is built."""

    view: View
    key: Key
    incarnation: str


@dataclass(frozen=True, slots=True)
class GroupBuilder:
    """Costs per group: some writes of its row, and per item that it counts 2 write units for the ledger row, 2 for each
    of its members, and 2 for each transaction."""

    comparator: Comparator

    @property
    def tables(self) -> LedgerTables:
        """Where the groups are kept."""
        return self.comparator.tables

    def build(self, broken: Sequence[GroupFinding]) -> None:
        """All of them, with one scan of the ledger: a page after the other, for they write the same groups. Raises
        Unavailable; what was begun is ended by the next run."""
        found = [built for each in broken if (built := self._begun(each)) is not None]
        begun = {(each.view.name, each.key): each for each in found}
        if not begun:
            return
        named = {group: each.incarnation for group, each in begun.items()}
        for page in table_reader.pages(self.tables.client, self.tables.ledger, 0, 1):
            due = [row["id"]["S"] for row in page if _unmarked(check_ledger_row(row), named)]
            for at in range(0, len(due), _BATCH):
                self._count(due[at : at + _BATCH], named)
        for each in begun.values():
            self._switch(each)

    def _begun(self, broken: GroupFinding) -> Built | None:
        """None if nothing is to be built: what another run has begun to remove was removed, or what was left over."""
        view, key = broken.view, broken.key
        for _ in self._tries(key):
            group = self._group(key)
            if group.dropping is not None:
                self._drop(view, key, group.dropping)
                if all(each.kind == "unfinished" for each in broken.problems):
                    return None
            elif group.row and REVISION not in group.row:
                return None
            elif broken.leftover is not None and broken.leftover not in group.incarnations:
                if self._left_over(view, key, group, broken.leftover):
                    return None
            elif group.building is not None:
                return Built(view, key, group.building)
            else:
                name = self.tables.revision()[-8:]
                if self._replaced(key, group, _begun_row(broken, group.row, name)):
                    return Built(view, key, name)
        return None

    def _left_over(self, view: View, key: Key, group: Group, incarnation: str) -> bool:
        """Whether the members are removed of an incarnation that the group's row does not name. Without a row nobody
        will ever name it again: only the first incarnation is never made up."""
        if not group.row:
            for each in self._left(view, key, incarnation):
                self._transact([group_write(self.tables.derived, each, None)])
            return True
        if not self._replaced(key, group, _with_state(group.row, dropping={"S": incarnation})):
            return False
        self._drop(view, key, incarnation)
        return True

    def _count(self, ids: Sequence[str], named: Mapping[tuple[str, Key], str]) -> None:
        """Until each of them is marked, or counts in none of the groups any more."""
        for tries in range(TRIES):
            if tries:
                self.tables.pause(tries, FOREVER)
            rows = self.tables.ledger_rows(ids, FOREVER)
            due = {id: row for id, row in rows.items() if _unmarked(row, named)}
            if not due:
                return
            cases = self._cases(due, named)
            for lane in lanes(cases):
                for end in TransactionQueue(self.tables, FOREVER).run(lane).values():
                    if end.status in (Status.FAILED, Status.PARKED):
                        raise Unavailable(f"a group cannot be built anew: {end.cause}", end.detail)
        raise Unavailable("ledger rows changed at every try while a group was built anew: run this again")

    def _cases(self, due: Mapping[str, Row], named: Mapping[tuple[str, Key], str]) -> list[PendingEntry]:
        """What each item should contribute, as it is now, behind its ledger row. Where that cannot be known, as of an
        item that TTL deleted and whose contribution outlives it, what the row and the shown members say."""
        views = {view.name: view for view in self.comparator.views}
        table = table_of(table_arn(self.comparator.source))
        owners = [item_of_entry(views.values(), table, entry_name(row)) for row in due.values()]
        found = self.comparator.compare([Subject(each[1]) for each in owners if each is not None])
        wanted = {each.want.id: each.want.entry for each in found.findings if each.want.outlives is None}
        cases = []
        for id, row in due.items():
            view = views[entry_name(row).partition("|")[0]]
            cases.append(self._case(view, row, wanted.get(id) or self._as_recorded(view, row), named))
        return cases

    def _case(self, view: View, row: Row, entry: Entry, named: Mapping[tuple[str, Key], str]) -> PendingEntry:
        """Keeps the version, as a repair does; see `Repair`."""
        read, recorded = row["version"]["S"], RecordedContribution.read(row)
        kept = replace(entry, version=versions.from_text(read), revision=self.tables.revision())
        kept, counted = still_open(kept, recorded, self.tables.now())
        delta = difference(counted, kept.contribution)
        due = {key: GroupDelta({}, {}) for key in recorded.shares if (view.name, key) in named}
        return PendingEntry(kept, read, replace(delta, groups={**due, **delta.groups}), recorded)

    def _as_recorded(self, view: View, row: Row) -> Entry:
        """Without a member whose row is lost: its value cannot be known."""
        recorded = RecordedContribution.read(row)
        shares: dict[Key, Share] = {}
        for key, (amounts, names) in recorded.shares.items():
            members = self._members(view, key, list(names), recorded.marks.get(key, ""))
            if len(members) == len(names) or not isinstance(view.declared, Ranked):
                shares[key] = Share(amounts, members)
        version = versions.from_text(row["version"]["S"])
        id, name, contribution = row["id"]["S"], entry_name(row), Contribution(shares=shares)
        return Entry(id, name, view.name, version, contribution, shape_of(view), mark=mark_of(row))

    def _members(self, view: View, key: Key, names: Sequence[MemberName], mark: str) -> dict[MemberName, Typed]:
        places = {name: member_key(view.name, key, name, mark) for name in names}
        rows = self.tables.derived_rows(list(places.values()), FOREVER) if places else {}
        return {name: rows[place]["value"] for name, place in places.items() if rows[place]}

    def _switch(self, built: Built) -> None:
        view, key = built.view, built.key
        for _ in self._tries(key):
            group = self._group(key)
            if group.building != built.incarnation or self._replaced(key, group, self._switched(view, key, group)):
                break
        dropping = self._group(key).dropping
        if dropping is not None:
            self._drop(view, key, dropping)

    def _switched(self, view: View, key: Key, group: Group) -> Row:
        """Members change only with the row, which is written on condition that it is as it was read."""
        ends = {}
        for edge in shape_of(view).edges:
            at = member_partition(view.name, key, edge.of, str(group.building))
            ends[edge] = self.tables.members(at, edge.size, edge.last)
        underway: dict[str, Typed] = {
            "incarnation": {"S": str(group.building)},
            "dropping": {"S": group.incarnation},
        }
        return ended_row(view, key, group.built_figures, ends, underway)

    def _drop(self, view: View, key: Key, incarnation: str) -> None:
        """The members, each transaction with the group's row, so that nothing is removed once the group has ended: it
        may come again as its first incarnation. Then the row forgets it."""
        left = self._left(view, key, incarnation)
        for _ in self._tries(key):
            group = self._group(key)
            while group.dropping == incarnation and left:
                if not self._replaced(key, group, group.row, left[: ACTIONS - 1]):
                    break
                left = left[ACTIONS - 1 :]
                group = self._group(key)
            if group.dropping != incarnation or (not left and self._replaced(key, group, _ended(group))):
                return

    def _left(self, view: View, key: Key, incarnation: str) -> list[Key]:
        partitions = [member_partition(view.name, key, of, incarnation) for of in sets_of(view)]
        client, table = self.tables.client, self.tables.derived
        return [(at, row["sk"]["S"]) for at in partitions for row in table_reader.partition(client, table, at)]

    def _group(self, key: Key) -> Group:
        return Group(self.tables.derived_rows([key], FOREVER)[key])

    def _tries(self, key: Key) -> Iterator[int]:
        for tries in range(TRIES):
            if tries:
                self.tables.pause(tries, FOREVER)
            yield tries
        raise Unavailable(f"the group's row {key[0]} | {key[1]} changed at every try: run this again")

    def _replaced(self, key: Key, read: Group, row: Row | None, gone: Sequence[Key] = ()) -> bool:
        """Whether the group's row was as it was read: it is now the new one, with another revision."""
        revised = None if row is None else {**row, REVISION: {"S": self.tables.revision()}}
        derived = self.tables.derived
        removals = [group_write(derived, each, None) for each in gone]
        return self._transact([group_write(derived, key, revised, read), *removals])

    def _transact(self, actions: Sequence[Mapping[str, Any]]) -> bool:
        try:
            self.tables.client.transact_write_items(TransactItems=list(actions))
        except AwsError as error:
            if code_of(error) == CANCELLED or is_busy(error):
                return False
            raise Unavailable(str(classify(error, "group TransactWriteItems")), str(error)) from error
        return True


def _unmarked(row: Row, named: Mapping[tuple[str, Key], str]) -> bool:
    """Whether a ledger row counts in one of these groups, and not in the incarnation that is built."""
    view, recorded = entry_name(row).partition("|")[0], RecordedContribution.read(row)
    due = {key: named[view, key] for key in recorded.shares if (view, key) in named}
    return any(recorded.marks.get(key) != name for key, name in due.items())


def _begun_row(broken: GroupFinding, row: Row, name: str) -> Row:
    """A group without a row shows meanwhile what the ledger adds up to."""
    view, key = broken.view, broken.key
    base = row or group_row(view, key, row, broken.sums, broken.members)
    base = base or made_row(key, shape_of(view), _NOTHING, {}, {}, {})
    return _with_state(base, building=under_construction(name, _NOTHING))


def _ended(group: Group) -> Row | None:
    """Without what was dropped; None for a group that has no item any more."""
    if group.figures.empty and group.building is None:
        return None
    return {**group.row, STATE: {"M": {name: typed for name, typed in group.state.items() if name != "dropping"}}}


def _with_state(row: Row, **more: Typed) -> Row:
    return {**row, STATE: {"M": {**Group(row).state, **more}}}
