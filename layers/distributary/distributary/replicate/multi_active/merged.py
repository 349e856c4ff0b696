"""A table that the application writes to in several regions, and whose items are merged.

Beside each region's table stands what is known of its items (`tables/knowledge`), a join semilattice; rows show it. An
application's write is learnt at home from its record alone, then taught to every other region; whoever made one grow
sees to its row afterwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import SUPERSEDED, Outcome
from distributary.consumer.parallel import Parallel
from distributary.consumer.per_item import per_item
from distributary.errors import Rejected
from distributary.replicate.multi_active.conflicts import Conflicts
from distributary.replicate.multi_active.edits import Edit, Edits
from distributary.replicate.multi_active.item_merge import ItemMerge
from distributary.replicate.multi_active.merge_table import MergeStateTable
from distributary.stream.change import Change
from distributary.stream.codec import Typed, for_client
from distributary.stream.keys import identity


@dataclass(frozen=True, slots=True)
class MergingBranch:
    """The function of the region `home`; `others` are all other regions, for nobody passes on what another wrote.

    Costs of an update: at home 1 write and 2 reads, in each other region 2 writes and 3 reads; an item's changes of a
    batch cost as much as one.
    """

    home: MergeStateTable
    others: tuple[MergeStateTable, ...]
    edits: Edits
    conflicts: Conflicts | None
    parallel: Parallel

    def reconcile(self, key: Mapping[str, Typed], deadline: Deadline) -> bool:
        """Every region learns what any of them knows of an item, and what its rows say that no function has learnt;
        whether anything was written. By the stream's second a row says nothing, unless nothing is known yet. Raises
        Rejected or Unavailable."""
        return self._exchange(key, deadline).reconcile()

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. An item's changes of a batch are one exchange."""
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
                exchange = self._exchange(changes[places[0]].keys.raw, deadline)
                return exchange.apply_edits([edits[place] for place in places])
            except Rejected as error:
                if len(places) == 1:
                    return [outcomes.parked(error)]
                return [end for place in places for end in one([place])]

        served = per_item(changes, edits, one, self.parallel, deadline)
        return [served.get(place, end) for place, end in enumerate(ends)]

    def _exchange(self, keys: Mapping[str, Typed], deadline: Deadline) -> ItemMerge:
        """Raises Rejected for a key that is none."""
        key = {name: for_client(typed, name) for name, typed in keys.items()}
        return ItemMerge(self.home, self.others, self.edits, self.conflicts, identity(keys), key, deadline)
