"""What the derived tables hold and no item explains, found by pages of the ledger and of the derived table.

- A ledger row of a view that is declared no more, or no more on the ledger, is emptied, with what it says of its rows,
  groups and members. One of a declared view whose item is gone is reconciled.
- A versioned row is removed unless a view on the Register makes it of its item, which is then reconciled.
- Members and groups of a view that is declared no more are removed. What a group that is declared shows of its members
  is read anew: under an earlier name of the view, others were counted.

A row that carries nothing of ours is never touched: it may be another program's. Every write has the condition that the
row is as it was read. `tests/scheduler` plays it beside the stream.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome, Status
from distributary.consumer.reconcile import LOOKS, Reconcile, Reconciler
from distributary.consumer.sweep import PAGE, Done, Sweep, Swept
from distributary.derive.branch import TOMBSTONE_ID_BYTES, DeriveBranch
from distributary.derive.declarations import Join, Projection
from distributary.derive.delta import Key, RecordedContribution, Row, is_member, typed_key
from distributary.derive.format import STATE, check_derived_row, check_ledger_row, entry_name
from distributary.derive.former import Former, formers
from distributary.derive.groups import REVISION
from distributary.derive.join_rows import RIGHT_ROW, is_joined
from distributary.derive.retire import Retirement, edges_as_counted
from distributary.derive.table_format import ROW_ID, TableFormat, written_under
from distributary.derive.verify.expected_rows import wants
from distributary.derive.verify.item_verifier import Comparator
from distributary.derive.verify.key_owner import item_of_entry, item_of_row, owner_of_joined, view_of
from distributary.derive.verify.repair import Repair
from distributary.derive.view import Primitive, View
from distributary.dynamodb import item_reader, table_reader
from distributary.dynamodb.read_budget import Metered, Pace
from distributary.dynamodb.requests import BatchReader, conditional_write
from distributary.dynamodb.versioned_table import Write
from distributary.errors import ConfigError, Rejected, Unavailable
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.codec import Typed, for_client
from distributary.stream.format import FORMAT_ATTRIBUTE
from distributary.stream.keys import bounded, escape, identity, table_arn, table_of

Keys = Mapping[str, Typed]
"""An item's key attributes."""

LEDGER, DERIVED = "ledger", "derived"
_KEYS = {LEDGER: ("id",), DERIVED: ("pk", "sk")}
_CHUNK = 25
"""So many rows are decided and written at once: their items are in memory together, and are read in one request."""

OTHER_TABLE = "a ledger row of an item of another table, or whose id does not show its item"
FOREIGN = "a row of no view, without a version: it is another program's, or of a group that is broken"
DIGEST = "a row of a group's members whose key is a digest: it may be a removed view's"
MOVED = "a row that changed while it was looked at: run this again"


@dataclass(frozen=True)
class DeriveRebuilder:
    """See `consumer.sweep.Rebuilder`. `source` names the function's table, `earlier` the tables of its earlier
    streams; `pace`: of reads by key of the source, without a limit if None."""

    branch: DeriveBranch
    format: TableFormat
    reconcile: Reconciler
    source: Callable[[], str]
    generation: int
    earlier: frozenset[str] = frozenset()
    pace: Pace | None = None

    def declarations(self, done: Done, deadline: Deadline) -> dict[str, Any]:
        """See `Rebuilder`. Raises ConfigError for a view that is said to be retired and is declared."""
        self.format.check(deadline)
        declared = self.format.described()
        if still := sorted(done.retired & declared.keys()):
            raise ConfigError(f"view '{still[0]}' is declared: nothing of it is retired")
        if done.rebuilt or done.retired:
            self.format.rebuilt(done.rebuilt, done.retired)
        if done.filled:
            self.format.filled(done.filled)
        written = written_under(self.format.read(deadline))
        return {
            "parts": [LEDGER, DERIVED],
            "written": {name: found[0] for name, found in written.items()},
            "since": {name: found[1:] for name, found in written.items() if found[1:]},
            "declared": declared,
        }

    def sweep(self, asked: Sweep, deadline: Deadline) -> Swept:
        """See `Rebuilder`. A page ends early where the time is up, or the reads that are allowed: the next goes on."""
        self.format.check(deadline)
        tables = self.branch.ledger.tables
        table = {LEDGER: tables.ledger, DERIVED: tables.derived}.get(asked.part)
        if table is None:
            raise ConfigError(f"nothing is kept in a part '{asked.part}'")
        start = {name: for_client(typed, name) for name, typed in asked.cursor.items()} if asked.cursor else None
        pages = table_reader.cursors(tables.client, table, asked.segment, asked.segments, start, limit=PAGE)
        page, cursor = next(pages)
        of = _Page(self, asked, formers(written_under(self.format.read(deadline)), self.branch.views), deadline)
        found = Swept(cursor=cursor)
        for at in range(0, len(page), _CHUNK):
            chunk = page[at : at + _CHUNK]
            try:
                found.add(of.ledger(chunk) if asked.part == LEDGER else of.derived(chunk))
            except Unavailable:
                if not at:
                    raise
                found.cursor = {name: page[at - 1][name] for name in _KEYS[asked.part]}
                return found
            found.read += len(chunk)
        return found


