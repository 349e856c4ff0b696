"""One region's table and its tombstones, into which states are merged: what stands there never becomes less.

A put is: look, put on condition that the row is as it was seen, look at the tombstone again, take back. A deletion
is: look, tombstone, look at the row, delete it on condition. Whichever of the two comes last sees the other.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from distributary.consumer.backoff import backoff
from distributary.consumer.deadline import Deadline
from distributary.dynamodb.requests import ItemClient
from distributary.errors import Rejected, Unavailable
from distributary.replicate.declarations import Rule
from distributary.replicate.multi_active.conditional_rows import Row, Rows, absent, equal
from distributary.replicate.multi_active.crdt import NEVER, Time, rank
from distributary.stream import canonical
from distributary.stream import version as versions
from distributary.stream.change import Image
from distributary.stream.codec import Typed, decode, encode
from distributary.stream.format import FORMAT_ATTRIBUTE, check_format, format_of

TRIES = 8
FORMAT = 1
"""Of a tombstone. Release 0.1 wrote the same attributes, without a format."""


UNKNOWN = versions.GENERATIONS * versions.POSITIONS
"""The position of a row that an application wrote, as it is read in its own region: after all that are known there."""

LEAST = 0
"""The position of such a row once a repair has copied it to another region: the row's own record, and every later edit
of its region with the same time, win over the copy."""


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


def digest_of(item: Mapping[str, Typed]) -> str:
    """128 bits of an item's content, the same for a Lambda event's spelling and boto3's. Raises Rejected."""
    return canonical.digest(canonical.image(item))


MALFORMED = (LookupError, TypeError, ValueError, AttributeError, Rejected)
"""What reading a stamp raises that none of ours wrote."""


Overtakes = Callable[[State | None], None]
"""Is given the state that a merge is about to overwrite."""


class Place(NamedTuple):
    """An item's key, and the id of its tombstone."""

    key: Mapping[str, Typed]
    id: str


class Tombstone(NamedTuple):
    """A tombstone: the deletion, in which region the application made it, and the tombstone's item."""

    state: State
    by: str
    item: Row


@dataclass(frozen=True, slots=True)
class Reading:
    """How rows are read as states."""

    rule: Rule
    regions: tuple[str, ...]
    attribute: str

    def row(self, item: Row, region: str, position: int = UNKNOWN, certain: bool = False) -> State:
        """A row of `region`'s table. It is the replicator's if it still has the content that its stamp was made for,
        else the application's of that region, at `position` of its stream. Raises Rejected if the rule fails on it."""
        content = {name: typed for name, typed in item.items() if name != self.attribute}
        digest = digest_of(content)
        try:
            found = read_stamp(item[self.attribute]["M"], self.regions, False)
        except MALFORMED:
            found = None
        if found is not None and found.digest == digest:
            return replace(found, item=content)
        moment = self.rule.time(Image(content))
        return State(moment, rank(region, self.regions), position, digest, False, region, content, False, certain)


