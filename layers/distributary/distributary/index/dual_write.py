"""Two generations of one branch, written side by side while readers move from the one to the other."""

from collections.abc import Sequence

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome
from distributary.index.branch import IndexBranch
from distributary.stream.change import Change
from distributary.stream.struct import Struct


class DualWrite(Struct, frozen=True):
    """`current` gets half of the time that is left, so that `next` has its turn."""

    current: IndexBranch
    next: IndexBranch

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. A change is done when both are done with it; if either fails, it is delivered again."""
        first = self.current.apply(changes, deadline.share(2))
        second = self.next.apply(changes, deadline)
        return [outcomes.combine(ends) for ends in zip(first, second, strict=True)]
