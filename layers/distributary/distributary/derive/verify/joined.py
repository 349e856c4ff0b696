"""Joins held against their source tables: what an item should have in one as a left item and as a right one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distributary.consumer.deadline import Deadline
from distributary.derive.contribution import entry_id
from distributary.derive.delta import Key, Row
from distributary.derive.join_rows import (
    ALL_FANNED,
    FOREIGN_KEY,
    RIGHT_ROW,
    SINCE,
    LeftRow,
    RightRow,
    partition,
    row_of,
    subscription_of,
)
from distributary.derive.join_view import (
    NO_KEY,
    JoinView,
    LeftContent,
    Reach,
    RightContent,
    foreign_keys,
)
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.verify.expected_rows import Problem, name_of
from distributary.dynamodb import item_reader
from distributary.dynamodb.requests import BatchReader
from distributary.errors import Rejected
from distributary.stream import version as versions
from distributary.stream.change import Image
from distributary.stream.codec import Typed, decode_item
from distributary.stream.entity import Entity, claimable
from distributary.stream.keys import identity, item_identity, table_arn, table_of

Keys = Mapping[str, Typed]
_OWN = (FOREIGN_KEY, SINCE)


@dataclass(frozen=True, slots=True)
class LeftSide:
    """An item as a left one: what is read of it (None if it has no row), its ledger row, and the right item that it
    names: `beside` as the source has it, `stored` as the join does."""

    id: str
    content: LeftContent | None
    found: LeftRow
    beside: RightContent | None = None
    stored: RightRow | None = None


@dataclass(frozen=True, slots=True)
class RightSide:
    """An item as a right one: what is read of it (None if it is gone), and as it is stored."""

    content: RightContent | None
    stored: RightRow | None


@dataclass(frozen=True, slots=True)
class JoinedItem:
    """What one join makes of one item. A side is None if the item can not be on it. `version`: of a snapshot."""

    join: JoinView
    keys: Keys
    version: int
    left: LeftSide | None
    right: RightSide | None

    def settled(self, at_least: int) -> bool:
        """Whether no change of the item up to this version can still take effect, if nothing else is wrong. A right
        item's change may have been stored, and not brought into its rows: that is known once a repair has done it."""
        left, right = self.left, self.right
        text = versions.to_text(at_least)
        if left is not None and (left.found.read or "") < text and (left.found.read is not None or at_least):
            return False
        if right is None or not at_least:
            return True
        stored = right.stored
        return stored is not None and stored.since >= text and stored.fanned == ALL_FANNED


@dataclass(frozen=True, slots=True)
class Found:
    """One item in one join: what is wrong, the rows that it should have, and all that it was judged by."""

    item: JoinedItem
    problems: tuple[Problem, ...]
    rows: Mapping[Key, Row]
    ledger: Row
    derived: Mapping[Key, Row]


