"""A table that the application writes to in several regions, and whose items are merged.

Beside each region's table there is a table of merge states (see `crdt`); rows show them. For each item, a function
reads the merge state, merges its own region's edits into it, writes it on condition that it is as it was read, and does
the same in every other region. Whoever changed a merge state then brings its row in line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, NamedTuple

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, SUPERSEDED, Outcome
from distributary.consumer.parallel import Parallel
from distributary.consumer.per_item import Groups, per_item
from distributary.dynamodb.client import carry_out_apart
from distributary.dynamodb.steps import Aside, Steps, finish
from distributary.errors import DistributaryError, Rejected
from distributary.replicate.multi_active.conditional_rows import TRIES, Row, Rows, all_of
from distributary.replicate.multi_active.conflicts import Conflicts, Side
from distributary.replicate.multi_active.crdt import Lattice, MergeState
from distributary.replicate.multi_active.edits import Edit, Edits, Shown, behind
from distributary.replicate.multi_active.merge_table import MergedReplica, Stored
from distributary.stream import canonical
from distributary.stream.change import Change
from distributary.stream.codec import for_client
from distributary.stream.struct import Struct


@dataclass(frozen=True, slots=True)
class MergingBranch:
    """The function of the region that is first in `regions`. It writes to all of them, because no region passes on what
    another wrote.

    Costs of an update: 1 write and 2 reads in its own region, 2 writes and 3 reads in each other one; an item's changes
    of a batch cost as much as one.
    """

    regions: tuple[Rows, ...]
    edits: Edits
    conflicts: Conflicts
    parallel: Parallel

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. An item's changes of a batch are merged at once."""
        ends: list[Outcome] = [SUPERSEDED] * len(changes)
        edits: dict[int, Edit] = {}
        for place, change in enumerate(changes):
            try:
                edit = self.edits.edit(change)
                edits |= {place: edit} if edit else {}
            except Rejected as error:
                ends[place] = outcomes.parked(error)

        def one(places: list[int]) -> Steps[list[Outcome]]:
            try:
                item = self._item(changes[places[0]].keys.raw, deadline, [changes[place] for place in places])
                return (yield from item.apply([edits[place] for place in places]))
            except Rejected as error:
                if len(places) == 1:
                    return [outcomes.parked(error)]
            ends = []
            for place in places:
                ends += yield from one([place])
            return ends

        def merged(groups: Groups) -> list[list[Outcome] | DistributaryError]:
            clients = [rows.client for rows in self.regions]
            return carry_out_apart(clients, [one(places) for places in groups], self.parallel, deadline)

        served = per_item(changes, edits, merged)
        return [served.get(place, end) for place, end in enumerate(ends)]

    def reconcile(self, key: Row, deadline: Deadline, changes: Sequence[Change] = ()) -> bool:
        """Every region gets what any of them knows of an item, what these records of it tell, the oldest first, and
        what its rows show that no function has read; whether anything was written. By the stream's second a row shows
        nothing, unless nothing is known yet or a record of its region tells an earlier write. Raises Rejected or
        Unavailable."""
        return finish(self._item(key, deadline, changes).reconcile(changes))

    def _item(self, keys: Row, deadline: Deadline, changes: Sequence[Change]) -> "_Item":
        """Raises Rejected for a key that is none."""
        home, *others = (MergedReplica.of(rows, keys) for rows in self.regions)
        events = tuple(change.event_id for change in changes)
        return _Item(self, self.edits.lattice, home, tuple(others), deadline, events)


class Look(NamedTuple):
    """What a region has of an item: its row, its merge state, and whether the row was read last."""

    row: Row | None
    stored: Stored
    row_is_newer: bool = True