@dataclass(frozen=True, slots=True)
class RegionTable:
    """A region's table `table`, and the table `tombstones` (of `id`, `state`, `by`, `expires_at`) in the same region.

    Costs of a merge: 2 reads; an item that wins 1 write and 1 read more, a deletion 2 writes (1 if there is no row)
    and 1 read. What does not win costs no write. Raises Rejected, and Unavailable if the row keeps moving.
    """

    client: ItemClient
    region: str
    table: str
    tombstones: str
    reading: Reading
    days: int
    now: Callable[[], float] = time.time
    wait: Callable[[float], None] = time.sleep

    @property
    def rows(self) -> Rows:
        """The table's rows."""
        return Rows(self.client, self.region, self.table, self.reading.attribute)

    def merge(self, place: Place, state: State, by: str, deadline: Deadline, overtakes: Overtakes) -> bool:
        """Whether `state` won, and now stands here; `by` is the region whose application made it."""
        for attempt in range(TRIES):
            deadline.check()
            if attempt:
                backoff(deadline, attempt, first=0.02, sleep=self.wait)
            row, grave = self._look(place)
            standing = self._greater(row, grave)
            if not state.outranks(standing):
                if row is not None and grave is not None:
                    if self._is_unread(row, state) and not self._put(place, state, row):
                        continue
                    self.delete_if_older(place, grave.state, deadline)
                return False
            overtakes(standing)
            if state.deleted:
                if self._entomb(place, state, by, grave):
                    self.delete_if_older(place, state, deadline)
                    return True
            elif self._put(place, state, row):
                later = self.grave(place)
                if later is None or not later.state.outranks(state):
                    return True
                self.delete_if_older(place, later.state, deadline)
                return False
        raise Unavailable(f"{self.region}: the item is written to faster than it can be merged")

    def known(self, place: Place) -> list[tuple[State, str]]:
        """What the row is and what its tombstone says, as far as there are any, and by which region. Raises Rejected
        or Unavailable."""
        row, grave = self._look(place)
        state = self._read(row)
        found = [] if state is None else [(state, state.region)]
        return found if grave is None else [*found, (grave.state, grave.by)]

    def row(self, place: Place) -> State | None:
        """What the row is; 1 read unit per 4 KB."""
        return self._read(self.rows.read(self.table, place.key))

    def delete_if_older(self, place: Place, deletion: State, deadline: Deadline) -> bool:
        """Takes away the row if `deletion`, whose tombstone stands, outranks it; whether there was one. An edit whose
        time only its record tells is left to its own region's function."""
        for _ in range(TRIES):
            deadline.check()
            row = self.rows.read(self.table, place.key)
            standing = self._read(row)
            if row is None or standing is None or not deletion.outranks(standing):
                return False
            if self.reading.rule.by_stream and not standing.stamped:
                return False
            if self.rows.delete(place.key, row):
                return True
        raise Unavailable(f"{self.region}: the item is written to faster than it can be deleted")

    def _is_unread(self, row: Row, state: State) -> bool:
        """Whether the row is the very edit `state`, and does not say so yet. Were it buried like this, nobody could
        tell that from the application's own delete."""
        found = self.reading.row(row, self.region)
        own = self.reading.rule.by_stream and state.region == self.region and not state.deleted
        return own and not found.stamped and found.digest == state.digest

    def grave(self, place: Place) -> Tombstone | None:
        """The tombstone that stands; 1 read unit."""
        return self._grave(self.rows.read(self.tombstones, {"id": {"S": place.id}}))

    def standing(self, place: Place) -> State | None:
        """The greater of row and tombstone; 2 read units."""
        return self._greater(*self._look(place))

    def _greater(self, row: Row | None, grave: Tombstone | None) -> State | None:
        standing = self._read(row)
        return grave.state if grave is not None and grave.state.outranks(standing) else standing

    def _look(self, place: Place) -> tuple[Row | None, Tombstone | None]:
        """Row and tombstone; the order of writes makes up for their being no snapshot."""
        row, grave = self.rows.look(place.key, self.tombstones, {"id": {"S": place.id}})
        return row, self._grave(grave)

    def _read(self, row: Row | None) -> State | None:
        return None if row is None else self.reading.row(row, self.region)

    def _grave(self, item: Row | None) -> Tombstone | None:
        if item is None:
            return None
        check_format(f"{self.region}: a tombstone in table {self.tombstones}", format_of(item), FORMAT)
        return Tombstone(read_stamp(item["state"]["M"], self.reading.regions, True), item["by"]["S"], item)

    def _put(self, place: Place, state: State, row: Row | None) -> bool:
        return self.rows.put(place.key, {**(state.item or {}), self.reading.attribute: {"M": stamp(state)}}, row)

    def _entomb(self, place: Place, state: State, by: str, grave: Tombstone | None) -> bool:
        expiry = {"N": str(int(self.now()) + self.days * 86_400)}
        item = {"id": {"S": place.id}, "state": {"M": stamp(state)}, "by": {"S": by}, "expires_at": expiry}
        item[FORMAT_ATTRIBUTE] = {"N": str(FORMAT)}
        seen = equal({"state": grave.item["state"]}) if grave else absent("id")
        return self.rows.conditionally(self.client.put_item, self.tombstones, seen, Item=item)
