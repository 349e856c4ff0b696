"""Declarations of replicas, checked before the first change."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from distributary.errors import ConfigError, Rejected, Unavailable
from distributary.replicate.multi_active.crdt import Time
from distributary.replicate.multi_active.merge_rules import Merge, faults_of
from distributary.replicate.settings import REGION
from distributary.stream.change import Image
from distributary.stream.codec import Typed, Value, encode, for_client
from distributary.stream.entity import Entity, Predicate, guarded, without_comma

MAX_REGIONS = 5

Expired = Literal["propagate", "ignore"]
Deletes = Literal["lose", "win"]
Unit = Literal["seconds", "milliseconds", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """One way: the source's items under their own keys, in a table of another region that nothing else writes to. With
    no option given, the whole table as it is.

    Attributes:
        of: The items' entity; all items if None. Items that it does not claim are not replicated. `key_prefix`, `drop`
            and `mask` need it.
        where: Which items are replicated; all of them if None. An item that no longer fits is removed from the replica.
            If it raises an error, the change is parked.
        key_prefix: Replicates only items whose partition key (a string) begins with this.
        drop: Attributes of the entity, no keys, that do not leave the region.
        mask: Attributes of the entity, no keys, that a function of the value replaces:
            `{"email": lambda value: "-"}`.
        expired: What follows when the source's TTL deletes an item: `"propagate"` deletes it from the replica,
            `"ignore"` keeps it until the replica's own TTL deletes it.
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
        return self.of.claims(item) and self.owns(item)

    def owns(self, keys: Mapping[str, Value]) -> bool:
        """Whether the replica may ever have an item under these keys: those outside `key_prefix` belong to others.
        Raises Rejected if the partition key is no string."""
        if not self.key_prefix or self.of is None:
            return True
        value = keys[self.of.keys[0]]
        if not isinstance(value, str):
            raise Rejected(f"key_prefix: '{self.of.keys[0]}' is no string")
        return value.startswith(self.key_prefix)

    def holds(self, item: Image) -> bool:
        """Whether the replica has the item. Raises Rejected if a predicate fails on it."""
        return self.claims(item) and (self.where is None or bool(guarded("where", self.where, item)))

    def row(self, item: Image, sliced: bool = False) -> dict[str, Any]:
        """What the replica has of it: all but the dropped, exactly, the masked by their functions' answers. Where
        `sliced` asks for it, attributes are the text that was received, if the image has it: see `Image.slices`. Raises
        Rejected for an image that is no DynamoDB item, and for a function that fails or answers no DynamoDB value."""
        slices = item.slices() if sliced else None
        if slices is None:
            return {name: self._shown(item, name) for name in item.raw if name not in self.drop}
        masked = {name: self._shown(item, name) for name in self.mask if name in slices}
        return {name: text for name, text in slices.items() if name not in self.drop} | masked

    def check_keys(self, keys: Iterable[str]) -> None:
        """Raises Unavailable if the stream's table has other keys than declared: once fixed, the change succeeds."""
        if self.of is not None and set(keys) != set(self.of.keys):
            raise Unavailable(f"entity '{self.of.name}': the source table has other keys; correct `keys` in replica.py")

    def _shown(self, item: Image, name: str) -> Typed:
        mask = self.mask.get(name)
        if mask is None:
            return for_client(item.typed(name), name)
        return encode(guarded(f"mask '{name}'", lambda image: mask(image[name]), item), name)


@dataclass(frozen=True, slots=True)
class Rule:
    """Which of two states of an item wins: that with the greater answer of `greatest`. Equal answers: the region that
    is declared first; within a region: the later edit. `name` is written into recorded conflicts. `by_stream`: an item
    itself has no time, only the record of its edit has."""

    name: str
    greatest: Callable[[Image], Value]
    unit: Unit | None = None
    by_stream: bool = False

    def time(self, item: Image) -> Time:
        """Raises Rejected if the function fails on the item."""
        return Time.of(guarded(self.name, self.greatest, item))


