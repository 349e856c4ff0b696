"""What a Join makes of its two sides: foreign keys, the parts of rows, and where the rows are. Pure decisions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from distributary.derive.declarations import Join
from distributary.derive.delta import Key, Row
from distributary.derive.scope import Scope
from distributary.derive.view import View
from distributary.errors import Rejected
from distributary.stream import canonical
from distributary.stream.change import Change, Image, Kind
from distributary.stream.codec import Typed, Value, encode, for_client
from distributary.stream.entity import Entity, claimable, concerns, guarded
from distributary.stream.keys import PARTITION_KEY_BYTES, SORT_KEY_BYTES, Template, identity
from distributary.stream.struct import Struct

NO_KEY = ""
"""The foreign key of a left item that names no right item."""
_NAMES = {"S": "string", "N": "number", "B": "binary"}


class Reach(Enum):
    """How far a change of a right item reaches: into the `part` of a row that shows it, `shown`: also whether there is
    a row, or into `both`: the row's key and whether there is one, which the left item decides as well."""

    PART = "part"
    SHOWN = "shown"
    BOTH = "both"


class RightContent(Struct, frozen=True):
    """What a Join reads of a right item: the `part` that rows show, and the `item` that keys and `where` read."""

    part: Row
    item: Row

    def digest(self) -> str:
        """The same for the same content."""
        return canonical.digest(canonical.image(self.part), canonical.image(self.item))


class LeftContent(Struct, frozen=True):
    """What a Join reads of a left item: its declared attributes, and its foreign key (`NO_KEY` if it has none)."""

    item: Row
    foreign_key: str


class Pair(Image):
    """A left item with the right item, if there is one, under the right entity's name."""

    __slots__ = ("_left", "_name", "_right")

    def __init__(self, left: Image, right: Image | None, name: str) -> None:
        self._left, self._right, self._name = left, right, name

    @property
    def raw(self) -> Mapping[str, Typed]:  # type: ignore[override]
        """The left item in DynamoDB JSON."""
        return self._left.raw

    def typed(self, name: str) -> Typed:
        """See `Image.typed`."""
        return self._left.typed(name)

    def __getitem__(self, name: str) -> Value:
        first, _, rest = name.partition(".")
        if first != self._name:
            return self._left[name]
        if self._right is None:
            raise KeyError(name)
        return self._right[rest] if rest else self._right  # type: ignore[return-value]

    def __contains__(self, name: object) -> bool:
        first, _, rest = str(name).partition(".")
        if first != self._name:
            return name in self._left
        return self._right is not None and (not rest or rest in self._right)

    def __iter__(self) -> Iterator[str]:
        return iter([*self._left, *([self._name] if self._right is not None else [])])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def on_templates(declared: Join) -> Mapping[str, str]:
    """The template of each attribute of the right key. A name that stands alone is short for one field."""
    if not isinstance(declared.on, str):
        return declared.on
    text = declared.on if "{" in declared.on else f"{{{declared.on}}}"
    return dict.fromkeys(declared.right.keys, text)


class ForeignKey(Struct, frozen=True):
    """How the right item's key is made of the left item: a template for each attribute of it."""

    templates: Mapping[str, Template]

    @classmethod
    def of(cls, declared: Join) -> "ForeignKey":
        """Raises ConfigError for a malformed template."""
        return cls({name: Template.parse(text) for name, text in on_templates(declared).items()})

    @property
    def attributes(self) -> tuple[str, ...]:
        """Of the left item."""
        return tuple(dict.fromkeys(name for each in self.templates.values() for name in each.attributes))

    def __call__(self, left: Mapping[str, Value]) -> str:
        """One text, as `identity` of the right item's key; `NO_KEY` if an attribute is missing. Raises Rejected for a
        value of another type."""
        found = self.keys(left)
        return NO_KEY if found is None else identity(found)

    def keys(self, left: Mapping[str, Value]) -> dict[str, Typed] | None:
        """The right item's key attributes, None if an attribute is missing. Raises Rejected as a call does."""
        if not all(name in left for name in self.attributes):
            return None
        return {name: _typed(name, each, left) for name, each in self.templates.items()}

    def left_of(self, keys: Mapping[str, Value]) -> dict[str, Value] | None:
        """The left attributes that a right item's key holds, where each template is one field alone; else None."""
        if not all(each.alone for each in self.templates.values()):
            return None
        return {each.alone: keys[name] for name, each in self.templates.items()}

    def check(self, keys: Mapping[str, Typed]) -> None:
        """Raises Rejected for a right item whose key can be no left item's foreign key."""
        for name, template in self.templates.items():
            type = template.types[template.alone] if template.alone else "S"
            (found,) = keys.get(name, {"?": None})
            if found != type:
                raise Rejected(
                    f"key '{name}' of the right item is a {_named(found)}, and 'on' makes a {_named(type)} of the left "
                    f"one: write {{ATTRIBUTE:{found}}} in 'on'"
                )


