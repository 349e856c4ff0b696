"""What a batch of changes costs in a Join, by the steps that derive takes: see docs/functions/derive.md.

A left item has a ledger row, its row in the view, and a subscription to its right item, unless the row is one itself.
They are written in one transaction. A right item has a row of its own; who changes it asks for its subscriptions, and
writes each row that shows it.
"""

import math
from dataclasses import dataclass

from cli.costs import OWN_BYTES, READ_BYTES, Cost, Kept, Size
from cli.monthly.batch import LEDGER, Ends, requests
from cli.monthly.traffic import Traffic, different
from distributary.stream.described import Description
from distributary.stream.keys import Template

SUBSCRIPTION_BYTES = 200
"""At most."""

SUBSCRIPTIONS = 250
"""Of one page that a right item's change asks for."""


@dataclass(frozen=True, slots=True)
class Side:
    """`right`: of the changes, those of right items; the others are of left ones. `rows`: that a right item has."""

    right: float
    rows: float

    def of_left(self, traffic: Traffic) -> float:
        """How many right items there are for the left items of the table."""
        lefts = traffic.size.items if self.right == 0 else traffic.size.items * self.rows / (1 + self.rows)
        return max(1.0, lefts / self.rows)


def side(description: Description, table: str, rows: float, right: float | None) -> Side | None:
    """Which side of the join the table is, or both; None if it is neither. `right`: the share of right items' changes
    if it is both; None: each item is changed as often as any other."""
    lefts, rights = (description.get(side, table) == table for side in ("of.table", "right.table"))
    if lefts and rights:
        return Side(1 / (1 + rows) if right is None else right, rows)
    return Side(float(rights), rows) if lefts or rights else None


def of_batch(description: Description, kept: Kept, traffic: Traffic, ends: Ends, side: Side) -> Cost:
    """Of all changes of one invocation. A row is taken to hold all that both of its items hold."""
    row = Size(1, 2 * traffic.size.bytes + OWN_BYTES)
    decides = _right_decides(description)
    cost = Cost()
    if side.right < 1:
        cost += _lefts(ends.times(1 - side.right), row, kept, traffic.size, side.of_left(traffic), decides)
    if side.right > 0:
        by_ledger = decides, decides or description["kind"] == "inner"
        cost += _rights(ends.times(side.right), row, kept, traffic.size, side.rows, *by_ledger)
    return cost


def _lefts(ends: Ends, row: Size, kept: Kept, item: Size, rights: float, decides: bool) -> Cost:
    """A transaction each. The right items of those that are put or moved are read before and after it, each once for
    the whole batch; where they decide about the row, those of every update."""
    subscriptions = LEDGER * (kept.members - 1) * (ends.put + ends.moved + ends.deleted)
    writes = LEDGER * ends.all + 2 * row.write * (ends.all + ends.moved) + subscriptions
    looked = ends.put + (ends.changed if decides else ends.moved)
    met = different(looked, rights)
    return Cost(ends.all + 2 * met * item.read, writes, requests(ends.all) + 2 * requests(met) + ends.all)


def _rights(ends: Ends, row: Size, kept: Kept, item: Size, rows: float, decides: bool, deletes_by_ledger: bool) -> Cost:
    """Its own row, the query for what shows it, and a write for each of these. It goes by the ledger, in a transaction
    after a read, where the right item decides whether there is a row, or under which key. No row waits for a new one.
    """
    found = row.bytes if kept.members == 1 else SUBSCRIPTION_BYTES
    pages = max(1, math.ceil(rows / SUBSCRIPTIONS))
    asked = Cost(max(pages, math.ceil(rows * found / READ_BYTES)), item.write, 1 + pages)
    plain, by_ledger = Cost(0, row.write, 1), Cost(1, LEDGER + 2 * row.write, 2)
    changed = by_ledger if decides else plain
    moved = Cost(0, 2 * row.write, 0).times(ends.moved) if decides else Cost()
    deleted = by_ledger if deletes_by_ledger else plain
    each = changed.times(ends.changed) + deleted.times(ends.deleted) + moved
    return asked.times(ends.all) + each.times(rows)


def _right_decides(description: Description) -> bool:
    """About the row's key, or whether there is one, beside its being there."""
    named = [name for each in ("pk", "sk") for name in Template.parse(description[each]).attributes]
    return "where" in description or any("." in name for name in named)