class _Item(Struct):
    """One item, in all regions; what reads or writes is steps. `events`: ids of its changes. `wrote`: whether anything
    was written, anywhere."""

    branch: MergingBranch
    lattice: Lattice
    home: MergedReplica
    others: tuple[MergedReplica, ...]
    deadline: Deadline
    events: tuple[str, ...]
    wrote: bool = False

    def apply(self, edits: Sequence[Edit]) -> Steps[list[Outcome]]:
        """An outcome per edit: the newest is applied if anything was written. What cannot be shown is not stored
        either, or no later change of the item would come through."""
        known = yield from self._absorb(sorted(edits, key=lambda edit: edit.position))
        yield from all_of(self.others, lambda site: self._push(site, known))
        ends = [SUPERSEDED] * len(edits)
        if self.wrote:
            ends[max(range(len(edits)), key=lambda at: edits[at].position)] = APPLIED
        return ends

    def reconcile(self, changes: Sequence[Change]) -> Steps[bool]:
        """See `MergingBranch.reconcile`."""
        told = yield from self._absorb_told(changes)
        join, rule = self.lattice.join, self.branch.edits.rule
        looks = {}
        for site in (self.home, *self.others):
            looks[site.region] = site, (yield from self._look(site))
        known = reduce(join, (seen.stored.known for _, seen in looks.values()))
        nothing = all(seen.stored.revision is None for _, seen in looks.values())
        for region, (site, seen) in looks.items():
            if rule.by or nothing or (told and site is self.home):
                seen = yield from self._read_row(site, known, seen)
                looks[region], known = (site, seen), join(known, seen.stored.known)
        return (yield from all_of(looks.values(), lambda each: self._push(each[0], known, each[1])))

    def _absorb_told(self, changes: Sequence[Change]) -> Steps[bool]:
        """Whether records tell what the application made here. If the item is gone, all of it was deleted since,
        whether a record says so or not. An item that the rule fails on, and that is another one by now, tells nothing.
        """
        told, here = False, (yield from self._look(self.home)) if changes else None
        for change in changes:
            try:
                edit = self.branch.edits.edit(change)
                known = (yield from self._absorb([edit])) if edit else MergeState()
                if edit and here is not None and self._is_gone(here, edit) and edit.after is not None:
                    yield from self._absorb([self.branch.edits.deletion(edit, known)])
                told |= edit is not None
            except Rejected:
                if change.new is None or (here is not None and self._is_gone(here)):
                    raise
        return told

    def _is_gone(self, here: Look, edit: Edit | None = None) -> bool:
        """Whether this region's application deleted what it wrote. A row tells no position, and by the stream's second
        no time: it may have been taken for an earlier one, which a delete covers. That may be why there is none."""
        deleted = self.lattice.deleted(here.stored.known)
        tied = edit is not None and deleted is not None and deleted.time == edit.at.time
        explained = tied if self.branch.edits.rule.by else deleted is not None
        return here.row is None and not explained

    def _look(self, site: MergedReplica) -> Steps[Look]:
        self.deadline.check()
        return Look(*(yield from site.look()))

    def _absorb(self, edits: Sequence[Edit]) -> Steps[MergeState]:
        """The merge state of this region with the edits."""
        for _ in range(TRIES):
            self.deadline.check()
            stored = yield from self.home.read()
            known = stored.known
            for edit in edits:
                known = yield from self._learned(known, edit)
            merged = yield from self._replace_state(self.home, Look(None, stored), known)
            if merged is not None:
                row = yield from self.home.rows.row(self.home.key)
                return (yield from self._settle(self.home, Look(row, merged.stored))).known
        raise self.home.rows.contended()

    def _learned(self, known: MergeState, edit: Edit) -> Steps[MergeState]:
        rules = self.branch.edits
        if rules.ties(edit, known):
            edit = rules.placed(edit, known, self._shown((yield from self.home.rows.row(self.home.key))))
        learned = rules.learned(edit, known)
        self.lattice.check(learned)
        if rules.overlooks(edit, known):
            yield self._record(known, rules.learned(edit, MergeState()), learned)
        return learned

    def _push(self, site: MergedReplica, known: MergeState, seen: Look | None = None) -> Steps[bool]:
        """Joins what is known into the merge state of a region, which is tried first as it was `seen`."""
        for attempt in range(TRIES):
            here = seen if seen and not attempt else (yield from self._look(site))
            stood = here.stored.known
            joined = self.lattice.join(stood, known)
            if joined != stood:
                self.lattice.check(joined)
                if self.lattice.clash(stood, known):
                    yield self._record(stood, known, joined)
            merged = yield from self._replace_state(site, here, joined)
            if merged is not None:
                yield from self._settle(site, merged)
                return self.wrote
        raise site.rows.contended()

    def _read_row(self, site: MergedReplica, known: MergeState, seen: Look) -> Steps[Look]:
        """A region's merge state with what its row shows. The row is read after the merge state that it is added to: an
        older row would bring back what is replaced."""
        if self._unread(site, self._shown(seen.row), seen.stored) is None:
            return seen
        stored = seen.stored
        for _ in range(TRIES):
            self.deadline.check()
            row = yield from site.rows.row(site.key)
            shown = self._unread(site, self._shown(row), stored)
            if shown is None:
                return Look(row, stored)
            position = behind(self.lattice.join(known, stored.known).versions.get(site.region, -1))
            found = self.branch.edits.found(site.region, shown, stored.known, position)
            self.lattice.check(found)
            merged = yield from self._replace_state(site, Look(row, stored), found)
            if merged is not None:
                return merged
            stored = yield from site.read()
        raise site.rows.contended()

    def _replace_state(self, site: MergedReplica, seen: Look, known: MergeState) -> Steps[Look | None]:
        """The look with this merge state, which is written if it is another one; None if what is stored has moved."""
        if known == seen.stored.known:
            return seen
        written = yield from site.replace(seen.stored, known)
        self.wrote |= written is not None
        return None if written is None else Look(seen.row, written, row_is_newer=False)

    def _settle(self, site: MergedReplica, seen: Look) -> Steps[Stored]:
        """Leaves the row as the merge state shows it, or as an application wrote it if no function has read that yet.

        A row is replaced only by a merge state that was read after it, or a function that is late would put back what a
        newer one has replaced. It is left alone only if it was read after the merge state, or what a late function put
        there meanwhile would stay.
        """
        for _ in range(TRIES):
            self.deadline.check()
            row, stored, row_is_newer = seen
            wanted = self._wanted(stored.known)
            settled = self._is_settled(site, row, wanted, stored)
            if settled and row_is_newer:
                return stored
            if settled:
                seen = Look((yield from site.rows.row(site.key)), stored)
            elif row_is_newer:
                seen = Look(row, (yield from site.read()), row_is_newer=False)
            else:
                if (yield from self._replace_row(site, row, wanted, stored.known)):
                    self.wrote = True
                    if (yield from site.read()).revision == stored.revision:
                        return stored
                seen = yield from self._look(site)
        raise site.rows.contended()

    def _wanted(self, known: MergeState) -> dict[str, Any] | None:
        """The row, canonical, with its mark."""
        content, alive = self.lattice.value(known), self.lattice.alive(known)
        if content is None or alive is None:
            return None
        plain, marks = canonical.image(self.home.key) | content, self.branch.edits.marks
        versions = known.versions if self.branch.edits.rule.items is not None else {}
        return {**plain, marks.attribute: {"S": marks.text(plain, alive, versions)}}

    def _shown(self, row: Row | None) -> Shown | None:
        return None if row is None else self.branch.edits.marks.shown(row, self.home.key)

    def _unread(self, site: MergedReplica, shown: Shown | None, stored: Stored) -> Shown | None:
        """What an application wrote into the row, if no function has read that."""
        if shown is None or shown.at is not None or stored.known.has_read(site.region, shown.digest):
            return None
        return shown

    def _is_settled(self, site: MergedReplica, row: Row | None, wanted: Row | None, stored: Stored) -> bool:
        shown, attribute = self._shown(row), self.branch.edits.marks.attribute
        if row is None or shown is None:
            return wanted is None
        if shown.at is not None:
            return wanted is not None and row[attribute] == wanted[attribute]
        if self._unread(site, shown, stored) is not None:
            return True
        alive = self.lattice.alive(stored.known)
        own = alive is not None and alive.region == site.region
        rest = (attribute, *self.home.key)
        return own and shown.content == {name: each for name, each in (wanted or {}).items() if name not in rest}

    def _replace_row(self, site: MergedReplica, row: Row | None, wanted: Row | None, known: MergeState) -> Steps[bool]:
        """Whether the row was replaced. One that is deleted is marked first: by the mark, its record shows that a
        replicator deleted it."""
        if wanted is not None:
            shows = {name: for_client(typed, name) for name, typed in wanted.items()}
            return (yield from site.rows.put(site.key, shows, row))
        shown, dead = self._shown(row), self.lattice.deleted(known)
        assert row is not None
        assert dead is not None
        if not (shown and shown.at and shown.at.dead):
            marks = self.branch.edits.marks
            marked = {**row, marks.attribute: {"S": marks.text(marks.plain(row), dead)}}
            if not (yield from site.rows.put(site.key, marked, row)):
                return False
            row = marked
        return (yield from site.rows.delete(site.key, row))

    def _record(self, a: MergeState, b: MergeState, winner: MergeState) -> Aside:
        one, other, result = (self._side(known) for known in (a, b, winner))
        return Aside(partial(self.branch.conflicts.record, self.home.key, (one, other), result, self.events))

    def _side(self, known: MergeState) -> Side:
        newest = self.lattice.newest(known)
        assert newest is not None
        return Side(newest.region, newest.time, newest.dead, self.lattice.value(known))
