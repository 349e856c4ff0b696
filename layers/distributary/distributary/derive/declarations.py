"""What a user declares: kinds of items, and the derived rows that follow from them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from distributary.stream.change import Image
from distributary.stream.codec import Value
from distributary.stream.entity import Entity, Predicate

Number = str | Callable[[Image], Decimal | int | None]
"""An attribute's name, or a function of the item; an item without either adds nothing."""
Each = str | Callable[[Image], Iterable[Value]] | None
"""What `each` may be."""
OnExpiry = Literal["remove", "keep"]
JoinKind = Literal["left", "inner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Rows of an item under another key: one row, or with `each` one for each member.

    An item that lacks an attribute of the key has no row, as in a sparse index. When an attribute of the key changes,
    the row moves. If a function of yours raises an error, the change is parked.

    Attributes:
        name: The view's name: letters, digits, `_`, `.` and `-`. It is part of stored keys.
        of: The entity.
        pk: The row's partition key, a [template](stream.md#distributary.stream.keys.Template) over the entity's keys
            and attributes; at most 2,048 bytes.
        sk: The row's sort key, a template; at most 1,024 bytes. `pk` and `sk` together name all keys of the entity, so
            that no two items share a row.
        keep: Attributes that the row has exactly as the item has them.
        rename: Attributes that the row has under another name: `{"old": "new"}`.
        compute: Attributes that a function of the item returns, by their names in the row. `pk`, `sk`, `where` and
            whatever else reads the item may use them as well. One that is None is missing there. See
            [computed attributes](derive.md#computed-attributes).
        where: Which items have rows; all of them if None.
        each: The name of a set or a list, or a function of the item that returns the members. The item has a row for
            each member, at most 1,000. Templates call the member `{each}`, and what is inside it `{each.sku}`;
            functions read it as `item["each"]`. Of two members with the same key the last one has the row.
        expires_at: The attribute with the time (a number, epoch seconds) at which the row's TTL ends, or a function of
            the item. Nothing else in the row may be called `expires_at`.
        on_expiry: What follows when the source's TTL deletes the item: `"remove"` removes its rows, `"keep"` leaves
            them.
    """

    name: str
    of: Entity
    pk: str
    sk: str
    keep: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    compute: Mapping[str, Callable[[Image], Value]] = field(default_factory=dict)
    where: Predicate | None = None
    each: Each = None
    expires_at: Number | None = None
    on_expiry: OnExpiry = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """One row for each group of items. A group is all items with the same `pk` and `sk`; an empty group has no row.

    `sum`, `average`, `min`, `max` and `distinct` map an attribute of the row to an attribute of the items, or to a
    function of the item. An item without it adds nothing. All figures stay exact when items are updated and deleted:
    for `min`, `max` and `distinct`, each value is counted in a row of its own. With `each`, members of items stand for
    the items in all of this.

    Attributes:
        name: The view's name, as for `Projection`.
        of: The entity.
        pk: The group's partition key, a template; at most 2,048 bytes.
        sk: The group's sort key, a template; at most 1,024 bytes.
        count: The row's attribute for the number of items.
        sum: Sums, exact to 38 digits. A change that would exceed them is parked.
        count_where: Numbers of those items for which a predicate is true: `{"open": is_open}`.
        sum_where: Sums over those items: `{"paid": ("total", is_paid)}`, the source and the predicate.
        average: Averages, to 38 digits.
        min: The smallest values: numbers, strings or binaries.
        max: The largest values.
        distinct: How many different values there are. Not together with `shards`.
        compute: Attributes that a function of the item returns, for the keys and figures above; the row does not show
            them. One that is None is missing.
        each: The name of a set or a list, or a function of the item that returns the members, as for `Projection`.
            Each member counts in the group that its key names; an item may have several in one group.
        where: Which items count; all of them if None.
        shards: How many rows a group is spread over, 1 to 100. `ViewReader.get` combines them.
        on_expiry: What follows when the source's TTL deletes the item: `"remove"` subtracts what it added, `"keep"`
            leaves it in the figures.
        expires_after: How long after the end of its `period` a group's rows expire, at least a day; never if None. One
            hour before that the group is closed: no change is counted in it any more, and none makes it again.
        period: The attribute with the group's time, which `pk` or `sk` names: what `date_trunc` returns, an ISO 8601
            text, or epoch seconds. An item with another value is parked.
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
    count_where: Mapping[str, Predicate] = field(default_factory=dict)
    sum_where: Mapping[str, tuple[Number, Predicate]] = field(default_factory=dict)
    compute: Mapping[str, Callable[[Image], Value]] = field(default_factory=dict)
    each: Each = None
    where: Predicate | None = None
    shards: int = 1
    on_expiry: OnExpiry = "remove"
    expires_after: timedelta | None = None
    period: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """One row for each group of items, with the content of the item whose `by` is greatest. If two are equal, the item
    with the greater key is shown.

    Attributes:
        name: The view's name, as for `Projection`.
        of: The entity.
        pk: The group's partition key, a template; at most 2,048 bytes.
        sk: The group's sort key, a template; at most 1,024 bytes.
        by: An attribute that is a string, a number or a binary, or a function of the item. Items without it are left
            out.
        keep: What the row holds, as for `Projection`.
        rename: As for `Projection`.
        compute: As for `Projection`.
        each: As for `Aggregate`: each member takes part in the group that its key names.
        where: Which items take part; all of them if None.
        on_expiry: What follows when the source's TTL deletes the shown item: `"remove"` shows the next one, `"keep"`
            goes on showing it.
    """

    name: str
    of: Entity
    pk: str
    sk: str
    by: str | Callable[[Image], Value]
    keep: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    compute: Mapping[str, Callable[[Image], Value]] = field(default_factory=dict)
    each: Each = None
    where: Predicate | None = None
    on_expiry: OnExpiry = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Earliest:
    """One row for each group of items, with the content of the item whose `by` is least. If two are equal, the item
    with the lesser key is shown.

    Attributes:
        name: The view's name, as for `Projection`.
        of: The entity.
        pk: The group's partition key, a template; at most 2,048 bytes.
        sk: The group's sort key, a template; at most 1,024 bytes.
        by: An attribute that is a string, a number or a binary, or a function of the item. Items without it are left
            out.
        keep: What the row holds, as for `Projection`.
        rename: As for `Projection`.
        compute: As for `Projection`.
        each: As for `Aggregate`: each member takes part in the group that its key names.
        where: Which items take part; all of them if None.
        on_expiry: As for `Latest`.
    """

    name: str
    of: Entity
    pk: str
    sk: str
    by: str | Callable[[Image], Value]
    keep: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    compute: Mapping[str, Callable[[Image], Value]] = field(default_factory=dict)
    each: Each = None
    where: Predicate | None = None
    on_expiry: OnExpiry = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """The first `n` items of each group in the order of `by`, as a list in the group's row, or with `rows` as rows that
    `ViewReader.top` reads page by page. Items with an equal `by` are in the order of their keys.

    Attributes:
        name: The view's name, as for `Projection`.
        n: How many entries the list has, 1 to 100; with `rows` how many a page of `ViewReader.top` has.
        of: The entity.
        pk: The group's partition key, a template; at most 2,048 bytes.
        sk: The group's sort key, a template; at most 1,024 bytes.
        by: An attribute that is a string, a number or a binary, or a function of the item. Items without it are left
            out.
        least: The least `by` comes first, not the greatest.
        rows: Entries are rows of their own, and the group's row has no list: any number can be read, and an entry may
            have up to 400 KB.
        into: The row's attribute for the list.
        keep: What an entry holds, as for a row of `Projection`. The entries of a list may be so large that `n` of them
            fit into a row of 400 KB; an item with a larger one is parked.
        rename: As for `Projection`.
        compute: As for `Projection`.
        each: As for `Aggregate`: each member is an entry of the group that its key names.
        where: Which items take part; all of them if None.
        on_expiry: What follows when the source's TTL deletes an item: `"remove"` takes its entry away, `"keep"` leaves
            it.
    """

    name: str
    n: int
    of: Entity
    pk: str
    sk: str
    by: str | Callable[[Image], Value]
    least: bool = False
    rows: bool = False
    into: str = "top"
    keep: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    compute: Mapping[str, Callable[[Image], Value]] = field(default_factory=dict)
    each: Each = None
    where: Predicate | None = None
    on_expiry: OnExpiry = "remove"


Ranked = Latest | Earliest | Top
"""Views that order the items of a group: `Latest` and `Earliest` show the first one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Rows of left items with attributes of the right item that their foreign key names: one row for each left item,
    kept when either side changes. See [joins](derive.md#joins) for what each change costs.

    `pk`, `sk` and `where` may read both sides: what is inside the right item is called by the right entity's name, such
    as `{customer.country}`, and functions read it as `item["customer"]["country"]`. If `where` is given, or a key reads
    the right item, a change of a right item costs more. Functions see the attributes that the entities declare, and no
    others.

    Attributes:
        name: The view's name, as for `Projection`.
        of: The entity of the left items: each has one row.
        right: The entity of the right items, in the same table or another one.
        on: The right item's key, made of the left item: a template, or one for each key attribute of the right table:
            `{"pk": "CUSTOMER#{customer_id}", "sk": "PROFILE"}`. A template that is one field alone gives the key that
            type: `{customer_id}` a string, `{customer_id:N}` a number, `{customer_id:B}` a binary; a name such as
            `customer_id` is short for `{customer_id}`. Values are not escaped here. A left item that lacks an attribute
            of it has no right item.
        kind: `"left"`: a left item without a right item has a row without the right attributes. `"inner"`: it has none.
        pk: The row's partition key, a template; at most 2,048 bytes.
        sk: The row's sort key, a template; at most 1,024 bytes. `pk` and `sk` together name all keys of the left
            entity. A left item has no row while an attribute of its key is missing.
        keep: Attributes of the left item that the row has as the item has them.
        rename: Attributes of the left item that the row has under another name: `{"old": "new"}`.
        compute: As for `Projection`, of the left item. Not of the right one: see `compute_right`.
        keep_right: Attributes of the right item that the row has.
        rename_right: Attributes of the right item that the row has under another name.
        compute_right: Attributes that a function of the right item returns, by their names in the row.
        where: Which pairs have a row, a function of both; all of them if None. Put a condition on the left item alone
            into its entity's `where`: it costs nothing more.
    """

    name: str
    of: Entity
    right: Entity
    on: str | Mapping[str, str]
    pk: str
    sk: str
    kind: JoinKind = "left"
    keep: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    compute: Mapping[str, Callable[[Image], Value]] = field(default_factory=dict)
    keep_right: tuple[str, ...] = ()
    rename_right: Mapping[str, str] = field(default_factory=dict)
    compute_right: Mapping[str, Callable[[Image], Value]] = field(default_factory=dict)
    where: Predicate | None = None

    @property
    def each(self) -> None:
        """A left item has one row."""

    @property
    def on_expiry(self) -> OnExpiry:
        """A delete by TTL is a delete."""
        return "remove"


Declaration = Projection | Aggregate | Ranked | Join