def last_writer(attribute: str | None = None, unit: Unit | None = None) -> Rule:
    """The rule by which the later edit of a whole item wins. An item without the attribute loses to every item that has
    it. If two times are equal, the region that is named first wins.

    Without an attribute, the time is the second in which the stream says that the edit was made
    (ApproximateCreationDateTime in
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html). An edit on top of
    another edit always wins over it. Each edit costs 1 write more in its own region. Until that write is done, a change
    from another region may have overwritten the edit.

    Args:
        attribute: The attribute in which the application keeps the time of its write: a number, or a string that sorts
            by time.
        unit: What the time is in: `"seconds"` or `"milliseconds"` since the epoch, or `"text"` (ISO 8601, UTC). Needed
            for `deletes="win"` only.
    """
    if attribute is None:
        return Rule("last_writer()", lambda _: None, by_stream=True)
    return Rule(f"last_writer({attribute})", lambda item: item.get(attribute), unit)


def greatest(function: Callable[[Image], Value]) -> Rule:
    """A rule of your own: the item for which a function returns the greatest number or string wins.

    Args:
        function: A pure function of the item. If it raises an error, the change is parked.
    """
    return Rule(f"greatest({getattr(function, '__name__', 'function')})", function)


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiActive:
    """Both ways: the application writes in every region, and all tables come to hold the same items.

    Attributes:
        regions: 2 to 5 regions, such as `"eu-west-1"`. If two edits are equal by the rule, the region that is named
            first wins.
        rule: `last_writer` or `greatest`, by which a whole item wins or loses; or `by_attribute` or `custom`, by which
            items are merged.
        deletes: What a delete removes. `"lose"`: the version that it saw and every older one; a concurrent edit in
            another region restores the item. `"win"`: also every edit up to the end of the second in which the item
            was deleted, in any region. It needs a rule with an attribute and a `unit`.
    """

    regions: tuple[str, ...]
    rule: Rule | Merge
    deletes: Deletes = "lose"


Replica = Mirror | MultiActive


def check(declared: Replica) -> Replica:
    """Checks a declared replica, as the function does when it starts.

    Returns:
        The same declaration.

    Raises:
        ConfigError: The declaration is wrong. It names every fault.
    """
    faults = _mirror_faults(declared) if isinstance(declared, Mirror) else _multi_active_faults(declared)
    if found := list(faults):
        raise ConfigError(found)
    return declared


def target_of(there: tuple[str, ...]) -> str:
    """A mirror's one region. Raises ConfigError if the stack's parameters name more."""
    if len(there) > 1:
        raise ConfigError(f"mirror: ReplicaRegion names {', '.join(there)}; give one, and deploy a stack for each")
    return there[0]


def peers_of(declared: MultiActive, here: str, there: tuple[str, ...], role: str = "none") -> tuple[str, ...]:
    """The other regions, in their declared order. Raises ConfigError if the stack's parameters say otherwise."""
    faults = []
    if role != "none":
        faults.append("multi-active: TargetRoleArn is for a mirror; all regions' tables are of one account")
    if here not in declared.regions:
        faults.append(f"multi-active: this function runs in {here}, which `regions` does not name; add it")
    peers = tuple(region for region in declared.regions if region != here)
    if sorted(peers) != sorted(there):
        faults.append(f"multi-active: ReplicaRegion names {', '.join(there)}; give the others: {','.join(peers)}")
    if faults:
        raise ConfigError(faults)
    return peers


def _multi_active_faults(declared: MultiActive) -> Iterable[str]:
    regions = declared.regions
    if commas := without_comma(regions=regions):
        yield from (f"multi-active: {fault}" for fault in commas)
        return
    if not 2 <= len(set(regions)) == len(regions) <= MAX_REGIONS:
        yield f"multi-active: give 2 to {MAX_REGIONS} regions, each once"
    for region in regions:
        if not re.fullmatch(REGION, region):
            yield f"multi-active: '{region}' is no AWS region such as eu-west-1"
    if declared.deletes not in get_args(Deletes):
        yield f"multi-active: deletes is '{declared.deletes}': give one of {', '.join(get_args(Deletes))}"
    if declared.rule.unit is not None and declared.rule.unit not in get_args(Unit):
        yield f"multi-active: unit is '{declared.rule.unit}': give one of {', '.join(get_args(Unit))}"
    if declared.deletes == "win" and declared.rule.unit is None:
        yield 'multi-active: deletes="win" compares times: give the rule an attribute, and the unit it is in'
    if isinstance(declared.rule, Merge):
        yield from (f"multi-active: {fault}" for fault in faults_of(declared.rule))


def _mirror_faults(declared: Mirror) -> Iterable[str]:
    own = {} if declared.of is None else {"keys": declared.of.keys, "attributes": declared.of.attributes}
    if commas := without_comma(drop=declared.drop, **own):
        yield from (f"mirror: {fault}" for fault in commas)
        return
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