@dataclass(frozen=True)
class _Page:
    """Rows of one page, decided and written."""

    of: DeriveRebuilder
    asked: Sweep
    formers: Sequence[Former]
    deadline: Deadline

    def __post_init__(self) -> None:
        known = {*self._views, *(former.name for former in self.formers)}
        if unknown := sorted(self.asked.only - known):
            raise ConfigError(f"nothing is or was called '{unknown[0]}' here: known are {', '.join(sorted(known))}")

    @cached_property
    def _views(self) -> dict[str, View]:
        return {view.name: view for view in self.of.branch.views}

    @cached_property
    def _table(self) -> str:
        return table_of(table_arn(self.of.source()))

    @property
    def _retires(self) -> bool:
        """Whether a view is looked at that is declared no more: its members may be shown in any other's groups."""
        return bool(self.asked.only - self._views.keys())

    def _wanted(self, name: str) -> bool:
        """What a view of another source table keeps is looked at when that table is named."""
        view = self._views.get(name)
        table = view.declared.of.table if view is not None else None
        return (not self.asked.only or name in self.asked.only) and table in (None, self._table)

    def ledger(self, page: Sequence[Row]) -> Swept:
        """Entries that contribute something."""
        found, dead, owned = Swept(), list[Row](), list[tuple[View, Keys]]()
        for row in page:
            id = entry_name(row)
            name, _, item = id.partition("|")
            if id == ROW_ID or not (id.startswith("%") or self._wanted(name)):
                continue
            if RecordedContribution.read(check_ledger_row(row)) == RecordedContribution():
                continue
            view = self._views.get(name)
            if id.startswith("%"):
                found.untouched[OTHER_TABLE] += 1
            elif view is None or view.primitive is Primitive.REGISTER or self._is_earlier(view, item):
                dead.append(row)
            elif (owner := item_of_entry([view], self._table, id)) is None:
                found.untouched[OTHER_TABLE] += 1
            elif _can_be_read(owner[1], found):
                owned.append(owner)
        found.add(self._retired(dead))
        found.add(self._reconciled(self._gone(owned)))
        return found

    def derived(self, page: Sequence[Row]) -> Swept:
        """Versioned rows, members and groups."""
        found, dead, made = Swept(), list[tuple[str, Row]](), list[tuple[View, Key, Keys]]()
        for row in map(check_derived_row, page):
            key = row["pk"]["S"], row["sk"]["S"]
            if is_member(row):
                found.add(self._member(row))
                continue
            if is_joined(row):
                found.add(self._joined(row))
                continue
            owner = view_of(self._views.values(), key)
            if STATE in row and REVISION in row:
                found.add(self._group(owner, key, row))
            elif REPLICA_VERSION not in row:
                found.untouched[FOREIGN] += owner is None and not self._former(key)
            elif owner is not None and owner.primitive is Primitive.REGISTER and (item := item_of_row(owner, key)):
                made += [(owner, key, item)] if self._wanted(owner.name) and _can_be_read(item, found) else []
            elif self._wanted(name := self._former(key) or (owner.name if owner else "")):
                dead.append((name, row))
        found.add(self._reconciled(self._not_made(made)))
        found.add(self._removed(self._kept_out(dead)))
        return found

    def _former(self, key: Key) -> str:
        """The view that made such a key under another declaration; empty if none is known."""
        return next((each.name for each in self.formers if each.owns(key)), "")

    def _is_earlier(self, view: View, item: str) -> bool:
        """Whether a ledger row's item is of a table that the view reads no more: its stream has given way to the
        function's own, or the view's entity is of another table now."""
        owner, table = item.partition("/")[0], view.declared.of.table
        if table is not None and owner != escape(table):
            return True
        return any(owner == escape(table) and table != self._table for table in self.of.earlier)

    def _items(self, keys: Iterable[Keys]) -> dict[str, Row]:
        client: BatchReader = self.of.branch.ledger.tables.client
        if self.of.pace is not None:
            client = Metered(client, self.of.pace, self.deadline)
        return item_reader.items(client, self.of.source(), [dict(each) for each in keys], self.deadline)

    def _gone(self, owned: Sequence[tuple[View, Keys]]) -> list[tuple[View, Keys]]:
        """Those whose item is gone. Where a view keeps what TTL deletes leave, the reconciler goes by the mark."""
        items = self._items(keys for _, keys in owned)
        return [(view, keys) for view, keys in owned if identity(keys) not in items]

    def _not_made(self, made: Sequence[tuple[View, Key, Keys]]) -> list[tuple[View, Keys]]:
        items, found = self._items(keys for *_, keys in made), []
        for view, key, keys in made:
            item = items.get(identity(keys))
            wanted, _ = wants([view], self.of.source(), keys, item, versions.SNAPSHOT_POSITION)
            found += [(view, keys) for want in wanted if key not in want.rows]
        return found

    def _kept_out(self, dead: Sequence[tuple[str, Row]]) -> list[tuple[str, Row]]:
        """Those that go, without what a view keeps of items that TTL deleted, under an earlier key of the view. What
        has a mark that TTL did not delete its item goes."""
        keepers = {name for name, view in self._views.items() if view.declared.on_expiry == "keep"}
        owners = {
            at: self._item_of(name, row)
            for at, (name, row) in enumerate(dead)
            if name in keepers and versions.mark_in(row[REPLICA_VERSION]["S"]) != versions.LIVE
        }
        items = self._items(keys for keys in owners.values() if keys is not None)
        kept = {at for at, keys in owners.items() if keys is None or identity(keys) not in items}
        return [each for at, each in enumerate(dead) if at not in kept]

    def _item_of(self, name: str, row: Row) -> Keys | None:
        key = row["pk"]["S"], row["sk"]["S"]
        former = next((each for each in self.formers if each.name == name and each.owns(key)), None)
        return former.item(key, self._views[name].declared.of.keys) if former is not None else None

    def _reconciled(self, wrong: Sequence[tuple[View, Keys]]) -> Swept:
        found = Swept()
        for view in dict.fromkeys(view.name for view, _ in wrong):
            requests = [Reconcile(keys, only=frozenset({view})) for each, keys in wrong if each.name == view]
            if self.asked.dry_run:
                found.done += len(requests)
                continue
            found.add(_counted(self.of.reconcile(requests, self.deadline)))
        return found

    def _retired(self, rows: Sequence[Row]) -> Swept:
        if self.asked.dry_run or not rows:
            return Swept(done=len(rows))
        tables, version = self.of.branch.ledger.tables, versions.of(self.of.generation, versions.SNAPSHOT_POSITION)
        comparator = Comparator(self.of.source(), self.of.branch.views, tables, version, pace=self.of.pace)
        retirement = Retirement(comparator, Repair(tables, self.of.branch.register))
        return _counted(retirement.entries(rows, self.deadline), superseded=MOVED)

    def _removed(self, dead: Sequence[tuple[str, Row]]) -> Swept:
        """Versioned rows that no view makes. No tombstone is looked for: a removal leaves one newer than the row."""
        if self.asked.dry_run or not dead:
            return Swept(done=len(dead))
        register, found = self.of.branch.register, Swept()
        for name, row in dead:
            self.deadline.check()
            key = row["pk"]["S"], row["sk"]["S"]
            id = bounded("|".join((name, *key)), TOMBSTONE_ID_BYTES)
            try:
                held = register.repair(Write(id, typed_key(key), None, 0), row, "")
            except Rejected as error:
                found.left[str(error)] += 1
                continue
            found.done += held
            found.left[MOVED] += not held
        return found

    def _joined(self, row: Row) -> Swept:
        """Of a view that is declared, an item that is gone is reconciled: its ledger row names its subscription,
        whatever declaration wrote it. Of a view that is declared no more all goes, and right items of one that is no
        join any more."""
        right = row["sk"]["S"] == RIGHT_ROW
        name = row["view"]["S"] if right else row["sk"]["S"].partition("|")[0]
        view = self._views.get(name)
        if view is None or (right and not isinstance(view.declared, Join)):
            return self._deleted(row, "version" if right else FORMAT_ATTRIBUTE) if self._wanted(name) else Swept()
        owner = owner_of_joined([view], row)
        reads = owner is not None and owner.entity.reads(table_arn(self.of.source()))
        if owner is None or not reads or (self.asked.only and name not in self.asked.only):
            return Swept()
        return self._reconciled(self._gone([(view, owner.keys)]))

    def _member(self, row: Row) -> Swept:
        """Of a view that is declared no more; those of the others are their groups'."""
        name = row["pk"]["S"].removeprefix("%m").partition("|")[0]
        if row["pk"]["S"].startswith("%h"):
            retired = any(each.name not in self._views and self._wanted(each.name) for each in self.formers)
            return Swept(untouched=Counter({DIGEST: int(retired)}))
        if name in self._views or not self._wanted(name):
            return Swept()
        return self._deleted(row, "items")

    def _group(self, owner: View | None, key: Key, row: Row) -> Swept:
        """Of a declared view, what it shows; a row of a group where no group is any more goes."""
        if owner is not None and (self._wanted(owner.name) or self._retires):
            grouped = not isinstance(owner.declared, Projection | Join)
            return self._edges(owner, key, row) if grouped else self._deleted(row, REVISION)
        if owner is not None:
            return Swept()
        former = self._former(key)
        if not former:
            return Swept(untouched=Counter({FOREIGN: 1}))
        ended = former not in self._views and self._wanted(former)
        return self._deleted(row, REVISION) if ended else Swept()

    def _edges(self, owner: View, key: Key, row: Row) -> Swept:
        """Read again as often as the stream writes the group in between."""
        tables = self.of.branch.ledger.tables
        for _ in range(LOOKS):
            due = edges_as_counted(tables, owner, key, row) if STATE in row and REVISION in row else None
            if due is None or self.asked.dry_run:
                return Swept(done=due is not None)
            found = self._conditionally("put_item", row, REVISION, Item=due)
            if found.done:
                return found
            row = tables.derived_rows([key], self.deadline)[key]
        return Swept(left=Counter({MOVED: 1}))

    def _deleted(self, row: Row, attribute: str) -> Swept:
        if self.asked.dry_run:
            return Swept(done=1)
        found = self._conditionally("delete_item", row, attribute, Key={"pk": row["pk"], "sk": row["sk"]})
        return found if found.done else Swept(left=Counter({MOVED: 1}))

    def _conditionally(self, operation: str, row: Row, attribute: str, **arguments: Any) -> Swept:
        """On condition that the row's attribute is as it was read."""
        self.deadline.check()
        tables = self.of.branch.ledger.tables
        held = conditional_write(
            getattr(tables.client, operation),
            f"sweep {operation}",
            TableName=tables.derived,
            ConditionExpression="#a = :seen",
            ExpressionAttributeNames={"#a": attribute},
            ExpressionAttributeValues={":seen": row[attribute]},
            **arguments,
        ).held
        return Swept(done=int(held))


def _can_be_read(keys: Keys, found: Swept) -> bool:
    """Whether keys that a row showed can be an item's; if not, the row is counted as left."""
    try:
        return bool(identity(keys))
    except Rejected as error:
        found.left[str(error)] += 1
        return False


def _counted(ends: Iterable[Outcome], superseded: str = "") -> Swept:
    found = Swept()
    for end in ends:
        found.done += end.status is Status.APPLIED
        if end.status in (Status.PARKED, Status.FAILED):
            found.left[end.cause] += 1
        elif end.status is Status.SUPERSEDED and superseded:
            found.left[superseded] += 1
    return found
