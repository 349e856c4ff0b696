"""Declarations of derived rows, checked as a whole before the first change."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeVar

from distributary.change import REPLICA_VERSION, Change, Image
from distributary.codec import Value
from distributary.errors import ConfigError, Rejected
from distributary.keys import NAME, PARTITION_KEY_BYTES, SORT_KEY_BYTES, Template

KEY_ATTRIBUTES = ("pk", "sk")
"""The derived table's key; both strings."""

EXPIRY = "expires_at"
"""The derived table's TTL attribute; N, epoch seconds."""

T = TypeVar("T")
Predicate = Callable[[Image], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One kind of item in a source table.

    `keys` are the table's key attributes (one or two), `attributes` the others that views name. `where` tells the
    entity's items from others in a single-table design, best by their keys; it sees the whole item.
    """

    name: str
    keys: tuple[str, ...]
    attributes: tuple[str, ...] = ()
    where: Predicate | None = None

    def claims(self, item: Image) -> bool:
        """Whether the item is of this kind. Raises Rejected if `where` fails on it."""
        return self.where is None or bool(guarded(f"entity '{self.name}': where", self.where, item))


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A row per item of an entity, under another key.

    `pk` and `sk` are templates (see `keys.Template`) over the entity's keys. The row holds the attributes of `keep`
    exactly, those of `rename` under new names (`{"old": "new"}`), and those of `compute`, each a function of the
    item. `where` leaves items out. `expires_at` names the attribute (N, epoch seconds) that the row's TTL is taken
    from; nothing else may be called `expires_at`, or rows would go before their items do.
    """

    name: str
    of: Entity
    pk: str
    sk: str
    keep: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    compute: Mapping[str, Callable[[Image], Value]] = field(default_factory=dict)
    where: Predicate | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A checked Projection with its templates parsed and its attributes by the name that the row gives them."""

    projection: Projection
    pk: Template
    sk: Template
    copied: Mapping[str, str]

    @property
    def name(self) -> str:
        """The view's name."""
        return self.projection.name

    def key(self, keys: Image) -> tuple[str, str]:
        """The row's key. Raises Rejected for a key that cannot be made."""
        return self.pk.render(keys, PARTITION_KEY_BYTES), self.sk.render(keys, SORT_KEY_BYTES)

    def holds(self, item: Image) -> bool:
        """Whether the item has a row. Raises Rejected if a predicate fails on it."""
        where = self.projection.where
        return self.projection.of.claims(item) and (where is None or bool(guarded("where", where, item)))

    def computed(self, item: Image) -> dict[str, Value]:
        """The computed attributes. Raises Rejected if a function fails on the item."""
        functions = self.projection.compute.items()
        return {name: guarded(f"compute '{name}'", function, item) for name, function in functions}


def concerns(change: Change, holds: Predicate) -> bool:
    """Whether the change can make, alter or remove what stands for the item downstream; `holds`: an image has one.

    An item that had none before the change and has none after it is left alone: had it ever had one, an earlier
    change took it away. Raises Rejected if `holds` fails on the new image.
    """
    if change.new is not None and holds(change.new):
        return True
    if change.old is None:
        return True
    try:
        return holds(change.old)
    except Rejected:
        return True


def guarded(what: str, function: Callable[[Image], T], item: Image) -> T:
    """A declared function's answer; whatever it raises becomes Rejected, naming the declaration."""
    try:
        return function(item)
    except Rejected as error:
        raise Rejected(f"{what}: {error}", error.detail) from error
    except Exception as error:
        raise Rejected(f"{what} raised {type(error).__name__}", str(error)) from error


def check(projections: Sequence[Projection]) -> tuple[View, ...]:
    """The declared views, ready for use. Raises ConfigError that names every fault of every view at once."""
    faults = [] if projections else ["no view is declared: add one to views.py"]
    views = []
    for projection in projections:
        templates: list[Template] = []
        for text in (projection.pk, projection.sk):
            try:
                templates.append(Template.parse(text))
            except ConfigError as error:
                faults += [f"view '{projection.name}': {fault}" for fault in error.faults]
        faults += [f"view '{projection.name}': {fault}" for fault in _faults(projection, templates)]
        if len(templates) == 2:
            copied = {
                **{name: name for name in projection.keep},
                **{new: old for old, new in projection.rename.items()},
            }
            views.append(View(projection, templates[0], templates[1], copied))
    faults += _collisions(views)
    if faults:
        raise ConfigError(faults)
    return tuple(views)


def _faults(projection: Projection, templates: Iterable[Template]) -> Iterable[str]:
    entity = projection.of
    declared = {*entity.keys, *entity.attributes}
    if not NAME.fullmatch(projection.name):
        yield f"a name is letters, digits, '_', '.', '-': {NAME.pattern}"
    if not 1 <= len(entity.keys) <= 2:
        yield f"entity '{entity.name}' needs the source table's one or two key attributes"
    for template in templates:
        for name in template.attributes:
            if name not in entity.keys:
                yield f"key '{template.text}' uses '{name}', which is no key of '{entity.name}' and so may change"
    named = [*projection.keep, *projection.rename, *([projection.expires_at] if projection.expires_at else [])]
    for name in named:
        if name not in declared:
            yield f"names '{name}', which entity '{entity.name}' does not declare; add it or correct the name"
    outputs = [*projection.keep, *projection.rename.values(), *projection.compute]
    reserved = {*KEY_ATTRIBUTES, REPLICA_VERSION, EXPIRY}
    for name in sorted({name for name in outputs if outputs.count(name) > 1 or name in reserved}):
        yield f"writes '{name}' twice, or it is one of the row's own attributes {', '.join(sorted(reserved))}"


def _collisions(views: Sequence[View]) -> Iterable[str]:
    for one, other in combinations(views, 2):
        if one.name == other.name:
            yield f"two views are called '{one.name}'; their tombstones would mix: rename one"
        elif one.pk.may_equal(other.pk) and one.sk.may_equal(other.sk):
            yield f"views '{one.name}' and '{other.name}' could write the same row; give their keys different literals"
    for view in views:
        entity_keys = set(view.projection.of.keys)
        if not entity_keys <= {*view.pk.attributes, *view.sk.attributes}:
            missing = ", ".join(sorted(entity_keys - {*view.pk.attributes, *view.sk.attributes}))
            yield f"view '{view.name}': two items could share a row; put key attribute {missing} into pk or sk"
