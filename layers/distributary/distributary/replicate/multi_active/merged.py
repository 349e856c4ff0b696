"""A table that the application writes to in several regions, and whose items are merged.

Beside each region's table there is a table of merge states (see `crdt`); rows show them. For each item, a function
reads the merge state, merges its own region's edits into it, writes it on condition that it is as it was read, and does
the same in every other region. Whoever changed a merge state then brings its row in line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, SUPERSEDED, Outcome
from distributary.consumer.parallel import Parallel
from distributary.consumer.per_item import per_item
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.replicate.multi_active.conflicts import Conflicts, Side
from distributary.replicate.multi_active.crdt import MergeState
from distributary.replicate.multi_active.edits import Edit, Edits, digest_of
from distributary.replicate.multi_active.merge_table import MergeStateTable, Stored
from distributary.stream import canonical
from distributary.stream.change import Change
from distributary.stream.codec import Typed, for_client
from distributary.stream.keys import identity

TRIES = 12
"""Of a conditional write that other writers keep overtaking."""

Row = Mapping[str, Typed]


@dataclass(frozen=True, slots=True)
class MergingBranch:
    """The function of the region `home`. It writes to all `others`, because no region passes on what another wrote.

    Costs of an update: at home 1 write and 2 reads, in each other region 2 writes and 3 reads; an item's changes of a
    batch cost as much as one.
    """

    home: MergeStateTable
    others: tuple[MergeStateTable, ...]
    edits: Edits
    conflicts: Conflicts | None
    parallel: Parallel

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. An item's changes of a batch are merged at once."""
        ends: list[Outcome] = [SUPERSEDED] * len(changes)
        edits: dict[int, Edit] = {}
        for place, change in enumerate(changes):
            try:
                if not self.edits.replicated(change):
                    edits[place] = self.edits.edit(change)
            except Rejected as error:
                ends[place] = outcomes.parked(error)

        def one(places: list[int]) -> list[Outcome]:
            try:
                item = self._item(changes[places[0]].keys.raw, deadline)
                return item.apply([edits[place] for place in places])
            except Rejected as error:
                if len(places) == 1:
                    return [outcomes.parked(error)]
                return [end for place in places for end in one([place])]

        served = per_item(changes, edits, one, self.parallel, deadline)
        return [served.get(place, end) for place, end in enumerate(ends)]

    def reconcile(self, key: Row, deadline: Deadline) -> bool:
        """Every region gets what any of them knows of an item, and what its rows show that no function has read;
        whether anything was written. By the stream's second a row shows nothing, unless nothing is known yet. Raises
        Rejected or Unavailable."""
        return self._item(key, deadline).reconcile()

    def _item(self, keys: Row, deadline: Deadline) -> "_Item":
        """Raises Rejected for a key that is none."""
        key = {name: for_client(typed, name) for name, typed in keys.items()}
        return _Item(self.home, self.others, self.edits, self.conflicts, identity(keys), key, deadline)


