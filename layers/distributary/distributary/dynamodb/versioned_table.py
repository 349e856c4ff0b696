"""One row per source item under one key for ever: the newest change wins, whatever order they come in.

A put is put, look at the tombstone, take back; a delete is tombstone, delete. Whichever of the two comes last sees
the other, so no transaction is needed, and redelivery repairs a crash between any two calls.
tests/unit/test_register_model.py enumerates the interleavings.

A repair keeps the version that exists, so that any newer change wins over it, and adds a random revision to it. Its
condition is the row's version with its revision as it was read: no writer leaves both as they were.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.outcome import APPLIED, IGNORED, SUPERSEDED, TIED, Outcome
from distributary.consumer.parallel import Parallel
from distributary.dynamodb.client import carry_out
from distributary.dynamodb.requests import BATCH_GET_KEYS, ItemClient, Met, batch_get_steps, conditional_steps
from distributary.dynamodb.steps import Steps, Together, finish
from distributary.dynamodb.tombstones import Tombstones
from distributary.errors import DistributaryError, Rejected
from distributary.stream import canonical
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.codec import Typed
from distributary.stream.keys import identity
from distributary.stream.struct import Struct, replace

ROW_FORMAT = 1
"""Of a row by its version, since its other attributes are the application's. 0, release 0.1: 46 digits. 1: a repaired
row's version has a revision, that of a row which outlives TTL a mark. Kept in `StreamBindings`, which refuses a later
one."""

_OLDER = "attribute_not_exists(#v) OR #v < :v"
"""Absent, never versioned (there before Distributary), or older."""

_OLDER_VERSION = "#v < :v"
"""Versioned, and older."""


class Write(Struct, frozen=True):
    """What a row should be as of `version`: `row` (with its key, DynamoDB JSON as boto3 takes it), or gone if None.

    `id` names the row among all rows whose tombstones share a table. `if_present`: a delete that leaves no tombstone if
    there is no older row; 1 read unit. `spares_unversioned`: a delete leaves a row that carries no version, because
    another writer may own it. `expires_at`: when the table's own TTL may take the row (epoch seconds). `mark`: of a row
    that outlives its item, see `version.KEPT`.
    """

    id: str
    key: Mapping[str, Typed]
    row: Mapping[str, Typed] | None
    version: int
    spares_unversioned: bool = False
    if_present: bool = False
    expires_at: int | None = None
    mark: str = ""

    @property
    def text(self) -> str:
        """The version as a put writes it."""
        return versions.to_text(self.version, mark=self.mark)


def newest(writes: Sequence[Write]) -> list[int]:
    """The places of the writes that matter, the newest of each row; all others are superseded within the batch. Deletes
    come first, for they take two calls one after the other."""
    best: dict[str, int] = {}
    for place, write in enumerate(writes):
        if write.id not in best or write.version > writes[best[write.id]].version:
            best[write.id] = place
    return sorted(best.values(), key=lambda place: (writes[place].row is not None, place))


class Register(Struct, frozen=True):
    """A table of versioned rows, with their tombstones in a table beside it.

    Costs per row: a put 1 write (of the row's size) and 1 read unit, a delete 2 writes; a put that its tombstone
    outranks 1 write more, and so does one of a row that the table's TTL may take: a tombstone keeps its version.
    """

    client: ItemClient
    table: str
    tombstones: Tombstones
    parallel: Parallel
    version_attribute: str = REPLICA_VERSION
    revision: Callable[[], str] = lambda: uuid.uuid4().hex

    def write(self, writes: Sequence[Write], deadline: Deadline) -> list[Outcome]:
        """One outcome per write, in order.

        Each hundred writes are looked at together: those whose look ended before the deadline are done for good. A
        delete that supersedes another write within the batch leaves a tombstone in its place.
        """
        places = newest(writes)
        binding = {write.id for write in writes if not write.if_present}
        tasks = [writes[place] for place in places]
        tasks = [replace(task, if_present=False) if task.if_present and task.id in binding else task for task in tasks]
        hundreds = [tasks[at : at + BATCH_GET_KEYS] for at in range(0, len(tasks), BATCH_GET_KEYS)]
        written = carry_out(
            (self.client, self.tombstones.client),
            [self._written(hundred, deadline) for hundred in hundreds],
            self.parallel,
            deadline,
        )
        ends: list[Outcome] = []
        for hundred, found in zip(hundreds, written, strict=True):
            ends += found if isinstance(found, list) else [outcomes.of(found)] * len(hundred)
        chosen = {writes[place].id: writes[place] for place in places}
        result = [_folded(write, chosen[write.id]) for write in writes]
        for place, end in zip(places, ends, strict=True):
            result[place] = end
        return result

    def repair(self, write: Write, seen: Mapping[str, Typed], tombstone: str, at_least: int = 0) -> bool:
        """Makes a row what `write` says, on condition that it is still `seen` (empty: there is none). Whether it did.

        The row keeps its version, or gets `at_least`, if that is greater: the greatest version of the changes that this
        write stands for, so that none of them takes effect after it. 0: it stands for no change.

        Read `tombstone` first (see `Tombstones.find`, empty if there is none), then the row and the item that `write`
        is made from: a tombstone that comes later than the item takes a row that was put again back. `write.version`
        counts for a row that has none. 1 write and 1 read unit; 3 writes to remove a row. Raises Rejected, Unavailable.
        """
        kept = versions.version_in(seen.get(self.version_attribute, {}).get("S"))
        version = write.version if kept is None else kept
        if not seen and (write.row is None or self._has_expired(write)):
            return at_least > 0 and self.tombstones.put_tombstone(write.id, at_least, revision=versions.RETIRED)
        if write.row is None:
            mark = versions.mark_in(seen.get(self.version_attribute, {}).get("S"))
            return self._retire(write, seen, max(version, at_least), versions.to_text(version, self.revision(), mark))
        version = max(version, at_least, versions.from_text(tombstone) if tombstone else 0)
        text = versions.to_text(version, self.revision(), write.mark)
        if write.expires_at is not None:
            self.tombstones.put_tombstone(write.id, version, write.expires_at)
        if not self._replace(write.row, seen, text):
            return False
        newer = self.tombstones.find([write.id], FOREVER).get(write.id, "")
        if newer > text:
            finish(self._remove(write.key, newer, _OLDER_VERSION))
        return newer < text

    def _has_expired(self, write: Write) -> bool:
        """Whether the table's TTL takes such a row as soon as it is written."""
        return write.expires_at is not None and write.expires_at <= self.tombstones.now()

    def _retire(self, write: Write, seen: Mapping[str, Typed], version: int, text: str) -> bool:
        """Removes a row as a change between its version and the next would. The tombstone is newer than the version,
        and older than each of its revisions. The row gets a revision first, so that the tombstone never outranks a row
        that another repair keeps, because it has seen a newer item. It keeps its version, so that a delete that is
        delivered again still removes it if this repair ends before it does."""
        if not self._replace(seen, seen, text):
            return False
        self.tombstones.put_tombstone(write.id, version, revision=versions.RETIRED)
        return finish(self._as_seen("delete_item", "row DeleteItem", {"S": text}, Key=write.key))

    def _replace(self, row: Mapping[str, Typed], seen: Mapping[str, Typed], version: str) -> bool:
        item = {**row, self.version_attribute: {"S": version}}
        before = seen.get(self.version_attribute)
        return finish(self._as_seen("put_item", "row PutItem", before, Item=item))

    def _as_seen(self, operation: str, what: str, version: Typed | None, **arguments: Any) -> Steps[bool]:
        values = {} if version is None else {"ExpressionAttributeValues": {":seen": version}}
        condition = "attribute_not_exists(#v)" if version is None else "#v = :seen"
        met = yield from self._write_if(operation, what, condition, **values, **arguments)
        return met.held

    def _written(self, tasks: Sequence[Write], deadline: Deadline) -> Steps[list[Outcome]]:
        """One outcome per write, in order; of those that are `if_present`, the ones that find nothing end here."""
        ends = yield from self._needless(tasks, deadline)
        rest = [task for task in tasks if task.id not in ends]
        firsts = yield Together([self._put(task) if task.row is not None else self._delete(task) for task in rest])
        settled = yield from self._settle(rest, firsts, deadline)
        ends |= {task.id: end for task, end in zip(rest, settled, strict=True)}
        return [ends[task.id] for task in tasks]

    def _needless(self, tasks: Sequence[Write], deadline: Deadline) -> Steps[dict[str, Outcome]]:
        asked = [task for task in tasks if task.if_present]
        try:
            keys = [task.key for task in asked]
            rows = yield from batch_get_steps(self.client, self.table, keys, deadline, "row BatchGetItem")
        except DistributaryError as error:
            return {task.id: outcomes.of(error) for task in asked}
        found = {identity({name: row[name] for name in asked[0].key}): row for row in rows}
        ends = {task.id: self._finds(task, found.get(identity(task.key))) for task in asked}
        return {id: end for id, end in ends.items() if end is not None}

    def _finds(self, task: Write, row: Mapping[str, Typed] | None) -> Outcome | None:
        """None if there is a row that the delete is newer than."""
        version = row.get(self.version_attribute) if row is not None else None
        if row is None:
            return IGNORED
        newer = version is not None and versions.from_text(version["S"]) >= task.version
        return self._lost(task, row) if newer else None

    def _put(self, write: Write) -> Steps[Outcome]:
        news = True
        if write.expires_at is not None:
            news = yield from self.tombstones.put_steps(write.id, write.version, write.expires_at)
        text, may_tie = {"S": write.text}, versions.is_time(write.version)
        row = {**(write.row or {}), self.version_attribute: text}
        shown = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if may_tie else {}
        values = {":v": text}
        met = yield from self._write_if(
            "put_item", "row PutItem", _OLDER, Item=row, ExpressionAttributeValues=values, **shown
        )
        if may_tie and not news:
            return TIED  # its own tombstone from an earlier delivery, or that of a delete at the same moment
        return APPLIED if met.held else self._lost(write, met.item)

    def _delete(self, write: Write) -> Steps[Outcome]:
        news = yield from self.tombstones.put_steps(write.id, write.version)
        text = versions.to_text(write.version)
        met = yield from self._remove(write.key, text, _OLDER_VERSION if write.spares_unversioned else _OLDER)
        left = not met.held and (not write.spares_unversioned or self.version_attribute in met.item)
        return APPLIED if news and not left else self._lost(write, met.item)

    def _lost(self, write: Write, row: Mapping[str, Typed]) -> Outcome:
        """Of a write that the row, empty if none is known, is not older than."""
        there = row.get(self.version_attribute, {}).get("S")
        if not versions.is_time(write.version) or versions.version_in(there) != write.version:
            return SUPERSEDED
        content = {name: typed for name, typed in row.items() if name != self.version_attribute}
        alike = _alike(write.row, content) and versions.mark_in(there) == write.mark
        return SUPERSEDED if alike else TIED

    def _remove(self, key: Mapping[str, Typed], version: str, condition: str) -> Steps[Met]:
        """Without an item in the answer, a failed `_OLDER_VERSION` does not say whether there is a row."""
        return self._write_if(
            "delete_item",
            "row DeleteItem",
            condition,
            Key=key,
            ExpressionAttributeValues={":v": {"S": version}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    def _write_if(self, operation: str, what: str, condition: str, **arguments: Any) -> Steps[Met]:
        return conditional_steps(
            self.client,
            operation,
            what,
            TableName=self.table,
            ConditionExpression=condition,
            ExpressionAttributeNames={"#v": self.version_attribute},
            **arguments,
        )

    def _settle(
        self, tasks: Sequence[Write], firsts: Sequence[Outcome | DistributaryError], deadline: Deadline
    ) -> Steps[list[Outcome]]:
        """Looks at the tombstones of all puts, also of superseded ones, and takes back what they outrank."""
        ends = [outcomes.of(first) for first in firsts]
        puts = [i for i, (task, first) in enumerate(zip(tasks, firsts, strict=True)) if _was_put(task, first)]
        outranked = []
        try:
            found = yield from self.tombstones.find_steps([tasks[i].id for i in puts], deadline)
        except DistributaryError as error:
            found = {}
            for i in puts:
                ends[i] = outcomes.of(error)
        for i in puts:
            tombstone = found.get(tasks[i].id, "")
            if tasks[i].expires_at is None and _ties(tasks[i], tombstone):
                ends[i] = TIED
            if tombstone > tasks[i].text:
                outranked.append((i, tombstone))
        backs = yield Together([self._remove(tasks[i].key, version, _OLDER_VERSION) for i, version in outranked])
        for (i, _), back in zip(outranked, backs, strict=True):
            lost = TIED if _ties(tasks[i], found[tasks[i].id]) else SUPERSEDED
            ends[i] = lost if isinstance(back, Met) else outcomes.of(back)
        return ends


def _folded(write: Write, chosen: Write) -> Outcome:
    """Of a write that another of the same row takes the place of within the batch."""
    same_moment = write.version == chosen.version and versions.is_time(write.version)
    return TIED if same_moment and (write.row, write.mark) != (chosen.row, chosen.mark) else SUPERSEDED


def _ties(task: Write, tombstone: str) -> bool:
    """Whether a delete, or a repair, left a tombstone of the moment at which the row was put."""
    return versions.is_time(task.version) and versions.version_in(tombstone) == task.version


def _alike(wanted: Mapping[str, Typed] | None, row: Mapping[str, Typed]) -> bool:
    """Whether a row is as it is wanted, whatever the order of its sets and the spelling of its numbers."""
    try:
        return wanted is not None and canonical.image(wanted) == canonical.image(row)
    except Rejected:
        return False


def _was_put(task: Write, first: Outcome | DistributaryError) -> bool:
    return task.row is not None and isinstance(first, Outcome)
