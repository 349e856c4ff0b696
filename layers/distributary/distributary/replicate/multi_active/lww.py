"""The CRDT behind whole items: a last-writer-wins register of an item's states, and the stamps in which rows keep them.

A tombstone is a state too: deleting an item is writing that it is deleted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from distributary.errors import Rejected
from distributary.replicate.declarations import Rule
from distributary.replicate.multi_active.crdt import Time, rank
from distributary.stream import canonical
from distributary.stream import version as versions
from distributary.stream.change import Image
from distributary.stream.codec import Typed, decode

UNKNOWN = versions.GENERATIONS * versions.POSITIONS
"""The position of a row that an application wrote, as it is read in its own region: after all that are known there."""

LEAST = 0
"""The position of such a row once a repair has copied it to another region: the row's own record, and every later edit
of its region with the same time, win over the copy."""

_UNKNOWN = versions.to_text(UNKNOWN)
"""Release 0.1 wrote this for such a copy. It is longer than any other position, so only the text shows what it is."""


@dataclass(frozen=True, slots=True)
class State:
    """A state of one item: how it came to be (`time`, `region` with its `rank`, `position` in that region's stream),
    what it is (`digest` of `item`, DynamoDB JSON without the replicator's attribute), and whether it is deleted.

    A deletion comes right after the state that was deleted, and keeps its digest. `stamped`: the row said all this
    itself, a replicator wrote it; else the application did, in the table's own region. Only the record of an edit tells
    its position; what else is known of it (`certain` is False) is that nothing of its region lies between the two.
    `tie`: how many edits of its region at that very position it is known to come after: see `moments`.
    `by`: the region in which the application deleted it, if that is another one. `leaving`: a replicator deletes the
    row, and has said so in it: see `Replica.delete_if_older`.
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
    by: str = field(compare=False, default="")
    leaving: bool = field(compare=False, default=False)
    tie: int = 0

    @property
    def order(self) -> tuple:
        """What states are compared by; the join of two is the greater one."""
        return self.time, self.rank, self.position, self.tie, self.digest, self.deleted

    @property
    def place(self) -> tuple[int, int]:
        """In its region's stream."""
        return self.position, self.tie

    def shares_moment(self, other: "State | None") -> bool:
        """Whether the other is another state of this one's region, time and position, which is a moment: neither their
        positions nor their content tell which came last. Of two deletions it does not matter."""
        if other is None or not versions.is_time(self.position) or (self.deleted and other.deleted):
            return False
        here, there = ((each.time, each.rank, each.position) for each in (self, other))
        return here == there and (self.digest, self.deleted) != (other.digest, other.deleted)

    def after(self, place: tuple[int, int]) -> "State":
        """Right after what is at a place. What comes right after a moment may be of the same one."""
        position, tie = place
        moment = versions.is_time(position)
        return replace(self, position=position + (not moment), tie=tie + 1 if moment else 0)

    def outranks(self, other: "State | None") -> bool:
        """Whether it wins over the other, or there is none."""
        if other is None:
            return True
        if not (self.certain and other.certain) and self._edit == other._edit:
            return self.deleted and not other.deleted
        return self.order > other.order

    def places(self, copy: "State | None") -> bool:
        """Whether this is the edit that a repair copied, or the copy's deletion, at less than its position. Where a
        copy comes after it, as what an edit was made on top of does, there is no other edit between the two."""
        if copy is None or not copy.stamped or copy.certain or not self.certain:
            return False
        return self._edit == copy._edit and self.position > copy.position

    def with_copy(self, other: "State") -> "State":
        """What stands for both deletions, where one is of a copy whose position nobody knew, and the other of another
        edit of its region and time. The copy's stays, above the other, until the edit's own record `places` it."""
        alike = (self.time, self.rank) == (other.time, other.rank) and self.certain is not other.certain
        if not alike or self.digest == other.digest:
            return self
        copy, known = (other, self) if self.certain else (self, other)
        return max(copy, copy.after(known.place), key=lambda each: each.place)

    @property
    def _edit(self) -> tuple:
        return self.time, self.rank, self.digest

    def deletion(self, time: Time | None = None, by: str = "") -> "State":
        """Of this state, and of all that come before `time` if that is later."""
        certain = self.certain or not self.stamped
        mine = replace(self, deleted=True, item=None, stamped=True, certain=certain, by=by)
        return mine if time is None or time <= self.time else replace(mine, time=time, position=0, tie=0, digest="")

    def deletes(self, other: "State") -> bool:
        """Whether this tombstone is the deletion of the very edit that an application made in the table's own region,
        and says no more than that: not when it was."""
        return not other.stamped and self._edit == other._edit

    def is_edit(self, other: "State") -> bool:
        """Whether both are the same edit, whatever is known of its position."""
        return self._edit == other._edit and self.deleted == other.deleted

    def positioned(self, known: Iterable["State"]) -> "State":
        """With the position of the same edit, if it is not certain here and one of these tells it."""
        told = [] if self.certain else [each.place for each in known if each.certain and each._edit == self._edit]
        if not told:
            return self
        position, tie = max(told) if max(told)[0] != self.position else max(*told, self.place)
        return replace(self, position=position, tie=tie, certain=True)

    def copied(self, known: Iterable["State"], floor: int = LEAST) -> "State":
        """Of a row whose position only its own region's stream can tell, read after all that is `known`. It is the last
        known edit of its region with the same time, or comes right after that one, and after `floor`."""
        same = [each for each in known if (each.time, each.rank) == (self.time, self.rank) and each.stamped]
        last = max(same, key=lambda each: each.place, default=None)
        if last is None or last.position < floor:
            return self.after((floor, 0)) if floor > LEAST else replace(self, position=LEAST)
        if last.digest != self.digest:
            return self.after(last.place)
        return replace(self, position=last.position, tie=last.tie)


def stamp(state: State) -> dict[str, Typed]:
    """What a replicator writes beside an item, or as its tombstone."""
    position = {"version" if state.certain else "before": {"S": versions.to_text(state.position)}}
    tie = {"tie": {"N": str(state.tie)}} if state.tie else {}
    return {"time": state.time.typed, "region": {"S": state.region}, **position, **tie, "digest": {"S": state.digest}}


def read_stamp(found: Mapping[str, Typed], regions: tuple[str, ...], deleted: bool) -> State:
    """What `stamp` wrote. Raises one of MALFORMED for anything else."""
    region, certain = found["region"]["S"], "version" in found
    written = found["version" if certain else "before"]["S"]
    position = LEAST if written == _UNKNOWN else versions.from_text(written)
    time, digest = Time.of(decode(found["time"])), found["digest"]["S"]
    place = rank(region, regions), position
    tie = int(found["tie"]["N"]) if "tie" in found else 0
    return State(time, *place, digest, deleted, region, stamped=True, certain=certain, tie=tie)


LEAVING = "leaving"
"""Beside a stamp: a replicator is about to delete the row."""


def leaving(stamped: Mapping[str, Typed]) -> dict[str, Typed]:
    """A row's stamp, which says that a replicator deletes the row."""
    return {**stamped, LEAVING: {"BOOL": True}}


MALFORMED = (LookupError, TypeError, ValueError, AttributeError, Rejected)
"""What reading a stamp raises that none of ours wrote."""


def digest_of(item: Mapping[str, Typed]) -> str:
    """128 bits of an item's content, the same for a Lambda event's spelling and boto3's. Raises Rejected."""
    return canonical.digest(canonical.image(item))


@dataclass(frozen=True, slots=True)
class Stamps:
    """How rows are read as states: their stamps are in `attribute`."""

    rule: Rule
    regions: tuple[str, ...]
    attribute: str

    def row(self, item: Mapping[str, Typed], region: str, position: int = UNKNOWN, certain: bool = False) -> State:
        """A row of `region`'s table. It is the replicator's if it still has the content that its stamp was made for,
        else the application's of that region, at `position` of its stream. Raises Rejected if the rule fails on it."""
        content = {name: typed for name, typed in item.items() if name != self.attribute}
        digest = digest_of(content)
        try:
            found = read_stamp(item[self.attribute]["M"], self.regions, False)
        except MALFORMED:
            found = None
        if found is not None and found.digest == digest:
            return replace(found, item=content, leaving=LEAVING in item[self.attribute]["M"])
        moment = self.rule.time(Image(content))
        return State(moment, rank(region, self.regions), position, digest, False, region, content, False, certain)
