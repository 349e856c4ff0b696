"""What it costs to fill, rebuild or retire a view: bounds, from the sizes of the tables and DynamoDB's published rules.

A strongly consistent read takes 1 unit for each 4 KB of an item, a scan for each 4 KB of its page; a write takes 1 unit
for each 1 KB of the item as it was or as it becomes, and 2 in a transaction. See
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from distributary.consumer.sweep import PAGE
from distributary.stream.described import NEVER_FILLED, Description
from distributary.stream.keys import Template

READ_BYTES, WRITE_BYTES, PAGE_BYTES = 4096, 1024, 1024 * 1024
SEGMENTS = 4
"""Of the commands, unless they are told otherwise: each ends with a page of its own."""

BATCH = 25
"""Items that a reconcile, and rows that a sweep, looks at together."""

OWN_BYTES = 250
"""What a row has beside the item's attributes, at most: its key, its version."""

MOVES = frozenset({"pk", "sk", "each", "compute", "kind", "of.keys", "declared again", NEVER_FILLED})
"""A change of one of these gives rows or groups other keys."""

COUNTED = MOVES | {"min", "max", "distinct", "by"}
"""A change of one of these may count other members."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of a table: how many items, and bytes of an item on average."""

    items: int
    bytes: float

    @classmethod
    def described(cls, table: Mapping[str, Any]) -> "Size":
        """Of DescribeTable's answer, which is up to 6 hours old."""
        items = int(table["ItemCount"])
        return cls(items, table["TableSizeBytes"] / items if items else 0.0)

    @classmethod
    def of(cls, tables: Iterable["Size"]) -> "Size":
        """Of several tables together."""
        found = list(tables)
        items, size = sum(each.items for each in found), sum(each.items * each.bytes for each in found)
        return cls(items, size / items if items else 0.0)

    @property
    def read(self) -> int:
        """Units of one read by key."""
        return max(1, math.ceil(self.bytes / READ_BYTES))

    @property
    def write(self) -> int:
        """Units of one write that is in no transaction."""
        return max(1, math.ceil(self.bytes / WRITE_BYTES))

    def scanned(self, rows: int = 0) -> "Cost":
        """A scan of all of it, in pages of at most so many `rows`; 0: of as many as a page holds."""
        fits = max(1, int(PAGE_BYTES // max(self.bytes, 1)))
        page = min(rows, fits) if rows else fits
        pages = max(SEGMENTS, math.ceil(self.items / SEGMENTS / page) * SEGMENTS)
        return Cost(max(pages / 2, self.items * self.bytes / READ_BYTES + pages / 2), 0, pages)


@dataclass(frozen=True, slots=True)
class Cost:
    """Read units, write units, and requests to DynamoDB."""

    reads: float = 0
    writes: float = 0
    requests: float = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.reads + other.reads, self.writes + other.writes, self.requests + other.requests)

    def times(self, many: float) -> "Cost":
        """So often."""
        return Cost(self.reads * many, self.writes * many, self.requests * many)


@dataclass(frozen=True, slots=True)
class Kept:
    """How a view is kept. `own`: an item's rows are its own; `register`: it has one, under a key that cannot change.
    `content`: rows hold what items hold. `sets`: of counted members, for each group. `edges`: how many of them it
    shows; `listed`: how many items, in its own row. `members`: of an item, with `each`. `joins`: it reads a right item
    as well; then the members are the row and the subscription."""

    register: bool
    own: bool
    content: bool
    sets: int
    edges: int
    members: int
    listed: int = 1
    joins: bool = False

    @classmethod
    def of(cls, description: Description, members: int) -> "Kept | None":
        """None for a kind whose costs are not known."""
        each = bool(description.get("each"))
        match description.get("kind"):
            case "Projection":
                named = {*_attributes(description, "pk"), *_attributes(description, "sk")}
                fixed = named <= set(description.get("of.keys", "").split()) and not each
                return cls(fixed, True, True, 0, 0, members if each else 1)
            case "Latest" | "Earliest":
                return cls(False, False, True, 1, 1, members if each else 1)
            case "Top" if description["rows"] == "True":
                return cls(False, False, True, 1, 0, members if each else 1)
            case "Top":
                return cls(False, False, True, 1, 1, members if each else 1, listed=int(description["n"]))
            case "left" | "inner":
                return cls(False, True, True, 0, 0, 1 if _is_own(description) else 2, joins=True)
            case "Aggregate":
                edges = [*_sources(description, "min"), *_sources(description, "max")]
                sets = len({*edges, *_sources(description, "distinct")})
                return cls(False, False, False, sets, len(edges), members if each else 1)
        return None

    def row(self, source: Size) -> Size:
        """Of the view, if it keeps all that its item has."""
        return Size(1, source.bytes + OWN_BYTES) if self.content else Size(1, 0)

    def group(self, source: Size) -> Size:
        """The row of a group."""
        return Size(1, self.row(source).bytes * self.listed)


def _attributes(description: Description, field: str) -> tuple[str, ...]:
    return tuple(Template.parse(description.get(field, "")).attributes)


def _is_own(description: Description) -> bool:
    """Whether the rows of a join are their own subscriptions: a left join without `where`, by the foreign key alone."""
    on, name = description["on"], description["on"].strip("{}").partition(":")[0]
    simple = description["kind"] == "left" and "where" not in description and "=" not in on
    return simple and _attributes(description, "pk") == (name,)


def _sources(description: Description, field: str) -> list[str]:
    """The sets that figures are shown of: one for each attribute, one for each function."""
    pairs = [each.partition("=") for each in description.get(field, "").split(" ") if each]
    return [f"{output}()" if source.startswith("function:") else source for output, _, source in pairs]


@dataclass(frozen=True, slots=True)
class Tables:
    """The source, the ledger and the derived table."""

    source: Size
    ledger: Size
    derived: Size


@dataclass(frozen=True, slots=True)
class Bounds:
    """From the least to the most; `unknown`: what is between them."""

    least: Cost
    most: Cost
    unknown: str


def filled(now: Kept, tables: Tables) -> Bounds:
    """A backfill of a new view: from no item in it to all of them."""
    scan, inside = tables.source.scanned(), tables.source.items
    return Bounds(
        scan + reconciled(now, tables, 0),
        scan + reconciled(now, tables, inside, _insertion(now, tables.source)),
        "how many of the items are in the view",
    )


def rebuilt(before: Kept, now: Kept, fields: Collection[str], tables: Tables, groups: int | None = None) -> Bounds:
    """A rebuild of a view: from no item in it to all of them, each with something else in it than before, and with a
    group of its own if the number of `groups` is not given."""
    moved, inside = not MOVES.isdisjoint(fields), tables.source.items
    alone = _swept(tables) + tables.source.scanned()
    write = _replacement(before, now, tables.source, fields)
    of_groups = before.members * inside if groups is None else groups
    records = _records(before.members * inside, of_groups, before.listed) if moved else 0
    looks = of_groups * (before.edges + now.edges * records)
    look = Cost(before.group(tables.source).read, 0, 1)
    rows = _swept_rows(before, tables, moved).times(inside) + look.times(looks)
    gone = (
        before.members * before.row(tables.source).read * inside if moved and before.own and not before.register else 0
    )
    return Bounds(
        alone + reconciled(now, tables, 0),
        alone + rows + Cost(gone, 0, 0) + reconciled(now, tables, inside, write),
        "how many of the items are in the view, and how many of them have something else in it than before",
    )


def retired(before: Kept, tables: Tables) -> Bounds:
    """What a removed view has left: from nothing to something of each item that the source holds. What goes with the
    ledger's rows is not there any more when the derived table is gone through."""
    row, inside = before.row(tables.source), tables.source.items
    each = _removed(row) if before.register else _taken_back(before, row)
    gone = 0 if before.register else inside * before.members * (1 if before.own else before.sets)
    left = replace(tables, derived=Size(max(0, tables.derived.items - gone), tables.derived.bytes))
    return Bounds(_swept(tables), _swept(left) + each.times(inside), "how many of the items were in the view")


def reconciled(now: Kept, tables: Tables, inside: int, write: Cost | None = None) -> Cost:
    """Each item looked at, `inside` of them in the view. These are written, and then looked at again, if `write` says
    what one takes."""
    if now.joins:
        return _joined(now, tables, inside, write)
    items, item, shown = tables.source.items, tables.source.read, now.row(tables.source).read
    rows = now.members if now.content else 0
    everywhere, some = _batches(items, items), _batches(items, inside)
    if now.register:
        first = Cost(1 + item + (shown if write is None else 1), 0, 0), Cost(0, 0, 3)
        look = first[0].times(items) + first[1].times(everywhere)
        again = Cost(1 + item + shown, 0, 0).times(inside) + Cost(0, 0, 3).times(some)
    else:
        look = Cost(1 + item, 0, 0).times(items) + Cost(0, 0, 2).times(everywhere)
        look += Cost(rows, 0, 0).times(inside) + Cost(0, 0, bool(rows)).times(some)
        again = Cost(1 + item + rows * shown, 0, 0).times(inside) + Cost(0, 0, 2 + bool(rows)).times(some)
    return look if write is None else look + again + write.times(inside)


def _joined(now: Kept, tables: Tables, inside: int, write: Cost | None) -> Cost:
    """Of a join: each item inside is taken for a left one that has a right item of its own. A right item takes less. It
    is compared by the two items, its ledger row, the right item's row and its own rows, written, and compared again."""
    items, item = tables.source.items, tables.source.read
    look = Cost(item, 0, 0).times(items) + Cost(0, 0, 1).times(_batches(items, items))
    if write is None:
        return look
    compared = 2 * item + 2 + now.row(tables.source).read + now.members - 1
    each = Cost(2 * compared - item + 2, 0, 2) + write
    return look + each.times(inside) + Cost(0, 0, 7).times(_batches(items, inside))


def _swept(tables: Tables) -> Cost:
    """The ledger and the derived table, page by page. For each page the function reads what the rows were written
    under."""
    scans = tables.ledger.scanned(PAGE) + tables.derived.scanned(PAGE)
    return scans + Cost(1, 0, 1).times(scans.requests)


def _swept_rows(before: Kept, tables: Tables, moved: bool) -> Cost:
    """What a sweep reads and removes of the rows that one item has in the view."""
    if before.register and moved:
        return _removed(before.row(tables.source))
    subscription = Cost(tables.source.read, 0, 1).times(before.members - 1) if before.joins else Cost()
    return Cost(tables.source.read, 0, 1 / BATCH) + subscription


def _insertion(now: Kept, source: Size) -> Cost:
    """Of one item that has nothing in the view."""
    row = now.row(source)
    if now.register:
        return Cost(1, row.write, 2)
    if now.joins:
        return _of_join(1, now.members - 1, row) + Cost(0, 0, 1)
    if now.own:
        return Cost(0, 2 + 2 * now.members * row.write, 1)
    return _grouped(now.members, now.members * now.sets, now, source)


def _replacement(before: Kept, now: Kept, source: Size, fields: Collection[str]) -> Cost:
    """Of one item that has something else in the view. On the ledger, in one transaction with what goes."""
    moved = not MOVES.isdisjoint(fields)
    if now.register or before.register:
        return _insertion(now, source)
    if now.joins:
        others = before.members - 1 if "on" in fields or before.members != now.members else 0
        return _of_join(2 if moved else 1, now.members - 1 + others, now.row(source))
    places, members = now.members + (before.members if moved else 0), 0
    if now.own:
        return Cost(0, 2 + 2 * places * now.row(source).write, 1)
    if not COUNTED.isdisjoint(fields):
        members = before.members * before.sets + now.members * now.sets
    elif now.content:
        members = now.members
    return _grouped(places, members, now, source)


def _of_join(rows: int, subscriptions: int, row: Size) -> Cost:
    """So many of a left item, with its ledger row. A right item that is new takes a request more, and fewer units."""
    return Cost(0, 2 + 2 * (rows * row.write + subscriptions), 1)


def _grouped(groups: int, members: int, now: Kept, source: Size) -> Cost:
    """The rows of so many groups and counted members, read and then written with an item's ledger row."""
    group, row = now.group(source), now.row(source)
    return Cost(groups * group.read + members * row.read, 2 + 2 * (groups * group.write + members * row.write), 2)


def _taken_back(before: Kept, row: Size) -> Cost:
    """One entry of the ledger emptied, with its rows, or with its groups and their counted members."""
    if before.own:
        return Cost(before.members * row.read, 2 + 2 * before.members * row.write, 2)
    return Cost(0, 2 + 2 * before.members * (1 + before.sets), 1)


def _removed(row: Size) -> Cost:
    """A row of the Register: it gets a revision, a tombstone is put, it is deleted."""
    return Cost(0, 1 + 2 * row.write, 3)


def _records(items: int, groups: int, shown: int = 1) -> float:
    """How often one of those that a group has `shown` goes if its items go in any order: `shown` times the difference
    of two harmonic numbers, and once more for the last."""
    each = max(items / groups if groups else 1.0, 1.0)
    return shown * max(0.0, _harmonic(each) - _harmonic(float(shown))) + 1.0


def _harmonic(number: float) -> float:
    return math.log(number) + 0.5772 + 1 / (2 * number)


def _batches(items: int, some: int) -> float:
    """In how many batches of a reconcile at least one of `some` items is that are spread evenly."""
    return items / BATCH * (1 - (1 - some / items) ** BATCH) if items else 0.0
