"""The state-based CRDT behind merged items: what each region has written, the join of two such states, and the item.

Each region's part of a state has one writer: that region's own merge state, which gives every new form of the part a
greater revision. So a join takes the part with the greater revision, region by region. A delete is a tombstone in its
region's part: whatever it outranks is gone, in every part. Joining is commutative, associative and idempotent.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from typing import Any, NamedTuple

from distributary.stream import canonical
from distributary.stream.codec import Typed, Value, decode, encode
from distributary.stream.struct import Struct, field, replace

Name = tuple[str, ...]
"""Of a cell: `(attribute,)`, or `(attribute, member)` inside a set or map that is merged member by member."""

VersionVector = Mapping[str, int]
"""By region, the position in its stream of the newest write that went into something."""

NONE: Mapping[Any, Any] = {}
_DIGITS = 46


def texts(versions: VersionVector) -> dict[str, str]:
    """A version vector as it is stored: positions are longer than what JSON's readers take for a number."""
    return {region: str(position) for region, position in versions.items()}


def numbers(found: Mapping[str, str]) -> dict[str, int]:
    """What `texts` made. Raises ValueError, TypeError or AttributeError for anything else."""
    if any(len(position) > _DIGITS for position in found.values()):
        raise ValueError
    return {str(region): int(position) for region, position in found.items()}


class Time(NamedTuple):
    """When, in the application's own terms: nothing (0) comes before numbers (1), and these before text (2)."""

    kind: int
    value: Decimal | str

    @classmethod
    def of(cls, value: Value) -> "Time":
        """Of an attribute's value; what is neither a number nor text is no time."""
        match value:
            case Decimal():
                return cls(1, value)
            case str():
                return cls(2, value)
        return NEVER

    @property
    def typed(self) -> Typed:
        """As it is stored; `of` takes it back once it is decoded."""
        return encode(None if self == NEVER else self.value)


NEVER = Time(0, "")
_INSTANT = Decimal("0.000001")


def tick(second: float, last: Time | None) -> Time:
    """The time of an edit that its record puts into this second, and that replaced one of `last`: later than that."""
    now = Time.of(Decimal(int(second)))
    if last is None or last < now or not isinstance(last.value, Decimal):
        return now
    return Time.of(last.value + _INSTANT)


