"""Two changes of one item at one moment: which came last, only the item says."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import TIED, Outcome, Status
from distributary.consumer.reconcile import Reconcile, Reconciler
from distributary.errors import DistributaryError, Unavailable
from distributary.stream.change import Change, Kind
from distributary.stream.keys import table_of
from distributary.stream.struct import Struct


class Settling(Struct, frozen=True):
    """A state branch whose ties are settled by reconciling the items. See `consume.Branch`.

    Of the changes of an item at one moment, the first to arrive is written, and each other meets its version: it is
    `TIED`. Both were made by then, so the item is at least as new as the later of them when it is read.
    """

    branch: Any
    reconciler: Reconciler

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`."""
        ends: list[Outcome] = self.branch.apply(changes, deadline)
        by_table = defaultdict[str, list[int]](list)
        for place, end in enumerate(ends):
            if end.metric == TIED.metric and end.status is not Status.FAILED:
                by_table[table_of(changes[place].source)].append(place)
        for table, places in by_table.items():
            asked = [_asked(changes[place], table) for place in places]
            for place, end in zip(places, self._reconciled(asked, deadline), strict=True):
                ends[place] = outcomes.combine([ends[place], end])
        return ends

    def _reconciled(self, asked: Sequence[Reconcile], deadline: Deadline) -> list[Outcome]:
        """What cannot be reconciled now comes again, also where the settings are to blame."""
        try:
            return self.reconciler(asked, deadline)
        except DistributaryError as error:
            return [outcomes.failed(Unavailable(f"two changes of one moment: {error}", error.detail))] * len(asked)


def settling(branch: Any, reconciler: Reconciler | None) -> Any:
    """The branch, with its ties settled if it can reconcile items."""
    return branch if reconciler is None else Settling(branch, reconciler)


def _asked(change: Change, table: str) -> Reconcile:
    """If the item is gone, its delete was one by TTL only if this change is that: where another was, its own record
    brings what is kept."""
    gone = change.kind is Kind.REMOVE and change.expired
    return Reconcile(change.keys.raw, change.version, not gone, gone, record=change.record, table=table)
