"""What an item is, as far as regions must agree on it: states in one total order, of which the greatest wins.

The greatest of a set is the same whatever order it is taken in, and however often: so all regions that have seen the
same states hold the same one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from distributary.errors import Rejected
from distributary.stream import canonical
from distributary.stream import version as versions
from distributary.stream.codec import Typed, Value, decode, encode

UNKNOWN = versions.GENERATIONS * versions.POSITIONS
"""The position of a row that an application wrote, as it is read in its own region: after all that are known there."""

LEAST = 0
"""The position of such a row once a repair has copied it to another region: the row's own record, and every later edit
of its region with the same time, win over the copy."""


class Time(NamedTuple):
    """When, in the application's own terms: nothing (0) comes before numbers (1), and these before text (2)."""

    kind: int
    value: Decimal | str

    @classmethod
    def of(cls, value: Value) -> "Time":
        """Of an attribute's value; what is neither a number nor text is no time."""
        match value:
            case Decimal():
                return cls(1, value)
            case str():
                return cls(2, value)
        return NEVER


NEVER = Time(0, "")
_INSTANT = Decimal("0.000001")


def tick(second: float, last: Time | None) -> Time:
    """The time of an edit that its record puts into this second, and that replaced one of `last`: later than that."""
    now = Time.of(Decimal(int(second)))
    if last is None or last < now or not isinstance(last.value, Decimal):
        return now
    return Time.of(last.value + _INSTANT)


def end_of(unit: str | None, second: float) -> Time:
    """The first moment after this second (since the epoch), as the application would write it."""
    after = int(second) + 1
    if unit == "text":
        return Time.of(datetime.fromtimestamp(after, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    return Time.of(Decimal(after) * (1000 if unit == "milliseconds" else 1))


@dataclass(frozen=True, slots=True)
class State:
    """A state of one item: how it came to be (`time`, `region` with its `rank`, `position` in that region's stream),
    what it is (`digest` of `item`, DynamoDB JSON without the replication attribute), and whether it is deleted.

    A deletion stands right after the state that was deleted, and keeps its digest. `stamped`: the row said all this
    itself, a replicator wrote it; else the application did, in the table's own region. Only the record of an edit tells
    its position; what else is known of it (`certain` is False) is that nothing of its region lies between the two.
    """

    time: Time
    rank: int
    position: int
    digest: str
    deleted: bool
    region: str = field(compare=False)
    item: Mapping[str, Typed] | None = field(compare=False, default=None)
    stamped: bool = field(compare=False, default=False)
    certain: bool = field(compare=False, default=True)

    @property
    def order(self) -> tuple:
        """What states are compared by."""
        return self.time, self.rank, self.position, self.digest, self.deleted

    def outranks(self, other: "State | None") -> bool:
        """Whether it wins over the other, or there is none."""
        if other is None:
            return True
        if not (self.certain and other.certain) and self._edit == other._edit:
            return self.deleted and not other.deleted
        return self.order > other.order

    @property
    def _edit(self) -> tuple:
        return self.time, self.rank, self.digest

    def deletion(self, time: Time | None = None) -> "State":
        """Of this state, and of all that come before `time` if that is later."""
        mine = replace(self, deleted=True, item=None, stamped=True, certain=self.certain or not self.stamped)
        return mine if time is None or time <= self.time else replace(mine, time=time, position=0, digest="")


def join(one: State | None, other: State | None) -> State | None:
    """The greater one; None is less than all."""
    if one is None or other is None:
        return one or other
    return one if one.order >= other.order else other


def stamp(state: State) -> dict[str, Typed]:
    """What a replicator writes beside an item, or as its tombstone."""
    time = None if state.time == NEVER else state.time.value
    position = {"version" if state.certain else "before": {"S": versions.to_text(state.position)}}
    return {"time": encode(time), "region": {"S": state.region}, **position, "digest": {"S": state.digest}}


def read_stamp(found: Mapping[str, Typed], regions: tuple[str, ...], deleted: bool) -> State:
    """What `stamp` wrote. Raises one of MALFORMED for anything else."""
    region, certain = found["region"]["S"], "version" in found
    position = versions.from_text(found["version" if certain else "before"]["S"])
    position = LEAST if position == UNKNOWN else position
    time, digest = Time.of(decode(found["time"])), found["digest"]["S"]
    return State(time, rank(region, regions), position, digest, deleted, region, stamped=True, certain=certain)


def rank(region: str, regions: tuple[str, ...]) -> int:
    """Ties go to the region that is named first; one that is no longer named loses to all."""
    return len(regions) - regions.index(region) if region in regions else 0


def digest_of(item: Mapping[str, Typed]) -> str:
    """128 bits of an item's content, the same for a Lambda event's spelling and boto3's. Raises Rejected."""
    return canonical.digest(canonical.image(item))


MALFORMED = (LookupError, TypeError, ValueError, AttributeError, Rejected)
"""What reading a stamp raises that none of ours wrote."""
