"""Wrong rows repaired by the Register, each on condition that it is as it was looked at: the stream's writes win.

- A stale row is put again at the version that it has, with a random revision: a snapshot's version would lose against
  the row's own, and a higher one could win over a change that is under way. Any newer change wins.
- A missing row is put as a snapshot, or at its tombstone's version if there is one. A newer delete takes it back.
- A dead row goes as by a delete just newer than it, so that nothing as old as the row comes back. An insert newer than
  the row wins over it.
- A frozen row (its version is no version, so no change would win over it) is put again as a snapshot. A row whose
  version is of a later generation is left: then this run was given the wrong one.

Afterwards both sides are looked at again, and what moved meanwhile is repaired again. What remains: a change that is
newer than the row, older than the item as it is now, and comes late (a redrive) overwrites a repaired row, if the
change that made the item as it is now never comes. So redrive what is parked first, then repair.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from distributary.consumer.deadline import FOREVER
from distributary.dynamodb.versioned_table import Register
from distributary.replicate.verify.comparison import Comparator, Finding, later_generation

TRIES = 3
"""A row that moves under its repair is repaired so often."""

Look = Callable[[], Finding | None]
"""A new look at both sides of one item; None if they agree."""


class Repairs(Protocol):
    """What repairs a finding."""

    def write(self, finding: Finding, look: Look, /) -> bool:
        """Repairs what a new `look` finds. Whether something was written. Raises Unavailable or Rejected."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Writes as the mirror writes. `generation` is the function's."""

    register: Register
    generation: int

    def write(self, finding: Finding, look: Look, /) -> bool:
        """Whether something was written; False if it was overtaken, or is not to be touched. Raises Unavailable, and
        Rejected for a row that the table refuses."""
        id = finding.write.id
        tombstone = self.register.tombstones.find([id], FOREVER).get(id, "")
        found = look()
        if found is None or later_generation(found.row, self.generation, self.register.version_attribute):
            return False
        return self.register.repair(found.write, found.row or {}, tombstone)


def repaired(eye: Comparator, repair: Repairs, finding: Finding) -> bool:
    """Whether both sides agree after the repair. What moved meanwhile is judged, and repaired, anew."""

    def look() -> Finding | None:
        return next(iter(eye.again([finding.keys]).findings), None)

    for _ in range(TRIES):
        repair.write(finding, look)
        if look() is None:
            return True
    return False