@dataclass(frozen=True, slots=True)
class JoinComparator:
    """Compares items of the table named `source` in joins that read it; `client` reads source tables."""

    source: str
    joins: tuple[JoinView, ...]
    tables: LedgerTables
    version: int
    client: BatchReader

    def compare(
        self,
        subjects: Sequence[tuple[Keys, frozenset[tuple[str, Key]]]],
        items: Mapping[str, Row],
        deadline: Deadline,
    ) -> tuple[list[Found], dict[tuple[str, str], str]]:
        """One finding for each item and join, and why joins reject items. `subjects`: keys, and rows that seem to be
        the item's, by the join's name. Raises Unavailable."""
        found: list[Found] = []
        rejected: dict[tuple[str, str], str] = {}
        for join in self.joins:
            for at in range(0, len(subjects), 100):
                found += self._compared(join, subjects[at : at + 100], items, deadline, rejected)
        return found, rejected

    def _compared(
        self,
        join: JoinView,
        subjects: Sequence[tuple[Keys, frozenset[tuple[str, Key]]]],
        items: Mapping[str, Row],
        deadline: Deadline,
        rejected: dict[tuple[str, str], str],
    ) -> list[Found]:
        ids = {identity(keys): self._left_id(join, keys) for keys, _ in subjects if self._may_be_left(join, keys)}
        ledger = self.tables.ledger_rows(list(ids.values()), deadline)
        sides: dict[str, tuple[LeftContent | None, RightContent | None]] = {}
        for keys, _ in subjects:
            name = identity(keys)
            try:
                sides[name] = self._read(join, keys, items.get(name))
            except Rejected as error:
                rejected[join.name, name] = str(error)
        beside = self._beside(join, [left for left, _ in sides.values() if left is not None], deadline)
        rights = set(beside) | {identity(keys) for keys, _ in subjects if self._may_be_right(join, keys)}
        stored = {key: (partition(join.name, key), RIGHT_ROW) for key in rights}
        known = {name: LeftRow.of(ledger.get(id, {})) for name, id in ids.items()}
        wanted = [
            (keys, *self._rows(join, keys, also, sides, known.get(identity(keys)), beside))
            for keys, also in subjects
            if identity(keys) in sides
        ]
        every = {*stored.values(), *(key for _, _, own in wanted for key in own)}
        rows = self.tables.derived_rows(sorted(every), deadline)
        found = []
        for keys, shown, own in wanted:
            name = identity(keys)
            content, right = sides[name]
            left = None
            if name in ids:
                key = content.foreign_key if content is not None else NO_KEY
                at = RightRow.read(rows[stored[key]]) if key in stored else None
                left = LeftSide(ids[name], content, known[name], beside.get(key), at)
            item = JoinedItem(join, keys, self.version, left, self._right(join, keys, right, stored, rows))
            derived = {key: rows[key] for key in sorted(own)}
            problems = (*_left_problems(join, item, shown, derived), *_right_problems(item))
            judged = {**derived, **{key: rows[key] for key in _stored_of(item, stored)}}
            entry = ledger.get(ids.get(name, ""), {})
            found.append(Found(item, problems, shown, entry, judged))
        return found

    def _may_be_left(self, join: JoinView, keys: Keys) -> bool:
        return self._may_be(join.declared.of, keys)

    def _may_be_right(self, join: JoinView, keys: Keys) -> bool:
        return self._may_be(join.declared.right, keys)

    def _may_be(self, entity: Entity, keys: Keys) -> bool:
        reads = entity.reads(table_arn(self.source)) and set(keys) == set(entity.keys)
        return reads and claimable(entity.claims, Image(keys))

    def _left_id(self, join: JoinView, keys: Keys) -> str:
        return entry_id(join.name, item_identity(table_of(table_arn(self.source)), keys))

    def _read(self, join: JoinView, keys: Keys, item: Row | None) -> tuple[LeftContent | None, RightContent | None]:
        left = right = None
        if item is not None and self._may_be_left(join, keys) and join.declared.of.claims(Image(item)):
            left = join.placed(Image(item))
        if item is not None and self._may_be_right(join, keys) and join.declared.right.claims(Image(item)):
            join.foreign_key.check(keys)
            right = join.right(Image(item))
        return left, right

    def _beside(
        self, join: JoinView, lefts: Sequence[LeftContent], deadline: Deadline
    ) -> dict[str, RightContent | None]:
        """The right items that left ones name, by foreign key, as the source has them."""
        keys = {left.foreign_key: foreign_keys(join, left.item) for left in lefts if left.foreign_key != NO_KEY}
        table = join.declared.right.table
        source = self.source if table in (None, table_of(table_arn(self.source))) else str(table)
        items = item_reader.items(self.client, source, list(keys.values()), deadline) if keys else {}
        found: dict[str, RightContent | None] = {}
        for name in keys:
            item = items.get(name)
            try:
                held = item is not None and join.declared.right.claims(Image(item))
                found[name] = join.right(Image(item)) if held and item is not None else None
            except Rejected:
                found[name] = None
        return found

    def _rows(
        self,
        join: JoinView,
        keys: Keys,
        also: frozenset[tuple[str, Key]],
        sides: Mapping[str, tuple[LeftContent | None, RightContent | None]],
        found: LeftRow | None,
        beside: Mapping[str, RightContent | None],
    ) -> tuple[dict[Key, Row], set[Key]]:
        """The rows that a left item should have, and the keys of all that may be its own. A subscription is an empty
        row here."""
        if found is None:
            return {}, set()
        content, shown = sides[identity(keys)][0], dict[Key, Row]()
        if content is not None:
            right, id = beside.get(content.foreign_key), self._left_id(join, keys)
            if (key := join.key(content.item, right)) is not None:
                shown[key] = row_of(join, key, content, right, "")
            if (subscription := subscription_of(join, content.foreign_key, id)) is not None:
                shown[subscription] = {}
        own = {key for key in (found.shown, found.subscription) if key is not None}
        return shown, {*shown, *own, *(key for name, key in also if name == join.name)}

    def _right(
        self,
        join: JoinView,
        keys: Keys,
        content: RightContent | None,
        stored: Mapping[str, Key],
        rows: Mapping[Key, Row],
    ) -> RightSide | None:
        if not self._may_be_right(join, keys):
            return None
        return RightSide(content, RightRow.read(rows[stored[identity(keys)]]))


