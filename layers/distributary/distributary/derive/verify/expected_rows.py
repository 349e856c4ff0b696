"""What the views make of an item as it is now, and how that differs from what is there: pure decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from distributary.derive.branch import row_of
from distributary.derive.contribution import entry_of
from distributary.derive.declarations import Ranked
from distributary.derive.delta import ITEMS, Entry, Key, RecordedContribution, Row, member_key
from distributary.derive.expiry import VERIFIED, closed
from distributary.derive.view import Primitive, View, expiry_of
from distributary.dynamodb.versioned_table import Write
from distributary.errors import Rejected
from distributary.stream.change import REPLICA_VERSION, Change
from distributary.stream.codec import Typed, decode_item
from distributary.stream.keys import table_arn


@dataclass(frozen=True, slots=True)
class ExpectedRows:
    """What one view makes of one item: `write` on the Register, `entry` on the ledger; `rows` are the item's own,
    `values` what must be in the member rows that show the item. `outlives`: the item is gone, and what it contributed
    stays as it is, with this mark. `joined`: what a join makes of it, see `joined.JoinedItem`."""

    view: View
    rows: Mapping[Key, Row]
    write: Write | None = None
    entry: Entry | None = None
    values: Mapping[Key, Typed] = field(default_factory=dict)
    outlives: str | None = None
    joined: Any = None

    @property
    def id(self) -> str | None:
        """The ledger row's id."""
        return self.entry.id if self.entry else None

    def counted_in(self, marks: Mapping[Key, str]) -> "ExpectedRows":
        """With the member rows of the incarnations that the ledger's row names by group."""
        return self if not marks or not self.values else replace(self, values=_values(self.view, self.entry, marks))


@dataclass(frozen=True, slots=True)
class Problem:
    """`missing`, `stale` or `dead` (exists and should not), and where."""

    kind: str
    where: str


def wants(
    views: Sequence[View],
    table: str,
    keys: Mapping[str, Typed],
    item: Row | None,
    version: int,
) -> tuple[list[ExpectedRows], list[tuple[str, str]]]:
    """Of each view, for an item of the source table, and the views that reject the item with their reasons. An item
    that is gone makes nothing, also where something may outlive it; see `Comparator`. Not of joins: see `joined.py`."""
    change = Change.snapshot(keys, item, version, source=table_arn(table))
    found: list[ExpectedRows] = []
    rejected: list[tuple[str, str]] = []
    for view in views:
        if view.primitive is Primitive.JOIN:
            continue
        try:
            held = change.new is not None and view.holds(change.new)
        except Rejected as error:
            rejected.append((view.name, str(error)))
            continue
        try:
            found.append(_want(view, change))
        except Rejected as error:
            rejected += [(view.name, str(error))] if held else []
    return found, rejected


def _want(view: View, change: Change) -> ExpectedRows:
    if view.primitive is Primitive.REGISTER:
        write = row_of(view, change)
        key = row_key(write)
        return ExpectedRows(view, {key: write.row} if write.row is not None else {}, write=write)
    entry = entry_of(view, change)
    return ExpectedRows(view, entry.contribution.rows, entry=entry, values=_values(view, entry, {}))


def _values(view: View, entry: Entry | None, marks: Mapping[Key, str]) -> dict[Key, Typed]:
    values: dict[Key, Typed] = {}
    if entry is not None and isinstance(view.declared, Ranked):
        for group, share in entry.contribution.shares.items():
            mark = marks.get(group, "")
            values |= {member_key(view.name, group, name, mark): value for name, value in share.members.items()}
    return values


def problems(want: ExpectedRows, ledger: Row, derived: Mapping[Key, Row], now: float) -> tuple[Problem, ...]:
    """`derived` holds every row that may be the item's, empty where there is none. A row that its TTL may have taken
    (`now` in epoch seconds) is not missing."""
    found = []
    for key, row in derived.items():
        if key in want.values:
            if not row or decode_item({"value": row["value"]}) != decode_item({"value": want.values[key]}):
                found.append(Problem("stale" if row else "missing", name_of(key)))
        elif key not in want.rows:
            found += [Problem("dead", name_of(key))] if row else []
        elif not row:
            expiry = expiry_of(want.rows[key])
            found += [Problem("missing", name_of(key))] if expiry is None or expiry > now else []
        elif shown(row) != shown(want.rows[key]):
            found.append(Problem("stale", name_of(key)))
    if want.entry is not None and _differs(want.entry, RecordedContribution.read(ledger), now):
        kind = "missing" if not ledger else "stale" if want.entry.contribution.rows or _held(want.entry) else "dead"
        found.append(Problem(kind, f"ledger {want.entry.id}"))
    return tuple(found)


def _differs(entry: Entry, recorded: RecordedContribution, now: float) -> bool:
    """In groups that are closed nothing has to agree."""
    wanted = RecordedContribution.of(entry.contribution)
    gone = closed(entry.shape.until, {*recorded.shares, *wanted.shares}, now + VERIFIED)
    return bool(_parts(recorded.without(gone)) != _parts(wanted.without(gone)))


def _held(entry: Entry) -> bool:
    return any(share.amounts.get(ITEMS) for share in entry.contribution.shares.values())


def _parts(recorded: RecordedContribution) -> Any:
    """A contribution without digests: a set's order in a scan may be another than in the stream."""
    return set(recorded.rows), {key: (dict(amounts), set(names)) for key, (amounts, names) in recorded.shares.items()}


def shown(row: Row) -> dict[str, Any]:
    """A row's values, without its version."""
    return decode_item({name: typed for name, typed in row.items() if name != REPLICA_VERSION})


def name_of(key: Key) -> str:
    """A derived row's name in a report."""
    return f"{key[0]} | {key[1]}"


def row_key(write: Write) -> Key:
    """The derived row's."""
    return write.key["pk"]["S"], write.key["sk"]["S"]
