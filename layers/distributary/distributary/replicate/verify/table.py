"""One side's table, read by key, at its own pace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.dynamodb.read_budget import Metered, Pace
from distributary.dynamodb.requests import BatchReader, Operation, batch_get
from distributary.replicate.verify.equality import Row
from distributary.stream.codec import Typed
from distributary.stream.keys import identity

Keys = dict[str, Typed]
"""An item's key attributes, DynamoDB JSON."""


@dataclass(frozen=True, slots=True)
class Side:
    """A table at its endpoint, called `name` in reports. What it reads is metered: `pace.units` are its read units so
    far."""

    client: BatchReader
    table: str
    pace: Pace = field(default_factory=Pace)
    name: str = "source"

    def rows(
        self, keys: Sequence[Mapping[str, Typed]], consistent: bool, deadline: Deadline = FOREVER
    ) -> dict[str, Row]:
        """By identity, those that exist. Raises Unavailable."""
        by_name = {identity(each): dict(each) for each in keys}
        names = tuple(next(iter(by_name.values()), ()))
        what = f"table {self.table}: batch_get_item"
        reader = Metered(self.client, self.pace, deadline)
        found = batch_get(reader, self.table, by_name.values(), deadline, what, consistent=consistent)
        return {identity({name: row[name] for name in names}): dict(row) for row in found}

    def metered(self, operation: Operation, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """A call that waits for its turn, and is charged for what it read."""
        self.pace.wait()
        answer = operation(ReturnConsumedCapacity="TOTAL", **arguments)
        self.pace.paid(answer)
        return answer
