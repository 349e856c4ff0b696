"""Items of several regions set right by a command, from what all regions hold now and what records of changes tell.

What a delete has seen decides what it deletes, and a region that no longer has the item cannot show it. So, unlike
other branches, these take the records of the changes that were given up. They tell what was written, never what is
right now: an edit whose item is gone was deleted since, and of all that is known the rule takes what comes last.
tests/unit/test_regions_reconcile_model.py enumerates the orders, `tests/scheduler` plays them with the code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, SUPERSEDED, Outcome
from distributary.consumer.reconcile import Reconcile
from distributary.dynamodb.read_budget import Metered, Pace
from distributary.errors import Rejected
from distributary.replicate.multi_active.conditional_rows import Rows
from distributary.replicate.multi_active.merged import MergingBranch
from distributary.replicate.multi_active.whole_items import MultiActiveBranch
from distributary.replicate.reconcile import LATER
from distributary.stream import records as stream_records
from distributary.stream import version as versions
from distributary.stream.change import Change
from distributary.stream.keys import identity

NO_RECORD = outcomes.parked(Rejected("an item of several regions: give the change's record beside its version"))
"""What an entry ends as that stands for a change, but does not say what it was."""

OTHER_RECORD = "the record is not that of this key and version: give it as the stream delivered it"

UNTIMED = outcomes.parked(
    Rejected("the row does not say when it was written, and its record has not come: edit the item once more")
)
"""What an item ends as that was written by the stream's second alone, if no record tells it."""


class MeteredItems(Metered, frozen=True):
    """See `ItemClient`. Reads of one item wait as well; writes do not."""

    def get_item(self, **arguments: Any) -> Mapping[str, Any]:
        """Raises Unavailable as `Pace.wait`."""
        return self.read(self.client.get_item, arguments)

    def put_item(self, **arguments: Any) -> Mapping[str, Any]:
        """As it is."""
        return self.client.put_item(**arguments)

    def delete_item(self, **arguments: Any) -> Mapping[str, Any]:
        """As it is."""
        return self.client.delete_item(**arguments)


@dataclass(frozen=True, slots=True)
class RegionsReconciler:
    """Sets items right in all regions, each region's tables at their own pace."""

    branch: MultiActiveBranch | MergingBranch
    paces: Mapping[str, Pace]
    generation: int

    def __call__(self, requests: Sequence[Reconcile], deadline: Deadline) -> list[Outcome]:
        """See `consumer.reconcile.Reconciler`. All requests for one item end alike."""
        by_item: dict[str, list[Reconcile]] = {}
        for each in requests:
            by_item.setdefault(identity(each.keys), []).append(each)
        paced = (replace(rows, client=self._metered(rows, deadline)) for rows in self.branch.regions)
        branch = replace(self.branch, regions=tuple(paced))

        def one(asked: Sequence[Reconcile]) -> Outcome:
            if any(each.version and each.record is None for each in asked):
                return NO_RECORD
            if any(versions.generation_of(each.version) > self.generation for each in asked):
                return LATER
            told = sorted((each for each in asked if each.record is not None), key=lambda each: each.version)
            wrote = branch.reconcile(asked[0].keys, deadline, [_change(each) for each in told])
            return UNTIMED if wrote is None else APPLIED if wrote else SUPERSEDED

        ends = branch.parallel.run(one, by_item.values(), deadline)
        by_name = {name: outcomes.of(end) for name, end in zip(by_item, ends, strict=True)}
        return [by_name[identity(each.keys)] for each in requests]

    def _metered(self, rows: Rows, deadline: Deadline) -> MeteredItems:
        return MeteredItems(rows.client, self.paces[rows.region], deadline)


def _change(asked: Reconcile) -> Change:
    """Raises Rejected for a record that is none, or of something else."""
    generation = versions.generation_of(asked.version)
    (found,) = stream_records.decode({"Records": [asked.record]}, generation)
    if not isinstance(found, Change):
        raise Rejected(found.cause)
    if identity(found.keys.raw) != identity(asked.keys) or found.version != asked.version:
        raise Rejected(OTHER_RECORD)
    return found
