"""Declarations of replicas, checked before the first change."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from distributary.change import Image
from distributary.codec import Typed, Value, encode, for_client
from distributary.errors import ConfigError, Rejected, Unavailable
from distributary.views import Entity, Predicate, guarded

Expired = Literal["propagate", "ignore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """One way: the source's items under their own keys, in a table that nobody else writes to.

    Without anything declared: the whole table, as it is. `of` names the items' entity; what it does not claim is not
    replicated. `where` leaves items out, `key_prefix` those whose partition key (a string) begins otherwise; an item
    that no longer fits leaves the replica. `drop` are attributes that stay at home, `mask` those that a function of
    the value replaces (`{"email": lambda value: "-"}`); both are of the entity, and neither may be a key.
    `expired="ignore"` keeps items in the replica that the source's TTL deleted, until its own TTL does.
    """

    of: Entity | None = None
    where: Predicate | None = None
    key_prefix: str = ""
    drop: tuple[str, ...] = ()
    mask: Mapping[str, Callable[[Value], Value]] = field(default_factory=dict)
    expired: Expired = "propagate"

    def claims(self, item: Image) -> bool:
        """Whether the item is of the declared kind, by its entity and key. Raises Rejected, as `holds` does."""
        if self.of is None:
            return True
        return self.of.claims(item) and self._begins(item)

    def holds(self, item: Image) -> bool:
        """Whether the replica has the item. Raises Rejected if a predicate fails on it."""
        return self.claims(item) and (self.where is None or bool(guarded("where", self.where, item)))

    def row(self, item: Image) -> dict[str, Typed]:
        """What the replica has of it: all but the dropped, exactly, the masked by their functions' answers. Raises
        Rejected for an image that is no DynamoDB item, and for a function that fails or answers no DynamoDB value."""
        return {name: self._shown(item, name) for name in item.raw if name not in self.drop}

    def check_keys(self, keys: Iterable[str]) -> None:
        """Raises Unavailable if the stream's table has other keys than declared: mended, the change succeeds."""
        if self.of is not None and set(keys) != set(self.of.keys):
            raise Unavailable(f"entity '{self.of.name}': the source table has other keys; correct `keys` in replica.py")

    def _shown(self, item: Image, name: str) -> Typed:
        mask = self.mask.get(name)
        if mask is None:
            return for_client(item.raw[name], name)
        return encode(guarded(f"mask '{name}'", lambda image: mask(image[name]), item), name)

    def _begins(self, item: Image) -> bool:
        if not self.key_prefix or self.of is None:
            return True
        value = item[self.of.keys[0]]
        if not isinstance(value, str):
            raise Rejected(f"key_prefix: '{self.of.keys[0]}' is no string")
        return value.startswith(self.key_prefix)


def check(declared: Mirror) -> Mirror:
    """The declaration as it stands. Raises ConfigError that names every fault at once."""
    if faults := list(_mirror_faults(declared)):
        raise ConfigError(faults)
    return declared


def _mirror_faults(declared: Mirror) -> Iterable[str]:
    named = [*declared.drop, *declared.mask]
    if declared.expired not in get_args(Expired):
        yield f"mirror: expired is '{declared.expired}': give one of {', '.join(get_args(Expired))}"
    for name in sorted({*declared.drop} & {*declared.mask}):
        yield f"mirror: '{name}' is dropped and masked; leave out one of them"
    if declared.of is None:
        if named or declared.key_prefix:
            yield "mirror: drop, mask and key_prefix need `of`, an Entity that names the table's keys and attributes"
        return
    if not 1 <= len(declared.of.keys) <= 2:
        yield f"mirror: entity '{declared.of.name}' needs the source table's one or two key attributes"
    for name in named:
        if name in declared.of.keys:
            yield f"mirror: '{name}' is a key, which can be neither dropped nor masked: use `where` to leave items out"
        elif name not in declared.of.attributes:
            yield f"mirror: '{name}' is not declared by '{declared.of.name}'; add it or correct the name"