def _typed(name: str, template: Template, left: Mapping[str, Value]) -> Typed:
    for each, type in template.types.items():
        (found,) = encode(left[each], each)
        if found != type:
            raise Rejected(f"on: foreign key '{each}' is a {_named(found)}, and key '{name}' needs a {_named(type)}")
    return encode(left[template.alone], name) if template.alone else {"S": template.unescaped(left)}


def _named(type: str) -> str:
    return _NAMES.get(type, type)


@dataclass(frozen=True)
class JoinView:
    """A view that is a Join, with its foreign key."""

    view: View
    foreign_key: ForeignKey

    @classmethod
    def of(cls, view: View) -> "JoinView":
        """Of a checked view."""
        return cls(view, ForeignKey.of(view.declared))  # type: ignore[arg-type]

    @property
    def declared(self) -> Join:
        """The declaration."""
        return self.view.declared  # type: ignore[return-value]

    @property
    def name(self) -> str:
        """The view's name."""
        return self.view.name

    @cached_property
    def reach(self) -> Reach:
        """See `Reach`."""
        inside = f"{self.declared.right.name}."
        keys = (*self.view.pk.attributes, *self.view.sk.attributes)
        if self.declared.where is not None or any(name.startswith(inside) for name in keys):
            return Reach.BOTH
        return Reach.PART if self.declared.kind == "left" else Reach.SHOWN

    @cached_property
    def holds_subscribers(self) -> bool:
        """Whether the rows of a right item are in a partition that its key names: each row is its own subscription."""
        named = set(self.view.pk.attributes)
        alone = all(each.alone for each in self.foreign_key.templates.values())
        return self.reach is Reach.PART and alone and named == set(self.foreign_key.attributes)

    @cached_property
    def left_outputs(self) -> tuple[str, ...]:
        """The row's attributes out of the left item."""
        return (*self.view.copied, *self.declared.compute)

    @cached_property
    def right_outputs(self) -> tuple[str, ...]:
        """The row's attributes out of the right item."""
        return (*self._copied_right, *self.declared.compute_right)

    @cached_property
    def _copied_right(self) -> dict[str, str]:
        declared = self.declared
        return {
            **{name: name for name in declared.keep_right},
            **{new: old for old, new in declared.rename_right.items()},
        }

    @cached_property
    def _read_of_right(self) -> tuple[str, ...]:
        """What keys and `where` may read of the right item."""
        declared = self.declared
        if declared.where is not None:
            return (*declared.right.keys, *declared.right.attributes)
        inside = f"{declared.right.name}."
        keys = (*self.view.pk.attributes, *self.view.sk.attributes)
        return tuple(dict.fromkeys(name.removeprefix(inside) for name in keys if name.startswith(inside)))

    def left(self, item: Image) -> LeftContent:
        """What is read of a left item. Raises Rejected."""
        found = _declared(item, self.declared.of)
        return LeftContent(found, self.foreign_key(self._scope(Image(found))))

    def placed(self, item: Image) -> LeftContent | None:
        """As `left`; None for an item that has no row, whatever its right item is. Raises Rejected."""
        found = self.left(item)
        return None if self.reach is not Reach.BOTH and self.place(found.item) is None else found

    def right(self, item: Image) -> RightContent:
        """What is read of a right item. Raises Rejected."""
        known = _declared(item, self.declared.right)
        part = {name: known[source] for name, source in self._copied_right.items() if source in known}
        scope = Scope(Image(known), self.declared.compute_right)
        part |= {name: encode(scope.computed(name), name) for name in self.declared.compute_right}
        return RightContent(part, {name: known[name] for name in self._read_of_right if name in known})

    def part(self, left: Row) -> Row:
        """The row's part out of a left item. Raises Rejected."""
        return self.view.content(self._scope(Image(left)))

    def key(self, left: Row, right: RightContent | None) -> Key | None:
        """Where the row of a pair is, None if it has none; `right` is None if there is no right item. Raises
        Rejected."""
        if right is None and self.declared.kind == "inner":
            return None
        return self._key(left, right)

    def place(self, left: Row) -> Key | None:
        """Where a left item's row is if it has one, where no right item decides it. Raises Rejected."""
        return None if self.reach is Reach.BOTH else self._key(left, None)

    def partition(self, keys: Image) -> tuple[str, str]:
        """Where the rows of a right item are that are their own subscriptions: `pk`, and the beginning of `sk`."""
        values = self.foreign_key.left_of(keys) or {}
        first = self.view.sk.parts[0]
        return self.view.pk.render(values, PARTITION_KEY_BYTES), first if isinstance(first, str) else ""

    def _key(self, left: Row, right: RightContent | None) -> Key | None:
        beside = Image(right.item) if right is not None else None
        pair = Pair(self._scope(Image(left)), beside, self.declared.right.name)
        if not all(name in pair for name in (*self.view.pk.attributes, *self.view.sk.attributes)):
            return None
        where = self.declared.where
        if where is not None and not guarded("where", where, pair):
            return None
        return self.view.pk.render(pair, PARTITION_KEY_BYTES), self.view.sk.render(pair, SORT_KEY_BYTES)

    def _scope(self, left: Image) -> Scope:
        return Scope(left, self.declared.compute)


