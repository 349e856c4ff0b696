"""What a batch of changes costs in a view, by the steps that derive takes and DynamoDB's published rules.

A row in a transaction takes 2 write units for each 1 KB, as it was or as it becomes; a write whose condition fails
takes as much as one whose condition holds. See
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cli.costs import Cost, Kept, Size
from cli.monthly.traffic import Traffic, different
from distributary.stream.described import Description

ACTIONS = 100
"""Of a transaction, and keys of a batch read."""

LEDGER = 2
"""Write units of a ledger row, which has less than 1 KB, in a transaction."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What is not in the declarations. `inside`: the share of changes that a view is about; `touched`: of updates that
    change what a view shows; `moved`: of updates that move a row or an item to another group; `reordered`: of updates
    that change what a group is ordered or counted by, and `leaving`: of these, those after which the first one of a
    group is perhaps no longer the first. `groups`: by view. `members`: of an item, with `each`."""

    inside: float = 1.0
    touched: float = 1.0
    moved: float = 0.0
    reordered: float = 0.0
    leaving: float = 0.5
    groups: Mapping[str, int] | None = None
    members: int = 1


def of_batch(name: str, description: Description, traffic: Traffic, habits: Habits) -> Cost | None:
    """Of all changes of one invocation; None for a kind without an estimate."""
    kept = Kept.of(description, habits.members)
    if kept is None or kept.joins:
        return None
    ends = _Ends.of(traffic, habits)
    row = kept.row(traffic.size)
    if kept.register:
        return _register(ends, row)
    if kept.own:
        return _own_rows(ends, row, kept.members)
    shown = kept.group(traffic.size) if kept.content else row
    groups = (habits.groups or {}).get(name, traffic.size.items)
    return _grouped(ends, row, shown, kept, groups, traffic.size.items * habits.inside, habits.leaving)


@dataclass(frozen=True, slots=True)
class _Ends:
    """Of the different items of a batch, those that are put, changed and deleted in a view. `moved`, `reordered`: of
    those that are changed."""

    put: float
    changed: float
    deleted: float
    moved: float
    reordered: float

    @classmethod
    def of(cls, traffic: Traffic, habits: Habits) -> "_Ends":
        items = traffic.distinct * habits.inside
        changed = items * traffic.updates * max(habits.touched, habits.moved, habits.reordered)
        moved, reordered = items * traffic.updates * habits.moved, items * traffic.updates * habits.reordered
        return cls(items * traffic.inserts, changed, items * traffic.deletes, moved, reordered)

    @property
    def all(self) -> float:
        return self.put + self.changed + self.deleted


def _register(ends: _Ends, row: Size) -> Cost:
    """A put, and a look at the tombstones; of a delete the tombstone, and the row."""
    puts = ends.put + ends.changed
    requests = puts + _requests(puts) + 2 * ends.deleted
    return Cost(puts, puts * row.write + ends.deleted * (1 + row.write), requests)


def _own_rows(ends: _Ends, row: Size, members: int) -> Cost:
    rows = members * (ends.all + ends.moved)
    writes = LEDGER * ends.all + 2 * rows * row.write
    return Cost(ends.all, writes, _requests(ends.all) + _requests(ends.all + rows))


def _grouped(ends: _Ends, row: Size, shown: Size, kept: Kept, groups: int, inside: float, leaving: float) -> Cost:
    """Changes of one group share the write of its row, as long as they fit into one transaction. Before each
    transaction one request reads what it adds to, unless it is known. What is no longer an edge of its group needs a
    look at what follows it."""
    entries = kept.members * (ends.all + ends.moved)
    counted = kept.members * kept.sets * (ends.put + ends.deleted + 2 * (ends.moved + ends.reordered))
    if kept.content:
        counted += kept.members * (ends.changed - ends.moved - ends.reordered)
    met = different(entries, groups)
    written = max(met, entries / (ACTIONS - 1))
    writes = LEDGER * ends.all + 2 * written * shown.write + 2 * counted * row.write
    left = ends.deleted + ends.moved + leaving * ends.reordered
    looks = kept.edges * kept.members * left * min(1.0, groups / inside) if inside else 0.0
    transactions = _requests(ends.all + written + counted)
    before = transactions if counted else min(transactions, met)
    reads = ends.all + written * shown.read + counted * row.read + looks
    return Cost(reads, writes, _requests(ends.all) + before + transactions + looks)


def _requests(many: float) -> float:
    """That take 100 each; fractions of one are whole."""
    return math.ceil(many / ACTIONS) if many > 0 else 0
