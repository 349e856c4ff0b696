"""An application's edits: told from a replicator's writes by a record alone, and put into the part of their region."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

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
    numbers,
    texts,
    tick,
    timestamp_of,
    unread,
)
from distributary.replicate.multi_active.merge_rules import Merge
from distributary.stream import canonical
from distributary.stream import version as versions
from distributary.stream.change import Change, Origin
from distributary.stream.codec import Typed, decode, decode_item, encode_item
from distributary.stream.struct import Struct, replace

_LIVE, _GONE = "live", "gone"

_PLACES, _ROOM = 1000, 20
"""For edits of one time, of a Kinesis data stream: the first to arrive gets the one in the middle."""


def place_of(version: int) -> int:
    """A record's version as the position of its edit: with room beside it if it is a time, which two edits may have."""
    if not versions.is_time(version):
        return version
    return version + versions.position_of(version) * (_PLACES - 1) + _PLACES // 2


def behind(position: int) -> int:
    """Where a row is put that no function has read: there is room for edits of the same time before it."""
    return position + (1 if _moment(position) is None else _ROOM)


def _moment(position: int) -> int | None:
    """All but the place among the edits of one time; None for a position in a table's stream, which no two have."""
    return position // _PLACES if versions.is_time(versions.position_of(position) // _PLACES) else None


class Shown(NamedTuple):
    """What an image shows: its canonical content without keys, when a replicator wrote this very image, None if an
    application did, and which writes went into the row that it, or its mark, was made from."""

    content: Mapping[str, Typed]
    at: Timestamp | None = None
    seen: VersionVector = NONE

    @property
    def digest(self) -> str:
        """Of the content."""
        return canonical.digest(self.content)


class Marks(Struct, frozen=True):
    """The version attribute, `live.<digest>.[timestamp, versions]`. It names the content that a replicator wrote with
    it, so an application's write on top, or one that brings an older mark along, is not taken for the replicator's."""

    attribute: str

    def plain(self, image: Mapping[str, Typed]) -> dict[str, Any]:
        """The canonical item without the attribute. Raises Rejected for what is no DynamoDB value."""
        return canonical.image({name: typed for name, typed in image.items() if name != self.attribute})

    def text(self, plain: Mapping[str, Any], at: Timestamp, seen: VersionVector = NONE) -> str:
        """Of a row (canonical, with its key) as of its newest write, and of what went into it. A delete's timestamp
        marks a row that is about to be deleted."""
        stated = canonical.text([at.as_json(), texts(seen)])
        return f"{_GONE if at.dead else _LIVE}.{canonical.digest(plain, stated)}.{stated}"

    def shown(self, image: Mapping[str, Typed], keys: Collection[str]) -> Shown:
        """Raises Rejected as `plain` does."""
        plain, typed = self.plain(image), image.get(self.attribute)
        content = {name: each for name, each in plain.items() if name not in keys}
        mark = str(typed.get("S", "")) if isinstance(typed, Mapping) else ""
        try:
            stated, known = json.loads(mark.split(".", 2)[2])
            at, seen = timestamp_of(stated), numbers(known)
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError, Rejected):
            return Shown(content)
        return Shown(content, at if mark == self.text(plain, at, seen) else None, seen)


class Edit(Struct, frozen=True):
    """An application's write, at `position` of its region's stream. A delete's `at` is that of what it deleted, which
    another region may have written. `before` and `after`: content, canonical, without keys, None if there was none.
    `digest`: of `after`, empty for none. `changed`: which of its `cells` it wrote. `seen`: which writes its writer
    knew."""

    position: int
    at: Timestamp
    before: Mapping[str, Typed] | None
    after: Mapping[str, Typed] | None
    digest: str
    cells: Mapping[Name, Typed]
    changed: frozenset[Name]
    seen: VersionVector


