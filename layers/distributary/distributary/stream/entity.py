"""Kinds of items: which of them share a table, and which changes concern what is kept of one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from distributary.errors import Rejected
from distributary.stream.change import Change, Image, Kind, Origin
from distributary.stream.codec import Typed, Value
from distributary.stream.keys import table_of

T = TypeVar("T")
Predicate = Callable[[Image], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One kind of item in a source table.

    Attributes:
        name: A name for messages and logs.
        keys: The table's key attributes, one or two.
        attributes: The other attributes that your declarations name.
        where: Which items of a single-table design belong to the entity; all of them if None. It receives the whole
            item. Prefer one that needs only the keys, such as `key_prefix`: it also works for a delete of which nothing
            else is known. If it raises an error, the change is parked.
        table: The source table's name, if the function reads several tables. A change of another table is of no
            concern. None: every table that the function reads.
        rows_of: The views whose rows the items are, and those that these are made of; `rows_of` gives it.
    """

    name: str
    keys: tuple[str, ...]
    attributes: tuple[str, ...] = ()
    where: Predicate | None = None
    table: str | None = None
    rows_of: tuple[str, ...] = ()

    def reads(self, source: str) -> bool:
        """Whether items of a table can be of this kind; `source` is the table's ARN, or its stream's."""
        return self.table is None or table_of(source) == self.table

    def claims(self, item: Image) -> bool:
        """Whether the item is of this kind. Raises Rejected if `where` fails on it."""
        return self.where is None or bool(guarded(f"entity '{self.name}': where", self.where, item))


def without_comma(**given: object) -> list[str]:
    """A fault for each name whose tuple of names is a single string: its parentheses lack a comma."""
    return [
        f"{name}=('{value}') is a string: write {name}=('{value}',), with the comma"
        for name, value in given.items()
        if isinstance(value, str)
    ]


def other_keys(of: Mapping[str, Entity], keys: Sequence[str]) -> list[str]:
    """A fault for each entity whose `keys` are not the table's key attributes; `of`: by what names the declaration."""
    return [
        f"{name}: entity '{entity.name}' has the keys {', '.join(entity.keys)}, and the table {', '.join(keys)}: "
        "correct keys=; or table=, if the function reads several tables"
        for name, entity in of.items()
        if set(entity.keys) != set(keys)
    ]


def other_tables(of: Mapping[str, Entity], tables: Sequence[str]) -> list[str]:
    """A fault for each entity of a table that is not among those that the function reads; none if they are not
    known."""
    return [
        f"{name}: entity '{entity.name}' is of table '{entity.table}', and the function reads {', '.join(tables)}: "
        "correct the entity's table, or the function's sources"
        for name, entity in of.items()
        if tables and entity.table is not None and entity.table not in tables
    ]


def guarded(what: str, function: Callable[[Image], T], item: Image) -> T:
    """What a declared function returns. Whatever it raises becomes Rejected with the name of the declaration."""
    try:
        return function(item)
    except Rejected as error:
        raise Rejected(f"{what}: {error}", error.detail) from error
    except Exception as error:
        raise Rejected(f"{what} raised {type(error).__name__}", str(error)) from error


def concerns(change: Change, holds: Predicate, claims: Predicate) -> bool:
    """Whether the change can create, alter or remove what is kept of the item downstream.

    `holds` says whether an image has something there, `claims` whether it is of the entity at all. An update of an item
    that had nothing before and has nothing after it is left alone: had it ever had anything, an earlier change took
    that away. A delete counts unless its key shows that no such item can have been of the entity: so nothing outlives
    its item, even if the update that took it out of the entity was lost or parked, or `holds` was another when the item
    came in. An update's old image stays unread if its key shows the same. A snapshot has no old image; only in the
    first fill of an empty branch was there nothing before it. Raises Rejected if `holds` fails on the new image.
    """
    if change.new is not None and holds(change.new):
        return True
    if change.kind is Kind.REMOVE:
        return claimable(claims, change.keys)
    if change.old is None:
        return change.kind is not Kind.INSERT or (change.origin is Origin.SNAPSHOT and not change.first_fill)
    try:
        return claimable(claims, change.keys) and holds(change.old)
    except Rejected:
        return True


def claimable(claims: Predicate, keys: Image) -> bool:
    """Whether `claims` may hold for an item with these keys: not if it fails for the keys alone and has not asked for
    anything else, as `key_prefix` does."""
    seen = _KeysAlone(keys)
    try:
        return claims(seen) or seen.asked
    except Rejected:
        return True


class _KeysAlone(Image):
    """An item of which the keys alone are known; `asked` if anything else was asked for."""

    __slots__ = ("_keys", "asked")

    def __init__(self, keys: Image) -> None:
        self._keys, self.asked = keys, False

    @property
    def raw(self) -> Mapping[str, Typed]:  # type: ignore[override]
        """The keys, as if all had been asked for."""
        self.asked = True
        return self._keys.raw

    def __getitem__(self, name: str) -> Value:
        self.asked |= name not in self._keys
        return self._keys[name]

    def __contains__(self, name: object) -> bool:
        self.asked |= name not in self._keys
        return name in self._keys

    def __iter__(self) -> Iterator[str]:
        self.asked = True
        return iter(self._keys)

    def __len__(self) -> int:
        self.asked = True
        return len(self._keys)
