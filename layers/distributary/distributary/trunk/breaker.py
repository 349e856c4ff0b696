"""Whether branches of the trunk are called: a row per branch, shared by all environments, the feeder and the command.

The row is `id` (the branch), `state`, `since` (N, epoch seconds) and `item` (a digest). No row is a branch that works.
Each move names the row that it was decided on, so of two environments that move at once, one does.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from distributary.consumer.deadline import FOREVER
from distributary.dynamodb.requests import ItemClient, batch_get, conditional_write
from distributary.errors import DistributaryError, Unavailable
from distributary.stream.struct import Struct

READ_SECONDS = 5.0
"""So old is what an environment knows of the rows, at most."""


class State(StrEnum):
    """Of a branch. While it is OPEN or PAUSED, its changes are deferred untried."""

    CLOSED = "closed"
    FAILING = "failing"
    OPEN = "open"
    TRIAL = "trial"
    PAUSED = "paused"


class Row(Struct, frozen=True):
    """A branch's state since a moment in epoch seconds. `item`: of a FAILING branch, the only item that was seen to
    fail; empty if several were."""

    state: State
    since: float = 0.0
    item: str = ""

    @property
    def defers(self) -> bool:
        """Whether the branch's changes are deferred untried."""
        return self.state in (State.OPEN, State.PAUSED)


CLOSED = Row(State.CLOSED)


class Seen(Struct, frozen=True):
    """What a batch showed of a branch: whether its sink took a change, and the items whose changes failed."""

    works: bool
    failing: frozenset[str]


def following(row: Row, seen: Seen, now: float, after: float) -> Row:
    """What a branch's row becomes by a batch, if it failed for longer than `after` seconds.

    One failing item opens nothing, however long it fails. A branch on trial is opened at the first batch of several
    items of which none is taken.
    """
    if row.defers:
        return row
    if seen.works:
        return CLOSED
    if not seen.failing:
        return row
    only = next(iter(seen.failing)) if len(seen.failing) == 1 else ""
    if row.state is State.TRIAL and not only:
        return Row(State.OPEN, now)
    if row.state is not State.FAILING:
        return Row(State.FAILING, now, only)
    item = only if only == row.item else ""
    if not item and now - row.since > after:
        return Row(State.OPEN, now)
    return Row(State.FAILING, row.since, item)


@dataclass(slots=True)
class Breakers:
    """The rows of some branches. `after` in seconds; see `following`."""

    client: ItemClient
    table: str
    branches: Sequence[str]
    after: float = 0.0
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    _rows: Mapping[str, Row] = field(default_factory=dict)
    _read: float = float("-inf")

    def known(self) -> Mapping[str, Row]:
        """By branch, as they were at most `READ_SECONDS` ago. If the table does not answer, as they were when it last
        did: a branch that is called although its row says otherwise has its outcomes all the same."""
        if self.clock() - self._read >= READ_SECONDS:
            try:
                return self.read()
            except DistributaryError:
                self._read = self.clock()
        return {branch: self._rows.get(branch, CLOSED) for branch in self.branches}

    def read(self) -> Mapping[str, Row]:
        """By branch, as they are now. Raises Unavailable."""
        keys = [{"id": {"S": branch}} for branch in self.branches]
        found = batch_get(self.client, self.table, keys, FOREVER, "breaker BatchGetItem")
        rows = {each["id"]["S"]: _row(each) for each in found}
        self._rows, self._read = rows, self.clock()
        return {branch: rows.get(branch, CLOSED) for branch in self.branches}

    def note(self, branch: str, row: Row, seen: Seen) -> Row:
        """What the branch's row is after a batch that was decided on `row`."""
        wanted = following(row, seen, self.now(), self.after)
        if wanted == row:
            return row
        try:
            return wanted if self.move(branch, row, wanted) else row
        except DistributaryError:
            return row

    def move(self, branch: str, row: Row, wanted: Row) -> bool:
        """Whether the row was as it was read, and is now as it is wanted. Raises Unavailable."""
        self._read = float("-inf")
        arguments = {"TableName": self.table, **_as_read(row)}
        if wanted.state is State.CLOSED:
            return conditional_write(
                self.client.delete_item, "breaker DeleteItem", Key={"id": {"S": branch}}, **arguments
            ).held
        return conditional_write(self.client.put_item, "breaker PutItem", Item=_item(branch, wanted), **arguments).held

    def pause(self, branch: str) -> None:
        """Defers the branch's changes from now on, whatever its state. Raises Unavailable."""
        self._insisted(branch, lambda row: None if row.state is State.PAUSED else Row(State.PAUSED, self.now()))

    def resume(self, branch: str) -> bool:
        """Calls the branch again, on trial; whether it was paused. Raises Unavailable."""
        return self._insisted(branch, lambda row: Row(State.TRIAL, self.now()) if row.state is State.PAUSED else None)

    def _insisted(self, branch: str, wanted: Callable[[Row], Row | None]) -> bool:
        for _ in range(_TRIES):
            row = self.read()[branch]
            new = wanted(row)
            if new is None:
                return False
            if self.move(branch, row, new):
                return True
        raise Unavailable(f"the breaker of {branch} keeps moving: run it again")


_TRIES = 10


def _row(item: Mapping[str, Any]) -> Row:
    return Row(State(item["state"]["S"]), float(item["since"]["N"]), item["item"]["S"])


def _item(branch: str, row: Row) -> dict[str, Any]:
    values = {"state": {"S": row.state.value}, "since": {"N": f"{row.since:.3f}"}, "item": {"S": row.item}}
    return {"id": {"S": branch}, **values}


def _as_read(row: Row) -> dict[str, Any]:
    """On condition that nobody has moved the row since."""
    if row.state is State.CLOSED:
        return {"ConditionExpression": "attribute_not_exists(id)"}
    own = _item("", row)
    return {
        "ConditionExpression": "#state = :state AND #since = :since AND #item = :item",
        "ExpressionAttributeNames": {f"#{name}": name for name in ("state", "since", "item")},
        "ExpressionAttributeValues": {f":{name}": own[name] for name in ("state", "since", "item")},
    }
