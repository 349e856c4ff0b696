"""Another region's table: every item of the source, under the same key, with the same types."""

from collections.abc import Sequence
from dataclasses import dataclass

from distributary import outcome as outcomes
from distributary.change import Change
from distributary.codec import for_client
from distributary.deadline import Deadline
from distributary.errors import Rejected
from distributary.keys import bounded, identity
from distributary.outcome import Outcome
from distributary.tables.register import Register, Write

TOMBSTONE_ID_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Mirror:
    """One way: what stands in the source stands in the replica, plus the version attribute."""

    register: Register
    name: str

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`."""
        ends: list[Outcome | None] = [None] * len(changes)
        writes, owners = [], []
        for place, change in enumerate(changes):
            try:
                writes.append(self.plan(change))
                owners.append(place)
            except Rejected as error:
                ends[place] = outcomes.parked(error)
        for owner, end in zip(owners, self.register.write(writes, deadline), strict=True):
            ends[owner] = end
        return [end for end in ends if end is not None]

    def plan(self, change: Change) -> Write:
        """The replica's row as the change leaves it. Raises Rejected for an image that is no DynamoDB item."""
        key = {name: for_client(typed, name) for name, typed in change.keys.raw.items()}
        row = None if change.new is None else {name: for_client(typed, name) for name, typed in change.new.raw.items()}
        return Write(bounded(f"{self.name}|{identity(change.keys.raw)}", TOMBSTONE_ID_BYTES), key, row, change.version)