def _stored_of(item: JoinedItem, stored: Mapping[str, Key]) -> list[Key]:
    names = [item.left.content.foreign_key] if item.left and item.left.content else []
    names += [identity(item.keys)] if item.right is not None else []
    return [stored[name] for name in names if name in stored]


def _left_problems(
    join: JoinView, item: JoinedItem, wanted: Mapping[Key, Row], derived: Mapping[Key, Row]
) -> list[Problem]:
    side = item.left
    if side is None:
        return []
    found = []
    for key, row in derived.items():
        if key not in wanted:
            found += [Problem("dead", name_of(key))] if row else []
        elif not row:
            found.append(Problem("missing", name_of(key)))
        elif wanted[key] and (_shown(row) != _shown(wanted[key]) or row.get(FOREIGN_KEY) != wanted[key][FOREIGN_KEY]):
            found.append(Problem("stale", name_of(key)))
    content, known = side.content, side.found
    if content is None:
        found += [Problem("dead", f"ledger {side.id}")] if known.exists else []
    else:
        subscription = subscription_of(join, content.foreign_key, side.id)
        shown = next((key for key, row in wanted.items() if row), None)
        left = None if join.reach is Reach.PART else dict(content.item)
        same = (known.foreign_key, known.shown, known.subscription) == (content.foreign_key, shown, subscription)
        if not same or _plain(known.left) != _plain(left):
            found.append(Problem("stale" if known.read else "missing", f"ledger {side.id}"))
        if content.foreign_key != NO_KEY and differs(side.beside, side.stored):
            found.append(Problem("stale", name_of((partition(join.name, content.foreign_key), RIGHT_ROW))))
    return found


def _right_problems(item: JoinedItem) -> list[Problem]:
    side = item.right
    if side is None or not differs(side.content, side.stored):
        return []
    kind = "missing" if side.stored is None else "dead" if side.content is None else "stale"
    return [Problem(kind, name_of((partition(item.join.name, identity(item.keys)), RIGHT_ROW)))]


def differs(content: RightContent | None, stored: RightRow | None) -> bool:
    """Whether a right item is stored otherwise than the source has it."""
    known = stored.content if stored is not None else None
    if content is None or known is None:
        return content is not known
    return content.digest() != known.digest()


def _shown(row: Row) -> Mapping[str, object]:
    return decode_item({name: typed for name, typed in row.items() if name not in _OWN})


def _plain(item: Row | None) -> Mapping[str, object] | None:
    return None if item is None else decode_item(item)
