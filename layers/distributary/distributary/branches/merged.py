"""A table that the application writes to in several regions, and whose items are merged.

Beside each region's table stands what is known of its items (`tables/knowledge`), a join semilattice; rows show it. An
application's write is learnt at home from its record alone, then taught to every other region; whoever made one grow
sees to its row afterwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distributary import canonical
from distributary import outcome as outcomes
from distributary.change import Change
from distributary.codec import Typed, for_client
from distributary.conflicts import Conflicts, Side
from distributary.deadline import Deadline
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.keys import identity
from distributary.merging.edits import Edit, Edits
from distributary.merging.lattice import Known
from distributary.outcome import APPLIED, SUPERSEDED, Outcome
from distributary.parallel import Parallel
from distributary.tables.knowledge import Knowledge, Stored

TRIES = 12
"""Of a conditional write that others are quicker than."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The function of the region `home`; `others` are all other regions, for nobody passes on what another wrote.

    Costs of an update: at home 1 write and 2 reads, in each other region 2 writes and 3 reads; an item's changes of a
    batch cost as much as one.
    """

    home: Knowledge
    others: tuple[Knowledge, ...]
    edits: Edits
    conflicts: Conflicts | None
    parallel: Parallel

    def reconcile(self, key: Mapping[str, Typed], deadline: Deadline) -> bool:
        """Every region learns what any of them knows of an item; whether anything was written. If none knows anything
        yet, the rows are taken for what was written there; else what no function has learnt is left to that of its own
        region. Raises Rejected or Unavailable."""
        return _Exchange.of(self, key, deadline).level()

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. An item's changes of a batch are one exchange."""
        ends: list[Outcome] = [SUPERSEDED] * len(changes)
        edits: dict[int, Edit] = {}
        items: dict[str, list[int]] = {}
        for place, change in enumerate(changes):
            try:
                if not self.edits.replicated(change):
                    edits[place] = self.edits.edit(change)
                    items.setdefault(identity(change.keys.raw), []).append(place)
            except Rejected as error:
                ends[place] = outcomes.parked(error)

        def one(places: list[int]) -> list[Outcome]:
            try:
                exchange = _Exchange.of(self, changes[places[0]].keys.raw, deadline)
                return exchange.serve([edits[place] for place in places])
            except Rejected as error:
                if len(places) == 1:
                    return [outcomes.parked(error)]
                return [end for place in places for end in one([place])]

        for places, result in zip(items.values(), self.parallel.run(one, items.values(), deadline), strict=True):
            each = result if isinstance(result, list) else [outcomes.failed(result)] * len(places)
            for place, end in zip(places, each, strict=True):
                ends[place] = end
        return ends