def _declared(item: Image, entity: Entity) -> Row:
    return {name: for_client(item.typed(name), name) for name in (*entity.keys, *entity.attributes) if name in item}


class LeftChange(Struct, frozen=True):
    """What a change makes of a left item; `content` is None if it is gone. `if_present`: then nothing is written if
    nothing is recorded. `anew`: it was not there before, or is not there any more."""

    keys: Image
    version: int
    content: LeftContent | None
    if_present: bool
    anew: bool = True


class RightChange(Struct, frozen=True):
    """What a change makes of a right item; `content` is None if it is gone. `anew`: as of a left one."""

    keys: Image
    version: int
    content: RightContent | None
    anew: bool = True

    @property
    def foreign_key(self) -> str:
        """That of the left items which name it."""
        return identity(self.keys.raw)


def left_change(join: JoinView, change: Change) -> LeftChange | None:
    """None if the change is of no concern. Raises Rejected if the join cannot take the item."""
    entity = join.declared.of
    if not entity.reads(change.source):
        return None
    inserted = change.kind is Kind.INSERT and not change.first_fill and claimable(entity.claims, change.keys)
    if not inserted and not concerns(change, entity.claims, entity.claims):
        return None
    after: LeftContent | None = _after(change, entity, join.placed)
    if after is not None:
        join.part(after.item)
    if _alike(change, entity, join.placed, after):
        return None
    anew = after is None or change.kind is not Kind.MODIFY
    return LeftChange(change.keys, change.version, after, after is None and change.kind is Kind.INSERT, anew)


def right_change(join: JoinView, change: Change) -> RightChange | None:
    """As `left_change`."""
    entity = join.declared.right
    if not entity.reads(change.source) or not concerns(change, entity.claims, entity.claims):
        return None
    join.foreign_key.check(change.keys.raw)
    after = _after(change, entity, join.right)
    if _alike(change, entity, join.right, after):
        return None
    keys = Image({name: for_client(typed, name) for name, typed in change.keys.raw.items()})
    return RightChange(keys, change.version, after, after is None or change.kind is not Kind.MODIFY)


def _after(change: Change, entity: Entity, content: Any) -> Any:
    return content(change.new) if change.new is not None and entity.claims(change.new) else None


def _alike(change: Change, entity: Entity, content: Any, after: Any) -> bool:
    """Whether the join reads the same of the item before an update and after it: an earlier change has brought that, or
    will yet bring it under its own version."""
    if change.kind is not Kind.MODIFY or change.old is None or change.new is None:
        return False
    try:
        both = entity.claims(change.old) and entity.claims(change.new)
        return bool(both and _same(content(change.old), after))
    except Rejected:
        return False


def _same(one: LeftContent | RightContent | None, other: LeftContent | RightContent | None) -> bool:
    if isinstance(one, RightContent) and isinstance(other, RightContent):
        return one.digest() == other.digest()
    return one == other


def foreign_keys(join: JoinView, left: Row) -> dict[str, Typed]:
    """The right item's key attributes that a left item names; empty if it names none. Raises Rejected."""
    return join.foreign_key.keys(Scope(Image(left), join.declared.compute)) or {}


def joins_of(views: Sequence[View]) -> tuple[JoinView, ...]:
    """Those of the views that are Joins."""
    return tuple(JoinView.of(view) for view in views if isinstance(view.declared, Join))
