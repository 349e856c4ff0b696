"""One batch of changes as a view sees it: how many of its items it puts, changes and deletes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cli.monthly.traffic import Traffic

ACTIONS = 100
"""Of a transaction, and keys of a batch read."""

LEDGER = 2
"""Write units of a ledger row, which has less than 1 KB, in a transaction."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What is not in the declarations. `inside`: the share of changes that a view is about; `touched`: of updates that
    change what a view shows; `moved`: of updates that move a row or an item to another group; `reordered`: of updates
    that change what a group is ordered or counted by, and `leaving`: of these, those after which the first one of a
    group is perhaps no longer the first. `groups`: by view. `members`: of an item, with `each`. `rows`: that a right
    item has in a join, by view. `right`: of the changes of a join's both sides, those of right items; None: each item
    is changed as often as any other."""

    inside: float = 1.0
    touched: float = 1.0
    moved: float = 0.0
    reordered: float = 0.0
    leaving: float = 0.5
    groups: Mapping[str, int] | None = None
    members: int = 1
    rows: Mapping[str, float] | None = None
    right: float | None = None


@dataclass(frozen=True, slots=True)
class Ends:
    """Of the different items of a batch, those that are put, changed and deleted in a view. `moved`, `reordered`: of
    those that are changed."""

    put: float
    changed: float
    deleted: float
    moved: float
    reordered: float

    @classmethod
    def of(cls, traffic: Traffic, habits: Habits) -> "Ends":
        """All of them."""
        items = traffic.distinct * habits.inside
        changed = items * traffic.updates * max(habits.touched, habits.moved, habits.reordered)
        moved, reordered = items * traffic.updates * habits.moved, items * traffic.updates * habits.reordered
        return cls(items * traffic.inserts, changed, items * traffic.deletes, moved, reordered)

    @property
    def all(self) -> float:
        """Put, changed and deleted."""
        return self.put + self.changed + self.deleted

    def times(self, share: float) -> "Ends":
        """This share of them."""
        return Ends(*(each * share for each in (self.put, self.changed, self.deleted, self.moved, self.reordered)))


def requests(many: float) -> float:
    """That take 100 each; fractions of one are whole."""
    return math.ceil(many / ACTIONS) if many > 0 else 0
