"""What a user declares: kinds of items, and the derived rows that follow from them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from distributary.stream.change import Image
from distributary.stream.codec import Value
from distributary.stream.entity import Entity, Predicate

Number = str | Callable[[Image], Decimal | int | None]
"""An attribute's name, or a function of the item; an item without either adds nothing."""
OnExpiry = Literal["remove", "keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Rows of an item under another key: one, or with `each` as many as it names.

    `pk` and `sk` are templates (see `keys.Template`) over the entity's keys and attributes; an item that lacks one of
    them has no row, as in a sparse index, and a row whose attribute changes moves. `each` names a set or list, or is a
    function of the item: a row for each member, which templates interpolate as `{each}`; at most 49.

    The row holds the attributes of `keep` exactly, those of `rename` under new names (`{"old": "new"}`), and those of
    `compute`, each a function of the item. `where` leaves items out. `expires_at` names the attribute (N, epoch
    seconds) that the row's TTL is taken from, or is a function of the item; nothing else may be called `expires_at`,
    or rows would go before their items do. `on_expiry="keep"` leaves the rows of an item that its TTL deleted.
    """

    name: str
    of: Entity
    pk: str
    sk: str
    keep: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    compute: Mapping[str, Callable[[Image], Value]] = field(default_factory=dict)
    where: Predicate | None = None
    each: str | Callable[[Image], Iterable[Value]] | None = None
    expires_at: Number | None = None
    on_expiry: OnExpiry = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """A row per group of items: all whose `pk` and `sk` are the same; an empty group has no row.

    `count` names the attribute for the number of items; `sum`, `average`, `min`, `max` and `distinct` give attributes
    of the row each an attribute of the items or a function of the item. Sums are exact to 38 digits: what would
    exceed them is parked. Minimum, maximum and distinct count are exact under deletion: every value is counted, in a
    row of its own. `shards` spreads a hot group over so many rows; `totals.read` sums them.
    """

    name: str
    of: Entity
    pk: str
    sk: str
    count: str | None = None
    sum: Mapping[str, Number] = field(default_factory=dict)
    average: Mapping[str, Number] = field(default_factory=dict)
    min: Mapping[str, str | Callable[[Image], Value]] = field(default_factory=dict)
    max: Mapping[str, str | Callable[[Image], Value]] = field(default_factory=dict)
    distinct: Mapping[str, str | Callable[[Image], Value]] = field(default_factory=dict)
    where: Predicate | None = None
    shards: int = 1
    on_expiry: OnExpiry = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """A row per group of items, showing the one whose attribute `by` is greatest (ties: whose key is greatest).

    `by` names a string, number or binary, or is a function of the item; items without it are left out. What the row
    holds is as for `Projection`.
    """

    name: str
    of: Entity
    pk: str
    sk: str
    by: str | Callable[[Image], Value]
    keep: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    compute: Mapping[str, Callable[[Image], Value]] = field(default_factory=dict)
    where: Predicate | None = None
    on_expiry: OnExpiry = "remove"


Declaration = Projection | Aggregate | Latest
