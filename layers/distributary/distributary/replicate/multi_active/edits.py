"""An application's edits: told from a replicator's writes by a record alone, and put into the part of their region."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from distributary.errors import Rejected
from distributary.replicate.multi_active.crdt import (
    NEVER,
    NONE,
    Lattice,
    MergeState,
    Name,
    Part,
    Sibling,
    Time,
    Timestamp,
    VersionVector,
    cells_of,
    end_of,
    tick,
    timestamp_of,
    unread,
)
from distributary.replicate.multi_active.merge_rules import Merge
from distributary.stream import canonical
from distributary.stream.change import Change, Image, Origin
from distributary.stream.codec import Typed, decode, decode_item, encode_item

_LIVE, _GONE = "live", "gone"
_DIGITS = 46


@dataclass(frozen=True, slots=True)
class Marks:
    """The version attribute, `live.<digest>.[timestamp, versions]`. It names the content that a replicator wrote with
    it, so an application's write on top, or one that brings an older mark along, is not taken for the replicator's."""

    attribute: str

    def plain(self, image: Mapping[str, Typed]) -> dict[str, Any]:
        """The canonical item without the attribute. Raises Rejected for what is no DynamoDB value."""
        return canonical.image({name: typed for name, typed in image.items() if name != self.attribute})

    def text(self, plain: Mapping[str, Any], at: Timestamp, versions: VersionVector = NONE) -> str:
        """Of a row (canonical, with its key) as of its newest write, and of what went into it. A delete's timestamp
        marks a row that is about to be deleted."""
        stated = canonical.text([at.as_json(), {region: str(version) for region, version in versions.items()}])
        return f"{_GONE if at.dead else _LIVE}.{canonical.digest(plain, stated)}.{stated}"

    def read(self, image: Mapping[str, Typed] | None) -> Timestamp | None:
        """The timestamp that a replicator wrote this very image with; None if an application wrote it."""
        stated = self._stated(image)
        if stated is None or image is None:
            return None
        at, versions = stated
        return at if image[self.attribute].get("S") == self.text(self.plain(image), at, versions) else None

    def seen(self, image: Mapping[str, Typed] | None) -> VersionVector:
        """What went into the row that this one, or its attribute, was made from."""
        stated = self._stated(image)
        return stated[1] if stated else NONE

    def _stated(self, image: Mapping[str, Typed] | None) -> tuple[Timestamp, VersionVector] | None:
        typed = (image or {}).get(self.attribute)
        found = str(typed.get("S", "")) if isinstance(typed, Mapping) else ""
        try:
            at, versions = json.loads(found.split(".", 2)[2])
            return timestamp_of(at), {str(region): _number(version) for region, version in versions.items()}
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError, Rejected):
            return None


@dataclass(frozen=True, slots=True)
class Edit:
    """An application's write. `before` and `after`: the content, canonical, without keys, None if there was no item.
    `digest`: of `after`. `changed`: the cells that it wrote. `seen`: what its writer knew of other regions."""

    at: Timestamp
    before: Mapping[str, Typed] | None
    after: Mapping[str, Typed] | None
    digest: str
    changed: frozenset[Name]
    seen: VersionVector


@dataclass(frozen=True, slots=True)
class Edits:
    """The declared rule at work in one region. `win`: a delete also covers edits to the end of its second."""

    rule: Merge
    region: str
    marks: Marks
    lattice: Lattice
    win: bool = False

    @classmethod
    def of(cls, rule: Merge, regions: tuple[str, ...], here: str, attribute: str, win: bool = False) -> "Edits":
        """Over a checked declaration; `attribute` is the replicator's own."""
        return cls(rule, here, Marks(attribute), Lattice(regions, merging(rule)), win)

    def replicated(self, change: Change) -> bool:
        """Whether a replicator made it. Raises Rejected for an image that is no DynamoDB item."""
        if change.new is not None:
            return self.marks.read(change.new.raw) is not None
        at = self.marks.read(change.old.raw) if change.old is not None else None
        return at is not None and at.dead

    def edit(self, change: Change) -> Edit:
        """What an application's write says. Raises Rejected as `replicated`."""
        before, after = self._content(change, change.old), self._content(change, change.new)
        at = self._timestamp(change, before, after)
        if after is None or change.new is None:
            return Edit(at, before, after, digest_of(after), frozenset(), NONE)
        born = change.origin is Origin.SNAPSHOT or before is None
        old, new = self.cells({} if born else before), self.cells(after)
        changed = (name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        seen = self._others(self.marks.seen(change.new.raw))
        return Edit(at, before, after, digest_of(after), frozenset(self._kept(changed)), seen)

    def cells(self, content: Mapping[str, Typed] | None) -> dict[Name, Typed]:
        """By cell, as the rule takes it apart."""
        return cells_of(content or {}, self.rule.parts)

    def learned(self, edit: Edit, known: MergeState) -> MergeState:
        """What is `known` in this region, with an edit of its application; the same if it went into it before."""
        position, name = edit.at.position, unread(self.region)
        found = self.lattice.changed(
            known, self.region, self._part(edit, known.parts.get(self.region, Part())), position
        )
        guess = found.parts.get(name, Part())
        told = [at for at, digest in guess.digests.items() if at <= position and digest == edit.digest]
        return self.lattice.changed(found, name, _without(guess, told), -1) if told else found

    def _part(self, edit: Edit, mine: Part) -> Part:
        """The region's part with the edit. The stream's order holds within the region, whatever its writers' clocks
        say: the edit's time is put between those of the region's writes before and after it."""
        position, digest = edit.at.position, edit.digest
        if position <= mine.floor or mine.digests.get(position) == digest:
            return mine
        if position < mine.revision.position:
            return self._late(edit, mine)
        at = self._timed(edit.at, max(edit.at.time, self._last(mine)))
        if edit.after is None:
            dead = self.lattice.latest((mine.tombstone, at))
            return replace(mine, sibling=None, cells={}, tombstone=dead, floor=position, digests={position: digest})
        sibling = Sibling(at, self.cells(edit.after), edit.seen)
        return replace(
            mine, sibling=sibling, cells={**mine.cells, **dict.fromkeys(edit.changed, at)}, digests={position: digest}
        )

    def _last(self, mine: Part) -> Time:
        """When the region last wrote; its delete counts unless it covers what is written after it, too."""
        if mine.sibling is not None:
            return mine.sibling.at.time
        dead = mine.tombstone
        return NEVER if dead is None or dead.region != self.region or self.win else dead.time

    def _late(self, edit: Edit, mine: Part) -> Part:
        """With an edit that comes after a later one of its region, whose image shows what became of its cells."""
        position = edit.at.position
        at = edit.at if mine.sibling is None else self._timed(edit.at, min(edit.at.time, mine.sibling.at.time))
        if edit.after is None:
            kept = {name: written for name, written in mine.cells.items() if written.position > position}
            return replace(mine, cells=kept, tombstone=self.lattice.latest((mine.tombstone, at)), floor=position)
        if mine.sibling is None:
            return mine
        own = {name: at for name in edit.changed if name not in mine.cells or mine.cells[name].position < position}
        return replace(mine, cells={**mine.cells, **own})

    def _timed(self, at: Timestamp, time: Time) -> Timestamp:
        """Not so a delete of what another region wrote, or one that covers the rest of its second."""
        return at if at.dead and (self.win or at.region != self.region) else at._replace(time=time)

    def found(
        self, region: str, row: Mapping[str, Typed], content: Mapping[str, Typed], stands: MergeState, at: int
    ) -> MergeState:
        """What `stands` in a region, with what its row shows that no function has read: at position `at`, until its
        record comes. A cell that is as the region left it is no news, even if another region's write is not shown yet.
        """
        mine, guess = (stands.parts.get(name, Part()) for name in (region, unread(region)))
        siblings = self.lattice.siblings(MergeState({region: mine, unread(region): guess}))
        before = siblings[-1] if siblings else None
        time = self._time(content)
        stamp = Timestamp(time if before is None else max(time, before.at.time), region, at)
        image, left = self.cells(content), before.image if before is not None else NONE
        shown = self.cells(self.lattice.value(stands))
        names = image.keys() | shown.keys()
        differ = self._kept(name for name in names if image.get(name) not in (shown.get(name), left.get(name)))
        seen = {each: version for each, version in self.marks.seen(row).items() if each != region}
        part = replace(
            guess,
            sibling=Sibling(stamp, image, seen),
            cells={**guess.cells, **dict.fromkeys(differ, stamp)},
            digests={**guess.digests, at: digest_of(content)},
        )
        return self.lattice.changed(stands, unread(region), part, at)

    def overlooks(self, edit: Edit, known: MergeState) -> bool:
        """Whether the application wrote it without having seen another region's write that is in `known`."""
        newest = self.lattice.newest(known)
        if newest is None or known.knows(Timestamp(NEVER, self.region, edit.at.position)):
            return False
        if self.rule.items is not None or edit.after is None or edit.before is None or newest.dead:
            return newest.region != self.region and self.lattice.value(known) not in (edit.before, edit.after)
        seen, new, registers = self.cells(edit.before), self.cells(edit.after), self.lattice.registers(known)
        return any(
            registers[name].at.region != self.region and registers[name].value not in (seen.get(name), new.get(name))
            for name in edit.changed & registers.keys()
        )

    def _kept(self, names: Iterable[Name]) -> Iterable[Name]:
        """A rule of whole items keeps no cells."""
        return names if self.rule.items is None else ()

    def _others(self, seen: VersionVector) -> VersionVector:
        return {region: version for region, version in seen.items() if region != self.region}

    def _content(self, change: Change, image: Image | None) -> dict[str, Typed] | None:
        if image is None:
            return None
        return {name: typed for name, typed in self.marks.plain(image.raw).items() if name not in change.keys}

    def _time(self, content: Mapping[str, Typed]) -> Time:
        typed = content.get(self.rule.by) if self.rule.by is not None else None
        return NEVER if typed is None else Time.of(decode(typed))

    def _timestamp(
        self, change: Change, before: Mapping[str, Typed] | None, after: Mapping[str, Typed] | None
    ) -> Timestamp:
        dead = after is None
        stood = self.marks.read(change.old.raw) if change.old is not None else None
        if self.rule.by is None:
            last = stood.time if stood else None
            own = NEVER if change.origin is Origin.SNAPSHOT else tick(change.creation_time(), last)
            return Timestamp(own, self.region, change.version, dead)
        at = Timestamp(self._time(after or before or {}), self.region, change.version, dead)
        if dead and stood is not None:
            at = stood._replace(dead=True)
        end = end_of(self.rule.unit, change.creation_time())
        return Timestamp(end, self.region, change.version, dead) if dead and self.win and end > at.time else at


def digest_of(content: Mapping[str, Typed] | None) -> str:
    """Of canonical content; empty for none."""
    return "" if content is None else canonical.digest(content)


def _without(guess: Part, told: list[int]) -> Part:
    digests = {at: digest for at, digest in guess.digests.items() if at not in told}
    if not digests:
        return replace(guess, sibling=None, cells={}, digests={})
    cells = {name: written for name, written in guess.cells.items() if written.position not in told}
    return replace(guess, cells=cells, digests=digests)


def _number(version: str) -> int:
    if len(version) > _DIGITS:
        raise ValueError
    return int(version)


def merging(rule: Merge) -> Any:
    """The declared merge on DynamoDB JSON; None if there is none."""
    if rule.items is None:
        return None
    merge = rule.items

    def merged(a: Typed, b: Typed) -> Typed:
        try:
            found = encode_item(merge(decode_item(a["M"]), decode_item(b["M"])))
        except Rejected:
            raise
        except Exception as error:
            raise Rejected(f"{rule.name} raised {type(error).__name__}", str(error)) from error
        return {"M": canonical.image(found)}

    return merged