def end_of(unit: str | None, second: float) -> Time:
    """The first moment after this second (since the epoch), as the application would write it."""
    after = int(second) + 1
    if unit == "text":
        return Time.of(datetime.fromtimestamp(after, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    return Time.of(Decimal(after) * (1000 if unit == "milliseconds" else 1))


def rank(region: str, regions: tuple[str, ...]) -> int:
    """Ties go to the region that is named first; one that is no longer named loses to all."""
    return len(regions) - regions.index(region) if region in regions else 0


class Timestamp(NamedTuple):
    """Of a write: its time, then its region and its position in that region's stream. `dead` marks a delete, which
    comes right after what it deleted."""

    time: Time
    region: str
    position: int
    dead: bool = False

    def as_json(self) -> list[Any]:
        """See `timestamp_of`."""
        return [self.time.typed, self.region, str(self.position), self.dead]


def timestamp_of(found: list[Any]) -> Timestamp:
    """What `as_json` made. Raises ValueError, TypeError or Rejected for anything else."""
    time, region, position, dead = found
    return Timestamp(Time.of(decode(time)), str(region), int(position), bool(dead))


class LWWRegister(NamedTuple):
    """A cell's value (DynamoDB JSON, canonical), None if it was removed, as of its newest write."""

    at: Timestamp
    value: Typed | None


class Sibling(NamedTuple):
    """The item as a region's newest write left it, by cell. `seen`: which writes its writer knew."""

    at: Timestamp
    image: Mapping[Name, Typed]
    seen: VersionVector = NONE


class Revision(NamedTuple):
    """Of a part: the newest stream position in it, how often it has changed since, and a digest of its content."""

    position: int = -1
    changes: int = 0
    digest: str = ""

    def after(self, position: int, digest: str) -> "Revision":
        """The next one, with what was at `position`."""
        later = position > self.position
        return Revision(max(position, self.position), 0 if later else self.changes + 1, digest)


FIRST = Revision()


class Part(Struct, frozen=True):
    """What one region has written. `sibling`: None if there is no item. `cells`: when the region last wrote each cell
    of it; the values are in `sibling`. `tombstone`: its greatest delete. `floor`: the position of its latest delete.
    `digests`: of the newest content, by position; "" after a delete. It may have others, at which repairs found it."""

    revision: Revision = FIRST
    sibling: Sibling | None = None
    cells: Mapping[Name, Timestamp] = field(default_factory=dict)
    tombstone: Timestamp | None = None
    floor: int = -1
    digests: Mapping[int, str] = field(default_factory=dict)

    def written(self, sibling: Sibling, changed: Iterable[Name], digests: Mapping[int, str]) -> "Part":
        """With a write, which changed these cells."""
        cells = {**self.cells, **dict.fromkeys(changed, sibling.at)}
        return replace(self, sibling=sibling, cells=cells, digests=digests)

    @property
    def content(self) -> list[Any]:
        """All but the revision, in a form that has a digest."""
        at, image, seen = self.sibling or (None, NONE, NONE)
        kept = sorted(image.items()), sorted(self.cells.items()), sorted(self.digests.items())
        return [at, seen, self.tombstone, self.floor, *kept]


def unread(region: str) -> str:
    """The name of a second part of this region: what a repair found in its rows before their records came. It is apart,
    because a row does not show which of its cells were written: its record does, and then replaces the guess."""
    return f"{region}/unread"


class MergeState(Struct, frozen=True):
    """Of one item: the parts by region."""

    parts: Mapping[str, Part] = field(default_factory=dict)

    @property
    def versions(self) -> VersionVector:
        """What went into it."""
        found: dict[str, int] = {}
        for name, part in self.parts.items():
            region = name.partition("/")[0]
            found[region] = max(found.get(region, -1), part.revision.position)
        return found

    def knows(self, write: Timestamp) -> bool:
        """Whether this write went into it."""
        return self.versions.get(write.region, -1) >= write.position

    def has_read(self, region: str, digest: str) -> bool:
        """Whether the region's newest content, as far as it is known, has this digest."""
        parts = (self.parts.get(name, Part()) for name in (unread(region), region))
        digests = {position: each for part in parts for position, each in part.digests.items()}
        return bool(digests) and digests[max(digests)] == digest


MergeItems = Callable[[Typed, Typed], Typed]


class Lattice(Struct, frozen=True):
    """States under a rule. `merge` decides only what is shown, so whatever it does, `join` keeps its laws."""

    regions: tuple[str, ...]
    merge: MergeItems | None = None

    def order(self, write: Timestamp | None) -> tuple[Any, ...]:
        """What writes are compared by: time, ties by the order of regions (the first one wins), then position."""
        if write is None:
            return ()
        return write.time, rank(write.region, self.regions), write.region, write.position, write.dead

    def join(self, a: MergeState, b: MergeState) -> MergeState:
        """The least state that is at least both."""
        parts = {**a.parts, **b.parts}
        for name in a.parts.keys() & b.parts.keys():
            parts[name] = max(a.parts[name], b.parts[name], key=lambda part: part.revision)
        return self._without_deleted(parts)

    def changed(self, known: MergeState, name: str, part: Part, position: int) -> MergeState:
        """`known` with a new form of a part, made by the part's one writer from the form in `known`, with what was at
        `position`. If the part is the same, so is its revision."""
        old = known.parts.get(name)
        found = self._without_deleted({**known.parts, name: part})
        if found.parts[name] == old:
            return known
        revision = part.revision.after(position, canonical.digest(*part.content))
        return MergeState({**found.parts, name: replace(found.parts[name], revision=revision)})

    def _without_deleted(self, parts: Mapping[str, Part]) -> MergeState:
        dead = [part.tombstone for part in parts.values() if part.tombstone is not None]
        floor = self.order(self.latest(dead))
        found = {(at.region, at.position) for at in dead}
        return MergeState(
            {
                name: self._above(part, floor, any((name, position) in found for position in part.digests))
                for name, part in parts.items()
            }
        )

    def _above(self, part: Part, floor: tuple[Any, ...], gone: bool) -> Part:
        """What is left of a part. It is `gone` if what a repair found of it, at another position, was deleted."""
        if part.sibling is None or gone or self.order(part.sibling.at) <= floor:
            return part if part.sibling is None and not part.cells else replace(part, sibling=None, cells={})
        cells = {name: at for name, at in part.cells.items() if self.order(at) > floor}
        return part if len(cells) == len(part.cells) else replace(part, cells=cells)

    def latest(self, writes: Iterable[Timestamp | None]) -> Timestamp | None:
        """The greatest one; None if there is none."""
        return max(writes, key=self.order, default=None)

    def deleted(self, known: MergeState) -> Timestamp | None:
        """The newest delete."""
        return self.latest(part.tombstone for part in known.parts.values())

    def alive(self, known: MergeState) -> Timestamp | None:
        """The newest write since the newest delete; None if there is no item."""
        return self.latest(part.sibling and part.sibling.at for part in known.parts.values())

    def newest(self, known: MergeState) -> Timestamp | None:
        """Write or delete."""
        return self.latest((self.alive(known), self.deleted(known)))

    def siblings(self, known: MergeState) -> list[Sibling]:
        """The newest of each region, the oldest first."""
        found: dict[str, Sibling] = {}
        for part in known.parts.values():
            sibling = part.sibling
            if sibling is not None:
                region = sibling.at.region
                found[region] = max(found.get(region, sibling), sibling, key=lambda each: self.order(each.at))
        return sorted(found.values(), key=lambda each: self.order(each.at))

    def registers(self, known: MergeState) -> dict[Name, LWWRegister]:
        """Each cell that was written since the newest delete, as of its newest write in any region."""
        found: dict[Name, LWWRegister] = {}
        for part in known.parts.values():
            image = part.sibling.image if part.sibling is not None else NONE
            for name, at in part.cells.items():
                if name not in found or self.order(at) > self.order(found[name].at):
                    found[name] = LWWRegister(at, image.get(name))
        return found

    def value(self, known: MergeState) -> dict[str, Typed] | None:
        """The item without its keys, canonical; None if there is none. Raises Rejected if `merge` fails."""
        siblings = self.siblings(known)
        if not siblings:
            return None
        if self.merge is not None:
            apart = [each for each in siblings if not any(_saw(other, each) for other in siblings)] or siblings[-1:]
            items: list[Typed] = [{"M": {name[0]: value for name, value in each.image.items()}} for each in apart]
            return dict(reduce(self.merge, items)["M"])
        values: dict[Name, Typed | None] = dict(siblings[-1].image)
        values |= {name: register.value for name, register in self.registers(known).items()}
        by_attribute: dict[str, list[tuple[Name, Typed]]] = {}
        for name, value in values.items():
            if value is not None:
                by_attribute.setdefault(name[0], []).append((name, value))
        return {attribute: _assembled(parts) for attribute, parts in sorted(by_attribute.items())}

    def check(self, known: MergeState) -> None:
        """Raises Rejected if `merge` fails on it."""
        if self.merge is not None:
            self.value(known)

    def clash(self, a: MergeState, b: MergeState) -> bool:
        """Whether they hold writes that did not know each other, and that cannot both be kept."""
        one, other = self.newest(a), self.newest(b)
        if one is None or other is None or a.knows(other) or b.knows(one):
            return False
        if one.dead or other.dead:
            return one.dead is not other.dead
        if self.merge is not None:
            return self.value(a) != self.value(b)
        mine, theirs = self.registers(a), self.registers(b)
        return any(
            mine[name].value != theirs[name].value and not a.knows(theirs[name].at) and not b.knows(mine[name].at)
            for name in mine.keys() & theirs.keys()
        )


def _saw(writer: Sibling, other: Sibling) -> bool:
    return writer is not other and writer.seen.get(other.at.region, -1) >= other.at.position


def _assembled(parts: list[tuple[Name, Typed]]) -> Typed:
    """An attribute from its cells. If regions gave it different forms, a plain value wins over a set or map."""
    kind = min(name[1][0] if len(name) > 1 else "" for name, _ in parts)
    inside = sorted((name[1], value) for name, value in parts if len(name) > 1 and name[1][0] == kind)
    match kind:
        case "":
            return next(value for name, value in parts if len(name) == 1)
        case "M":
            return {"M": {part[2:]: value for part, value in inside if part != "M"}}
    return {f"{kind}S": sorted(value[kind] for _, value in inside)}


def cells_of(item: Mapping[str, Typed], inside: tuple[str, ...] = ()) -> dict[Name, Typed]:
    """A canonical item's values by cell; the attributes `inside` which it is merged are taken apart."""
    cells: dict[Name, Typed] = {}
    for attribute, typed in item.items():
        ((tag, content),) = typed.items()
        if attribute not in inside or tag not in ("SS", "NS", "BS", "M"):
            cells[(attribute,)] = typed
        elif tag == "M":
            cells[(attribute, "M")] = {"M": {}}
            cells |= {(attribute, f"M:{name}"): member for name, member in content.items()}
        else:
            cells |= {(attribute, f"{tag[0]}:{member}"): {tag[0]: member} for member in content}
    return cells