class Edits(Struct, frozen=True):
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

    def edit(self, change: Change) -> Edit | None:
        """What an application's write says; None if a replicator made it. Raises Rejected for an image that is no
        DynamoDB item."""
        new = self.marks.shown(change.new.raw, change.keys) if change.new is not None else None
        if new is not None and new.at is not None:
            return None
        old = self.marks.shown(change.old.raw, change.keys) if change.old is not None else None
        if new is None and old is not None and old.at is not None and old.at.dead:
            return None
        before, after = old and old.content, new and new.content
        at, position = self._timestamp(change, old, after), place_of(change.version)
        if new is None:
            return Edit(position, at, before, None, "", NONE, frozenset(), NONE)
        was, now = self.cells(before), self.cells(after)
        changed = (name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
        return Edit(position, at, before, after, new.digest, now, frozenset(self._kept(changed)), new.seen)

    def deletion(self, edit: Edit, known: MergeState) -> Edit:
        """The delete of what an edit made, right after it, as it is `known`."""
        mine = known.parts.get(self.region, Part()).sibling
        at = mine.at if mine is not None and _alike(mine.at.position, edit.position) else edit.at
        return Edit(at.position, at._replace(dead=True), edit.after, None, "", NONE, frozenset(), NONE)

    def ties(self, edit: Edit, known: MergeState) -> bool:
        """Whether the newest edit of this region that is `known` has the edit's time, and is another."""
        mine = known.parts.get(self.region, Part())
        return _alike(mine.revision.position, edit.position) and _left(mine) != edit.digest

    def placed(self, edit: Edit, known: MergeState, row: Shown | None) -> Edit:
        """One that `ties`, right after the newest edit or before it. The region's row, as it is now, tells which, if it
        is as one of them left it; else what each replaced. The edit comes after the other if it replaced what that
        left, and the other did not replace what this one left. A delete comes after the insert of what it deleted.
        """
        mine = known.parts.get(self.region, Part())
        newest, left, shows = mine.revision.position, _left(mine), "" if row is None else row.digest
        if (row is None or row.at is None) and shows in (left, edit.digest):
            later = shows == edit.digest
        elif edit.after is None:
            later = _before(edit) == left and not _alike(mine.floor, edit.position)
        else:
            later = _before(edit) == left and mine.digests.get(-newest) != edit.digest
        guesses = known.parts.get(unread(self.region), Part()).digests
        found = [at for at, digest in guesses.items() if digest == edit.digest and _alike(at, newest)]
        return self._moved(edit, max(newest + 1, *found, 0) if later else edit.position - 1)

    def _moved(self, edit: Edit, position: int) -> Edit:
        own = edit.at.region == self.region and _alike(edit.at.position, edit.position)
        return replace(edit, position=position, at=edit.at._replace(position=position) if own else edit.at)

    def cells(self, content: Mapping[str, Typed] | None) -> dict[Name, Typed]:
        """By cell, as the rule takes it apart."""
        return cells_of(content or {}, self.rule.parts)

    def learned(self, edit: Edit, known: MergeState) -> MergeState:
        """What is `known` in this region, with an edit of its application; the same if it went into it before."""
        name = unread(self.region)
        mine, guess = (known.parts.get(each, Part()) for each in (self.region, name))
        moment, newest = _moment(edit.position), _moment(mine.revision.position)
        if moment is not None and newest is not None and moment < newest:
            edit = self._moved(edit, _late_place(edit, mine))
        position = edit.position
        told = [at for at, digest in guess.digests.items() if at <= position and digest == edit.digest]
        found = self.lattice.changed(known, self.region, self._part(edit, mine, told), position)
        guess = found.parts.get(name, Part())
        return self.lattice.changed(found, name, _without(guess, told), -1) if told else found

    def _part(self, edit: Edit, mine: Part, told: Collection[int]) -> Part:
        """The region's part with the edit, which repairs found at the positions that are `told`. The stream's order
        holds within the region, whatever its writers' clocks say: the edit's time is put between those of the region's
        writes before and after it."""
        position, digest = edit.position, edit.digest
        known = position < mine.floor or position == mine.revision.position
        if position == mine.floor or (known and edit.after is not None):
            return mine
        if position < mine.revision.position:
            return self._late(edit, mine)
        at = self._timed(edit.at, max(edit.at.time, self._last(mine)))
        if edit.after is None:
            dead = self.lattice.latest((mine.tombstone, at))
            digests = {position: digest, **_replaced(edit)}
            return replace(mine, sibling=None, cells={}, tombstone=dead, floor=position, digests=digests)
        sibling = Sibling(at, edit.cells, edit.seen)
        found = {**dict.fromkeys((*told, position), digest), **_replaced(edit), **_deleted(mine)}
        return mine.written(sibling, edit.changed, found)

    def _last(self, mine: Part) -> Time:
        """When the region last wrote; its delete counts unless it covers what is written after it, too."""
        if mine.sibling is not None:
            return mine.sibling.at.time
        dead = mine.tombstone
        return NEVER if dead is None or dead.region != self.region or self.win else dead.time

    def _late(self, edit: Edit, mine: Part) -> Part:
        """With an edit that comes after a later one of its region, whose image shows what became of its cells. Of what
        the region wrote before a delete nothing is left, but an earlier delete may have seen later writes of others. Of
        the delete's own moment, what an insert after it wrote is left, which removes nothing.
        """
        position = edit.position
        at = edit.at if mine.sibling is None else self._timed(edit.at, min(edit.at.time, mine.sibling.at.time))
        if edit.after is None:
            image = mine.sibling.image if mine.sibling is not None else NONE
            since = {name: written for name, written in mine.cells.items() if written.position > position}
            kept = {name: at for name, at in since.items() if name in image or not _alike(at.position, position)}
            dead, floor = self.lattice.latest((mine.tombstone, at)), max(mine.floor, position)
            digests = {**mine.digests, **(_replaced(edit) if floor > mine.floor else {})}
            return replace(mine, cells=kept, tombstone=dead, floor=floor, digests=digests)
        if mine.sibling is None:
            return mine
        own = {name: at for name in edit.changed if name not in mine.cells or mine.cells[name].position < position}
        return replace(mine, cells={**mine.cells, **own})

    def _timed(self, at: Timestamp, time: Time) -> Timestamp:
        """Not so a delete of what another region wrote, or one that covers the rest of its second."""
        return at if at.dead and (self.win or at.region != self.region) else at._replace(time=time)

    def found(self, region: str, row: Shown, known: MergeState, position: int) -> MergeState:
        """What is `known` in a region, with what its row shows that no function has read: at this position, until its
        record comes. A cell that is as the region left it is no news, even if another region's write is not shown yet.
        """
        mine, guess = (known.parts.get(name, Part()) for name in (region, unread(region)))
        siblings = self.lattice.siblings(MergeState({region: mine, unread(region): guess}))
        before = siblings[-1] if siblings else None
        time = self._time(row.content)
        at = Timestamp(time if before is None else max(time, before.at.time), region, position)
        image, left = self.cells(row.content), before.image if before is not None else NONE
        shown = self.cells(self.lattice.value(known))
        names = image.keys() | shown.keys()
        differ = self._kept(name for name in names if image.get(name) not in (shown.get(name), left.get(name)))
        sibling = Sibling(at, image, row.seen)
        part = guess.written(sibling, differ, {**guess.digests, position: row.digest})
        return self.lattice.changed(known, unread(region), part, position)

    def overlooks(self, edit: Edit, known: MergeState) -> bool:
        """Whether the application wrote it without having seen another region's write that is in `known`."""
        newest = self.lattice.newest(known)
        if newest is None or known.knows(Timestamp(NEVER, self.region, edit.position)):
            return False
        if self.rule.items is not None or edit.after is None or edit.before is None or newest.dead:
            return newest.region != self.region and self.lattice.value(known) not in (edit.before, edit.after)
        seen, registers = self.cells(edit.before), self.lattice.registers(known)
        return any(
            registers[name].at.region != self.region
            and registers[name].value not in (seen.get(name), edit.cells.get(name))
            for name in edit.changed & registers.keys()
        )

    def _kept(self, names: Iterable[Name]) -> Iterable[Name]:
        """A rule of whole items keeps no cells."""
        return names if self.rule.items is None else ()

    def _time(self, content: Mapping[str, Typed]) -> Time:
        typed = content.get(self.rule.by) if self.rule.by is not None else None
        return NEVER if typed is None else Time.of(decode(typed))

    def _timestamp(self, change: Change, old: Shown | None, after: Mapping[str, Typed] | None) -> Timestamp:
        dead, last = after is None, old and old.at
        if self.rule.by is None:
            snapshot = change.origin is Origin.SNAPSHOT
            time = NEVER if snapshot else tick(change.creation_time(), last and last.time)
            return Timestamp(time, self.region, place_of(change.version), dead)
        if dead and last:
            at = last._replace(dead=True)
        else:
            content = after or (old.content if old else NONE)
            at = Timestamp(self._time(content), self.region, place_of(change.version), dead)
        end = end_of(self.rule.unit, change.creation_time())
        covers = dead and self.win and end > at.time
        return Timestamp(end, self.region, place_of(change.version), dead) if covers else at


def _alike(one: int, other: int) -> bool:
    """Whether two positions are of one time, or the same."""
    return one == other or (_moment(one) is not None and _moment(one) == _moment(other))


def _left(mine: Part) -> str:
    """The digest of what a region's newest edit left; empty if it deleted the item."""
    return mine.digests.get(mine.revision.position, "")


def _before(edit: Edit) -> str:
    """The digest of what an edit replaced; empty if there was nothing."""
    return "" if edit.before is None else canonical.digest(edit.before)


def _replaced(edit: Edit) -> dict[int, str]:
    """Beside the digest of what an edit left, that of what it replaced, where another edit may have its time."""
    return {} if _moment(edit.position) is None else {-edit.position: _before(edit)}


def _deleted(mine: Part) -> dict[int, str]:
    """What `_replaced` says of the region's latest delete."""
    return {at: digest for at, digest in mine.digests.items() if at == -mine.floor}


def _late_place(edit: Edit, mine: Part) -> int:
    """Of an edit whose time has passed, so that nobody knows the others of its moment any more: before them. But an
    insert comes after a delete of something else."""
    inserts = edit.after is not None and edit.before is None and _alike(mine.floor, edit.position)
    others = [digest for digest in _deleted(mine).values() if digest != edit.digest]
    return mine.floor + 1 if inserts and others else edit.position - 1


def _without(guess: Part, told: list[int]) -> Part:
    digests = {at: digest for at, digest in guess.digests.items() if at not in told}
    if not digests:
        return replace(guess, sibling=None, cells={}, digests={})
    cells = {name: written for name, written in guess.cells.items() if written.position not in told}
    return replace(guess, cells=cells, digests=digests)


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
