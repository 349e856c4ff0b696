"""What is known of one item, as a join semilattice: it merges to the same in any order and however often."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, NamedTuple

from distributary.replicate.multi_active.state import NEVER, Time, rank
from distributary.stream.canonical import text
from distributary.stream.codec import Typed, decode, encode

Name = tuple[str, ...]
"""Of a cell: `(attribute,)`, or `(attribute, part)` inside a set or map."""

VersionVector = Mapping[str, int]
"""The newest version by region."""

NONE: Mapping[Any, Any] = {}


class Rank(NamedTuple):
    """Where a write stands among all writes of its item: its time, then region and version. `dead` is a delete, which
    stands right above what it deleted."""

    time: Time
    region: str
    version: int
    dead: bool

    def as_json(self) -> list[Any]:
        """See `rank_of`."""
        time = None if self.time == NEVER else self.time.value
        return [encode(time), self.region, str(self.version), self.dead]


def rank_of(found: list[Any]) -> Rank:
    """What `as_json` made. Raises ValueError, TypeError or Rejected for anything else."""
    time, region, version, dead = found
    return Rank(Time.of(decode(time)), str(region), int(version), bool(dead))


class LWWRegister(NamedTuple):
    """A value (DynamoDB JSON, canonical), None if it was taken away, as of a write."""

    rank: Rank
    value: Typed | None


class Sibling(NamedTuple):
    """The item as an application's write left it, by cell; `seen`: what its writer knew of other regions."""

    rank: Rank
    image: Mapping[Name, Typed]
    seen: VersionVector = NONE


@dataclass(frozen=True, slots=True)
class MergeState:
    """`dead`: the newest delete. Since it: `wholes`, the newest write of each region, and `cells`, what was written,
    each as of its newest write. `versions`: of what went into it."""

    dead: Rank | None = None
    wholes: Mapping[str, Sibling] = field(default_factory=dict)
    cells: Mapping[Name, LWWRegister] = field(default_factory=dict)
    versions: VersionVector = field(default_factory=dict)

    def knows(self, write: Rank) -> bool:
        """Whether this write went into it."""
        return self.versions.get(write.region, -1) >= write.version


MergeItems = Callable[[Typed, Typed], Typed]


@dataclass(frozen=True, slots=True)
class Lattice:
    """`join` is commutative, associative and idempotent, whatever `merge` is: that is asked for what is shown only."""

    regions: tuple[str, ...]
    merge: MergeItems | None = None

    def order(self, write: Rank | None) -> tuple[Any, ...]:
        """What writes are compared by: time, ties by the regions' order (the first wins), then version."""
        if write is None:
            return ()
        return write.time, rank(write.region, self.regions), write.region, write.version, write.dead

    def newer(self, a: Rank | None, b: Rank | None) -> Rank | None:
        """The greater one."""
        return max(a, b, key=self.order)

    def alive(self, known: MergeState) -> Rank | None:
        """The newest write since the newest delete; None if there is no item."""
        return max((whole.rank for whole in known.wholes.values()), key=self.order, default=None)

    def newest(self, known: MergeState) -> Rank | None:
        """Write or delete."""
        return self.newer(self.alive(known), known.dead)

    def join(self, a: MergeState, b: MergeState) -> MergeState:
        """The least that is at least both."""
        dead = self.newer(a.dead, b.dead)
        floor = self.order(dead)
        wholes = {**a.wholes, **b.wholes}
        for region in a.wholes.keys() & b.wholes.keys():
            wholes[region] = max(a.wholes[region], b.wholes[region], key=self._of_whole)
        cells = {**a.cells, **b.cells}
        for name in a.cells.keys() & b.cells.keys():
            cells[name] = max(a.cells[name], b.cells[name], key=lambda cell: (self.order(cell.rank), text(cell.value)))
        return MergeState(
            dead,
            {region: whole for region, whole in wholes.items() if self.order(whole.rank) > floor},
            {name: cell for name, cell in cells.items() if self.order(cell.rank) > floor},
            {
                region: max(a.versions.get(region, -1), b.versions.get(region, -1))
                for region in {*a.versions, *b.versions}
            },
        )

    def clash(self, a: MergeState, b: MergeState) -> bool:
        """Whether two that are joined hold writes that did not know each other and cannot both stand."""
        one, other = self.newest(a), self.newest(b)
        if one is None or other is None or a.knows(other) or b.knows(one):
            return False
        if one.dead or other.dead:
            return one.dead is not other.dead
        if self.merge is not None:
            return self.shown(a) != self.shown(b)
        return any(
            a.cells[name].value != b.cells[name].value
            and not a.knows(b.cells[name].rank)
            and not b.knows(a.cells[name].rank)
            for name in a.cells.keys() & b.cells.keys()
        )

    def shown(self, known: MergeState) -> dict[str, Typed] | None:
        """The item without its keys, canonical; None if there is none. Raises Rejected if `merge` fails."""
        wholes = sorted(known.wholes.values(), key=self._of_whole)
        if not wholes:
            return None
        if self.merge is not None:
            siblings = [whole for whole in wholes if not any(_saw(other, whole) for other in wholes)] or wholes[-1:]
            items: list[Typed] = [{"M": {name[0]: value for name, value in whole.image.items()}} for whole in siblings]
            return dict(reduce(self.merge, items)["M"])
        values: dict[Name, Typed | None] = dict(wholes[-1].image)
        for name, cell in known.cells.items():
            values[name] = _newest_told(name, cell, known.wholes.get(cell.rank.region))
        by_attribute: dict[str, list[tuple[Name, Typed]]] = {}
        for name, value in values.items():
            if value is not None:
                by_attribute.setdefault(name[0], []).append((name, value))
        return {attribute: _assembled(parts) for attribute, parts in sorted(by_attribute.items())}

    def _of_whole(self, whole: Sibling) -> tuple[Any, ...]:
        return self.order(whole.rank), text(sorted(whole.image.items())), text(whole.seen)


def _saw(writer: Sibling, other: Sibling) -> bool:
    return writer is not other and writer.seen.get(other.rank.region, -1) >= other.rank.version


def _newest_told(name: Name, cell: LWWRegister, whole: Sibling | None) -> Typed | None:
    """The cell's value; or that of a later image of its own region, if the write between them never came."""
    if whole is None or whole.rank.version <= cell.rank.version:
        return cell.value
    return whole.image.get(name)


def _assembled(parts: list[tuple[Name, Typed]]) -> Typed:
    """An attribute of its parts. If regions gave it different forms, a plain value stands before a set or map: the
    same on all sides."""
    kind = min(name[1][0] if len(name) > 1 else "" for name, _ in parts)
    inside = sorted((name[1], value) for name, value in parts if len(name) > 1 and name[1][0] == kind)
    match kind:
        case "":
            return next(value for name, value in parts if len(name) == 1)
        case "M":
            return {"M": {part[2:]: value for part, value in inside if part != "M"}}
    return {f"{kind}S": sorted(value[kind] for _, value in inside)}


def cells_of(item: Mapping[str, Typed], inside: tuple[str, ...] = ()) -> dict[Name, Typed]:
    """A canonical item's values by cell; the attributes `inside` which it merges are taken apart."""
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
