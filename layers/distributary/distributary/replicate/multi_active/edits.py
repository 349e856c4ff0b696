"""What a change adds to what is known of its item, told by its record alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from distributary.errors import Rejected
from distributary.replicate.multi_active.lattice import (
    NONE,
    Lattice,
    LWWRegister,
    MergeState,
    Name,
    Rank,
    Sibling,
    cells_of,
)
from distributary.replicate.multi_active.merge_rules import Merge
from distributary.replicate.multi_active.stamp import Marks
from distributary.replicate.multi_active.state import NEVER, Time, end_of, tick
from distributary.stream import canonical
from distributary.stream.change import Change, Image, Origin
from distributary.stream.codec import Typed, decode, decode_item, encode_item


@dataclass(frozen=True, slots=True)
class Edit:
    """A write of an application's; `before` and `after`: the item's content, canonical, without keys, None where there
    was no item. `replaced`: the time of the write that it replaced, as the old image says it."""

    known: MergeState
    before: Mapping[str, Typed] | None
    after: Mapping[str, Typed] | None
    version: int
    replaced: Time = NEVER


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
        """Over a declaration that `replicas.check` has passed; `attribute` is the replicator's own."""
        return cls(rule, here, Marks(attribute), Lattice(regions, merging(rule)), win)

    def replicated(self, change: Change) -> bool:
        """Whether a replicator made it. Raises Rejected for an image that is no DynamoDB item."""
        if change.new is not None:
            return self.marks.read(change.new.raw) is not None
        rank = self.marks.read(change.old.raw) if change.old is not None else None
        return rank is not None and rank.dead

    def edit(self, change: Change) -> Edit:
        """What an application's write says. Raises Rejected as `replicated`."""
        stood = self.marks.read(change.old.raw) if change.old is not None else None
        found = self._edit(change)
        if stood is not None:
            return replace(found, replaced=stood.time)
        return replace(found, replaced=self._time(found.before)) if found.before is not None else found

    def _edit(self, change: Change) -> Edit:
        before, after = self._content(change, change.old), self._content(change, change.new)
        rank, versions = self._rank(change, before, after), {self.region: change.version}
        if after is None:
            return Edit(MergeState(dead=rank, versions=versions), before, after, change.version)
        seen = self.marks.seen(change.new.raw) if change.new is not None else {}
        seen = {region: version for region, version in seen.items() if region != self.region}
        whole = {self.region: Sibling(rank, cells_of(after, self.rule.parts), seen)}
        if self.rule.items is not None:
            return Edit(MergeState(wholes=whole, versions=versions), before, after, change.version)
        born = change.origin is Origin.SNAPSHOT or before is None
        cells = self._changed({} if born else before or {}, after, rank)
        return Edit(MergeState(wholes=whole, cells=cells, versions=versions), before, after, change.version)

    def after(self, edit: Edit, known: MergeState) -> MergeState:
        """What the edit adds to what is `known` at home. Its time is put between those of its own region's writes
        before and after it in the stream, for two writers of one region may have clocks that differ. What a repair
        found in a row may be newer than the edit: only what the edit replaced is before it for certain."""
        mine, dead = known.wholes.get(self.region), self._ordered(known.dead)
        ranks = [rank for rank in (mine and mine.rank, dead) if rank is not None]
        least = dead.time if dead is not None and dead.version < edit.version else NEVER
        if mine is not None and mine.rank.version < edit.version:
            is_replaced = mine.image == cells_of(edit.before or {}, self.rule.parts)
            least = max(least, mine.rank.time if is_replaced else min(mine.rank.time, edit.replaced))
        most = min((rank.time for rank in ranks if rank.version > edit.version), default=None)

        def placed(rank: Rank) -> Rank:
            time = max(rank.time, least)
            return rank._replace(time=time if most is None else min(time, most))

        added = edit.known
        return replace(
            added,
            dead=added.dead if added.dead is None or not self._ordered(added.dead) else placed(added.dead),
            wholes={region: whole._replace(rank=placed(whole.rank)) for region, whole in added.wholes.items()},
            cells={name: cell._replace(rank=placed(cell.rank)) for name, cell in added.cells.items()},
        )

    def _ordered(self, dead: Rank | None) -> Rank | None:
        """A delete of this region's own writes; not one that covers the rest of its second, later writes included."""
        return dead if dead is not None and dead.region == self.region and not self.win else None

    def found(
        self, region: str, row: Mapping[str, Typed], content: Mapping[str, Typed], stands: MergeState, at: int
    ) -> MergeState:
        """What a row says that an application wrote and no function has learnt, beside what `stands` in its region: as
        of version `at`, for its record was lost, or will tell better. What is as its region left it before is no news,
        even if another region's write does not show there yet."""
        time = self._time(content)
        before = stands.wholes.get(region)
        time = max(time, before.rank.time) if before is not None else time
        rank, image = Rank(time, region, at, False), cells_of(content, self.rule.parts)
        seen = {each: version for each, version in self.marks.seen(row).items() if each != region}
        known = MergeState(wholes={region: Sibling(rank, image, seen)}, versions={region: at})
        if self.rule.items is not None:
            return known
        shown = cells_of(self.lattice.shown(stands) or {}, self.rule.parts)
        left = before.image if before is not None else NONE
        differ = {
            name for name in image.keys() | shown.keys() if image.get(name) not in (shown.get(name), left.get(name))
        }
        return replace(known, cells={name: LWWRegister(rank, image.get(name)) for name in differ})

    def overlooks(self, edit: Edit, known: MergeState) -> bool:
        """Whether the application wrote it without having seen another region's write that is in `known`."""
        newest = self.lattice.newest(known)
        if newest is None or known.knows(Rank(NEVER, self.region, edit.version, False)):
            return False
        if self.rule.items is not None or edit.after is None or edit.before is None or newest.dead:
            shown = self.lattice.shown(known)
            return newest.region != self.region and shown not in (edit.before, edit.after)
        seen = cells_of(edit.before, self.rule.parts)
        return any(
            name in known.cells
            and known.cells[name].rank.region != self.region
            and known.cells[name].value not in (seen.get(name), cell.value)
            for name, cell in edit.known.cells.items()
        )

    def _changed(self, before: Mapping[str, Typed], after: Mapping[str, Typed], rank: Rank) -> dict[Name, LWWRegister]:
        old, new = cells_of(before, self.rule.parts), cells_of(after, self.rule.parts)
        return {
            name: LWWRegister(rank, new.get(name)) for name in old.keys() | new.keys() if old.get(name) != new.get(name)
        }

    def _content(self, change: Change, image: Image | None) -> dict[str, Typed] | None:
        if image is None:
            return None
        return {name: typed for name, typed in self.marks.plain(image.raw).items() if name not in change.keys}

    def _time(self, content: Mapping[str, Typed]) -> Time:
        return NEVER if self.rule.by is None else _time(content.get(self.rule.by))

    def _rank(self, change: Change, before: Mapping[str, Typed] | None, after: Mapping[str, Typed] | None) -> Rank:
        dead = after is None
        stood = self.marks.read(change.old.raw) if change.old is not None else None
        if self.rule.by is None:
            last = stood.time if stood else None
            own = NEVER if change.origin is Origin.SNAPSHOT else tick(change.creation_time(), last)
            return Rank(own, self.region, change.version, dead)
        rank = Rank(_time((after or before or {}).get(self.rule.by)), self.region, change.version, dead)
        if dead and stood is not None:
            rank = stood._replace(dead=True)
        end = end_of(self.rule.unit, change.creation_time())
        return Rank(end, self.region, change.version, dead) if dead and self.win and end > rank.time else rank


def _time(typed: Typed | None) -> Time:
    return NEVER if typed is None else Time.of(decode(typed))


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
