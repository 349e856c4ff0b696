"""What regions know of one item, exchanged: learnt at home, taught to the others, shown by every region's row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, SUPERSEDED, Outcome
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.replicate.multi_active.conflicts import Conflicts, Side
from distributary.replicate.multi_active.edits import Edit, Edits
from distributary.replicate.multi_active.lattice import MergeState
from distributary.replicate.multi_active.merge_table import MergeStateTable, Stored
from distributary.stream import canonical
from distributary.stream.codec import Typed, for_client

TRIES = 12
"""Of a conditional write that others are quicker than."""


@dataclass(slots=True)
class ItemMerge:
    """One item's turn. `id` names it among the items of its table."""

    home: MergeStateTable
    others: tuple[MergeStateTable, ...]
    rules: Edits
    conflicts: Conflicts | None
    id: str
    key: Mapping[str, Typed]
    deadline: Deadline
    wrote: bool = False

    def reconcile(self) -> bool:
        """See `MergingBranch.reconcile`."""
        rules, known, seen = self.rules, MergeState(), {}
        looks = [(site, *site.look(self.key, self.id)) for site in (self.home, *self.others)]
        untold = all(stored.revision is None for _, _, stored in looks)
        for site, row, stored in looks:
            known = rules.lattice.join(known, stored.known)
            if row is None or rules.marks.read(row) is not None or not (untold or rules.rule.by):
                continue
            content = {name: typed for name, typed in rules.marks.plain(row).items() if name not in self.key}
            if _digest(content) != stored.seen[1]:
                at = stored.seen[0] + 1
                known = rules.lattice.join(known, rules.found(site.region, row, content, stored.known, at))
                seen[site.region] = (at, _digest(content))
        for site, _, _ in looks:
            self._push(site, known, seen.get(site.region, (-1, "")))
        return self.wrote

    def apply_edits(self, edits: Sequence[Edit]) -> list[Outcome]:
        """An outcome per edit: the newest is applied if anything was written, anywhere. What cannot be shown is kept
        nowhere, or no later change of the item would come through."""
        stored = self._absorb(edits)
        errors = []
        for site in self.others:
            try:
                self._push(site, stored.known)
            except DistributaryError as error:
                errors.append(error)
        if errors:
            raise min(errors, key=lambda error: isinstance(error, Rejected))
        ends = [SUPERSEDED] * len(edits)
        if self.wrote:
            ends[max(range(len(edits)), key=lambda at: edits[at].version)] = APPLIED
        return ends

    def _absorb(self, edits: Sequence[Edit]) -> Stored:
        """What is known at home with these."""
        home, rules = self.home, self.rules
        for _ in range(TRIES):
            self.deadline.check()
            stored = home.read(self.id)
            known, seen = stored.known, stored.seen
            for edit in sorted(edits, key=lambda edit: edit.version):
                added = rules.after(edit, known)
                joined = rules.lattice.join(known, added)
                if rules.overlooks(edit, known):
                    self._clash(known, added, joined)
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

    def _push(self, site: MergeStateTable, known: MergeState, seen: tuple[int, str] = (-1, "")) -> None:
        lattice = self.rules.lattice
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
        self, site: MergeStateTable, row: Mapping[str, Typed] | None, stored: Stored, row_is_newer: bool = True
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

    def _wanted(self, known: MergeState) -> dict[str, Any] | None:
        """The row, canonical, with its mark."""
        rules = self.rules
        content, alive = rules.lattice.shown(known), rules.lattice.alive(known)
        if content is None or alive is None:
            return None
        plain = canonical.image(self.key) | content
        versions = known.versions if rules.rule.items is not None else {}
        return {**plain, rules.marks.attribute: {"S": rules.marks.text(plain, alive, versions)}}

    def _stands(
        self, site: MergeStateTable, row: Mapping[str, Typed] | None, wanted: Mapping[str, Typed] | None, stored: Stored
    ) -> bool:
        if row is None:
            return wanted is None
        rules = self.rules
        if rules.marks.read(row) is not None:
            return wanted is not None and row.get(rules.marks.attribute) == wanted[rules.marks.attribute]
        content = {name: typed for name, typed in rules.marks.plain(row).items() if name not in self.key}
        if _digest(content) != stored.seen[1]:
            return True
        alive = rules.lattice.alive(stored.known)
        own = alive is not None and alive.region == site.region
        return own and content == rules.lattice.shown(stored.known)

    def _replace(
        self,
        site: MergeStateTable,
        row: Mapping[str, Typed] | None,
        wanted: Mapping[str, Typed] | None,
        known: MergeState,
    ) -> bool:
        if wanted is not None:
            full = {name: for_client(typed, name) for name, typed in wanted.items()}
            return site.rows.put(self.key, full, row)
        assert row is not None
        marks = self.rules.marks
        stood = marks.read(row)
        if stood is None or not stood.dead:
            assert known.dead is not None
            marked = {**row, marks.attribute: {"S": marks.text(marks.plain(row), known.dead)}}
            if not site.rows.put(self.key, marked, row):
                return False
            row = marked
        return site.rows.delete(self.key, row)

    def _clash(self, a: MergeState, b: MergeState, winner: MergeState) -> None:
        if self.conflicts is not None:
            one, other, result = (self._side(known) for known in (a, b, winner))
            self.conflicts.record(self.id, self.key, (one, other), result)

    def _side(self, known: MergeState) -> Side:
        lattice = self.rules.lattice
        newest = lattice.newest(known)
        assert newest is not None
        return Side(newest.region, newest.time, newest.dead, lattice.shown(known))

    def _contended(self, site: MergeStateTable) -> Unavailable:
        return Unavailable(f"{site.region}: the item is written to faster than it can be merged")


def _digest(content: Mapping[str, Typed] | None) -> str:
    return "" if content is None else canonical.digest(content)
