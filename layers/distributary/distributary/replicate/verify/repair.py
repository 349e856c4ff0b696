"""Wrong rows set right, each on condition that it is as it was looked at: what the stream writes meanwhile wins.

- A stale row is put again at the version that it has, on condition that all of it is as seen: a snapshot's version
  would lose against the row's own, and a higher one could win over a change that is under way. Any newer one wins.
- A missing row is put as a snapshot, or at its tombstone's version if there is one, by the Register: a newer delete
  takes it back.
- A dead row goes as by a delete just newer than it: the tombstone first, so that nothing as old as the row comes back,
  then the row, if it is as seen. An insert newer than the row wins over both.
- A frozen row (its version is no version, so no change would win over it) is put again as a snapshot. A row whose
  version is of a later generation is left: then this run was given the wrong one.

Afterwards both sides are looked at again, and what moved meanwhile is set right again. What remains: a change that is
newer than the row, older than the item as it stands, and comes late (a redrive) overwrites a repaired row, if the
change that made the item as it stands never comes. So redrive what is parked first, then repair.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import Status
from distributary.dynamodb.versioned_table import Register, Write
from distributary.errors import Rejected, Unavailable
from distributary.replicate.multi_active.conditional_rows import Rows
from distributary.replicate.verify.comparison import Comparator, Finding, version_of
from distributary.replicate.verify.equality import Row
from distributary.stream import version as versions

TRIES = 3
"""A row that moves under its repair is repaired so often."""


class Mending(Protocol):
    """What sets a finding right."""

    def write(self, finding: Finding) -> bool:
        """Whether something was written. Raises Unavailable or Rejected."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Writes as the mirror writes. `generation` is the function's."""

    register: Register
    generation: int

    def write(self, finding: Finding) -> bool:
        """Whether something was written; False if it was overtaken, or is not to be touched. Raises Unavailable, and
        Rejected for a row that the table refuses."""
        if finding.row is None:
            return self._missing(finding.write)
        version = self._version(finding.row)
        if version is None:
            return False
        if finding.write.row is None:
            return self._dead(finding.write, finding.row, version)
        item = {**finding.write.row, self._attribute: {"S": versions.to_text(version)}}
        return self._rows.put(finding.keys, item, finding.row)

    @property
    def _rows(self) -> Rows:
        return Rows(self.register.client, "replica", self.register.table, self._attribute)

    @property
    def _attribute(self) -> str:
        return self.register.version_attribute

    def _missing(self, write: Write) -> bool:
        entombed = self.register.tombstones.find([write.id], FOREVER).get(write.id, 0)
        (end,) = self.register.write([replace(write, version=max(write.version, entombed))], FOREVER)
        if end.status in (Status.FAILED, Status.PARKED):
            raise (Unavailable if end.status is Status.FAILED else Rejected)(end.cause, end.detail)
        return end.status is Status.APPLIED

    def _dead(self, write: Write, row: Row, version: int) -> bool:
        self.register.tombstones.put_tombstone(write.id, version + 1 if self._attribute in row else version)
        return self._rows.delete(write.key, row)

    def _version(self, row: Row) -> int | None:
        """Which version the row is written at; None if it is of a later generation."""
        if (standing := version_of(row, self.generation, self._attribute)) is not None:
            return standing
        if version_of(row, versions.GENERATIONS - 1, self._attribute) is not None:
            return None
        return versions.of(self.generation, versions.SNAPSHOT_POSITION)


def mended(eye: Comparator, repair: Mending, finding: Finding) -> bool:
    """Whether both sides agree after the repair. What moved meanwhile is judged, and repaired, anew."""
    for _ in range(TRIES):
        repair.write(finding)
        left = eye.again([finding.keys]).findings
        if not left:
            return True
        (finding,) = left
    return False