@dataclass(slots=True)
class _Exchange:
    """One item's turn."""

    branch: Merged
    id: str
    key: Mapping[str, Typed]
    deadline: Deadline
    wrote: bool = False

    @classmethod
    def of(cls, branch: Merged, keys: Mapping[str, Typed], deadline: Deadline) -> "_Exchange":
        """Raises Rejected for a key that is none."""
        key = {name: for_client(typed, name) for name, typed in keys.items()}
        return cls(branch, identity(keys), key, deadline)

    def level(self) -> bool:
        """See `Merged.reconcile`."""
        rules, known, seen = self.branch.edits, Known(), {}
        looks = [(site, *site.look(self.key, self.id)) for site in (self.branch.home, *self.branch.others)]
        fresh = all(stored.revision is None for _, _, stored in looks)
        for site, row, stored in looks:
            known = rules.lattice.join(known, stored.known)
            if fresh and row is not None:
                content = {name: typed for name, typed in rules.marks.plain(row).items() if name not in self.key}
                known = rules.lattice.join(known, rules.found(site.region, content))
                seen[site.region] = (0, _digest(content))
        for site, _, _ in looks:
            self._teach(site, known, seen.get(site.region, (-1, "")))
        return self.wrote

    def serve(self, edits: Sequence[Edit]) -> list[Outcome]:
        """An outcome per edit: the newest is applied if anything was written, anywhere. What cannot be shown is kept
        nowhere, or no later change of the item would come through."""
        stored = self._learn(edits)
        errors = []
        for site in self.branch.others:
            try:
                self._teach(site, stored.known)
            except DistributaryError as error:
                errors.append(error)
        if errors:
            raise min(errors, key=lambda error: isinstance(error, Rejected))
        ends = [SUPERSEDED] * len(edits)
        if self.wrote:
            ends[max(range(len(edits)), key=lambda at: edits[at].version)] = APPLIED
        return ends

    def _learn(self, edits: Sequence[Edit]) -> Stored:
        """What is known at home with these."""
        home, rules = self.branch.home, self.branch.edits
        for _ in range(TRIES):
            self.deadline.check()
            stored = home.read(self.id)
            known, seen = stored.known, stored.seen
            for edit in edits:
                joined = rules.lattice.join(known, edit.known)
                if rules.overlooks(edit, known):
                    self._clash(known, edit.known, joined)
                known = joined
                seen = max(seen, (edit.version, _digest(edit.after)))
            rules.lattice.shown(known)
            if (known, seen) != (stored.known, stored.seen):
                written = home.replace(self.id, stored, known, seen)
                if written is None:
                    continue
                self.wrote, stored = True, written
            return self._settle(home, home.rows.read(home.rows.table, self.key), stored)
        raise self._contended(home)

    def _teach(self, site: Knowledge, known: Known, seen: tuple[int, str] = (-1, "")) -> None:
        lattice = self.branch.edits.lattice
        for _ in range(TRIES):
            self.deadline.check()
            row, stored = site.look(self.key, self.id)
            joined = lattice.join(stored.known, known)
            if joined != stored.known:
                lattice.shown(joined)
                if lattice.clash(stored.known, known):
                    self._clash(stored.known, known, joined)
                written = site.replace(self.id, stored, joined, max(stored.seen, seen))
                if written is None:
                    continue
                self.wrote = True
                self._settle(site, row, written, row_is_newer=False)
            else:
                self._settle(site, row, stored)
            return
        raise self._contended(site)

    def _settle(
        self, site: Knowledge, row: Mapping[str, Typed] | None, stored: Stored, row_is_newer: bool = True
    ) -> Stored:
        """Sees to it that the row shows what is known, or a newer write of an application that nobody has learnt yet.

        A row is only replaced by what was known after it was read, or a function that is late would put back what a
        newer one has written; and only left alone if it was read after that was known, or what a late function put
        there meanwhile would stay. `row_is_newer`: which of the two was read last.
        """
        for _ in range(TRIES):
            self.deadline.check()
            wanted = self._wanted(stored.known)
            stands = self._stands(site, row, wanted, stored)
            if stands and row_is_newer:
                return stored
            if stands:
                row, row_is_newer = site.rows.read(site.rows.table, self.key), True
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

    def _wanted(self, known: Known) -> dict[str, Any] | None:
        """The row, canonical, with its mark."""
        rules = self.branch.edits
        content, alive = rules.lattice.shown(known), rules.lattice.alive(known)
        if content is None or alive is None:
            return None
        plain = canonical.image(self.key) | content
        versions = known.versions if rules.rule.items is not None else {}
        return {**plain, rules.marks.attribute: {"S": rules.marks.text(plain, alive, versions)}}

    def _stands(
        self, site: Knowledge, row: Mapping[str, Typed] | None, wanted: Mapping[str, Typed] | None, stored: Stored
    ) -> bool:
        if row is None:
            return wanted is None
        rules = self.branch.edits
        if rules.marks.read(row) is not None:
            return wanted is not None and row.get(rules.marks.attribute) == wanted[rules.marks.attribute]
        content = {name: typed for name, typed in rules.marks.plain(row).items() if name not in self.key}
        if _digest(content) != stored.seen[1]:
            return True
        alive = rules.lattice.alive(stored.known)
        own = alive is not None and alive.region == site.region
        return own and content == rules.lattice.shown(stored.known)

    def _replace(
        self, site: Knowledge, row: Mapping[str, Typed] | None, wanted: Mapping[str, Typed] | None, known: Known
    ) -> bool:
        if wanted is not None:
            full = {name: for_client(typed, name) for name, typed in wanted.items()}
            return site.rows.put(self.key, full, row)
        assert row is not None
        marks = self.branch.edits.marks
        stood = marks.read(row)
        if stood is None or not stood.dead:
            assert known.dead is not None
            marked = {**row, marks.attribute: {"S": marks.text(marks.plain(row), known.dead)}}
            if not site.rows.put(self.key, marked, row):
                return False
            row = marked
        return site.rows.delete(self.key, row)

    def _clash(self, a: Known, b: Known, winner: Known) -> None:
        if self.branch.conflicts is not None:
            one, other, result = (self._side(known) for known in (a, b, winner))
            self.branch.conflicts.record(self.id, self.key, (one, other), result)

    def _side(self, known: Known) -> Side:
        lattice = self.branch.edits.lattice
        newest = lattice.newest(known)
        assert newest is not None
        return Side(newest.region, newest.time, newest.dead, lattice.shown(known))

    def _contended(self, site: Knowledge) -> Unavailable:
        return Unavailable(f"{site.region}: the item is written to faster than it can be merged")


def _digest(content: Mapping[str, Typed] | None) -> str:
    return "" if content is None else canonical.digest(content)