@dataclass(slots=True)
class _Item:
    """One item, in all regions. `wrote`: whether anything was written, anywhere."""

    home: MergeStateTable
    others: tuple[MergeStateTable, ...]
    rules: Edits
    conflicts: Conflicts | None
    id: str
    key: Row
    deadline: Deadline
    wrote: bool = False

    def apply(self, edits: Sequence[Edit]) -> list[Outcome]:
        """An outcome per edit: the newest is applied if anything was written. What cannot be shown is not stored
        either, or no later change of the item would come through."""
        known = self._absorb(sorted(edits, key=lambda edit: edit.at.position))
        errors = []
        for site in self.others:
            try:
                self._push(site, known)
            except DistributaryError as error:
                errors.append(error)
        if errors:
            raise min(errors, key=lambda error: isinstance(error, Rejected))
        ends = [SUPERSEDED] * len(edits)
        if self.wrote:
            ends[max(range(len(edits)), key=lambda at: edits[at].at.position)] = APPLIED
        return ends

    def reconcile(self) -> bool:
        """See `MergingBranch.reconcile`."""
        looks = [(site, *site.look(self.key, self.id)) for site in (self.home, *self.others)]
        known = reduce(self.rules.lattice.join, (stored.known for _, _, stored in looks))
        new = all(stored.revision is None for _, _, stored in looks)
        for site, row, stored in looks:
            if (new or self.rules.rule.by) and self._unread(site, row, stored) is not None:
                known = self.rules.lattice.join(known, self._read_row(site, known, stored))
        for site, _, _ in looks:
            self._push(site, known)
        return self.wrote

    def _absorb(self, edits: Sequence[Edit]) -> MergeState:
        """The merge state at home with the edits."""
        for _ in range(TRIES):
            self.deadline.check()
            stored = self.home.read(self.id)
            known = reduce(self._learned, edits, stored.known)
            if known != stored.known:
                written = self.home.replace(self.id, stored, known)
                if written is None:
                    continue
                self.wrote, stored = True, written
            return self._settle(self.home, self.home.row(self.key), stored).known
        raise self._contended(self.home)

    def _learned(self, known: MergeState, edit: Edit) -> MergeState:
        learned = self.rules.learned(edit, known)
        self.rules.lattice.value(learned)
        if self.rules.overlooks(edit, known):
            self._record(known, self.rules.learned(edit, MergeState()), learned)
        return learned

    def _push(self, site: MergeStateTable, known: MergeState) -> None:
        """Joins what is known into the merge state of a region."""
        lattice = self.rules.lattice
        for _ in range(TRIES):
            self.deadline.check()
            row, stored = site.look(self.key, self.id)
            joined = lattice.join(stored.known, known)
            if joined == stored.known:
                self._settle(site, row, stored)
                return
            lattice.value(joined)
            if lattice.clash(stored.known, known):
                self._record(stored.known, known, joined)
            written = site.replace(self.id, stored, joined)
            if written is not None:
                self.wrote = True
                self._settle(site, row, written, row_is_newer=False)
                return
        raise self._contended(site)

    def _read_row(self, site: MergeStateTable, known: MergeState, stored: Stored) -> MergeState:
        """A region's merge state with what its row shows. The row is read after the merge state that it is added to: an
        older row would bring back what is replaced."""
        for _ in range(TRIES):
            self.deadline.check()
            row = site.row(self.key)
            content = self._unread(site, row, stored)
            if row is None or content is None:
                return stored.known
            at = self.rules.lattice.join(known, stored.known).versions.get(site.region, -1) + 1
            found = self.rules.found(site.region, row, content, stored.known, at)
            self.rules.lattice.value(found)
            written = site.replace(self.id, stored, found)
            if written is not None:
                self.wrote = True
                return found
            stored = site.read(self.id)
        raise self._contended(site)

    def _settle(self, site: MergeStateTable, row: Row | None, stored: Stored, row_is_newer: bool = True) -> Stored:
        """Leaves the row as the merge state shows it, or as an application wrote it if no function has read that yet.

        A row is replaced only by a merge state that was read after it, or a function that is late would put back what a
        newer one has replaced. It is left alone only if it was read after the merge state, or what a late function put
        there meanwhile would stay. `row_is_newer`: which of the two was read last.
        """
        for _ in range(TRIES):
            self.deadline.check()
            wanted = self._wanted(stored.known)
            stands = self._stands(site, row, wanted, stored)
            if stands and row_is_newer:
                return stored
            if stands:
                row, row_is_newer = site.row(self.key), True
            elif row_is_newer:
                stored, row_is_newer = site.read(self.id), False
            else:
                if self._replace(site, row, wanted, stored.known):
                    self.wrote = True
                    if site.read(self.id).revision == stored.revision:
                        return stored
                row, stored = site.look(self.key, self.id)
                row_is_newer = True
        raise self._contended(site)

    def _wanted(self, known: MergeState) -> dict[str, Any] | None:
        """The row, canonical, with its mark."""
        rules = self.rules
        content, alive = rules.lattice.value(known), rules.lattice.alive(known)
        if content is None or alive is None:
            return None
        plain = canonical.image(self.key) | content
        versions = known.versions if rules.rule.items is not None else {}
        return {**plain, rules.marks.attribute: {"S": rules.marks.text(plain, alive, versions)}}

    def _unread(self, site: MergeStateTable, row: Row | None, stored: Stored) -> Row | None:
        """The content of the row if an application wrote it and no function has read that."""
        if row is None or self.rules.marks.read(row) is not None:
            return None
        content = self._content(row)
        return None if stored.known.has_read(site.region, digest_of(content)) else content

    def _content(self, row: Row) -> Row:
        return {name: typed for name, typed in self.rules.marks.plain(row).items() if name not in self.key}

    def _stands(self, site: MergeStateTable, row: Row | None, wanted: Row | None, stored: Stored) -> bool:
        if row is None:
            return wanted is None
        marks, lattice = self.rules.marks, self.rules.lattice
        if marks.read(row) is not None:
            return wanted is not None and row.get(marks.attribute) == wanted[marks.attribute]
        if self._unread(site, row, stored) is not None:
            return True
        alive = lattice.alive(stored.known)
        own = alive is not None and alive.region == site.region
        return own and self._content(row) == lattice.value(stored.known)

    def _replace(self, site: MergeStateTable, row: Row | None, wanted: Row | None, known: MergeState) -> bool:
        """Whether the row was replaced. One that is deleted is marked first: by the mark, its record shows that a
        replicator deleted it."""
        if wanted is not None:
            return site.rows.put(self.key, {name: for_client(typed, name) for name, typed in wanted.items()}, row)
        assert row is not None
        marks = self.rules.marks
        stood = marks.read(row)
        if stood is None or not stood.dead:
            dead = self.rules.lattice.deleted(known)
            assert dead is not None
            marked = {**row, marks.attribute: {"S": marks.text(marks.plain(row), dead)}}
            if not site.rows.put(self.key, marked, row):
                return False
            row = marked
        return site.rows.delete(self.key, row)

    def _record(self, a: MergeState, b: MergeState, winner: MergeState) -> None:
        if self.conflicts is not None:
            one, other, result = (self._side(known) for known in (a, b, winner))
            self.conflicts.record(self.id, self.key, (one, other), result)

    def _side(self, known: MergeState) -> Side:
        lattice = self.rules.lattice
        newest = lattice.newest(known)
        assert newest is not None
        return Side(newest.region, newest.time, newest.dead, lattice.value(known))

    def _contended(self, site: MergeStateTable) -> Unavailable:
        return Unavailable(f"{site.region}: the item is written to faster than it can be merged")
