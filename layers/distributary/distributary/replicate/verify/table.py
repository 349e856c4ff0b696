"""One side's table, read in pages or by key, at its own pace."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distributary.consumer.deadline import FOREVER
from distributary.dynamodb.read_budget import Pace
from distributary.dynamodb.requests import Operation, TableClient, batch_get, called
from distributary.replicate.verify.equality import Row
from distributary.stream.codec import Typed
from distributary.stream.keys import identity

Keys = dict[str, Typed]
"""An item's key attributes, DynamoDB JSON."""


@dataclass(frozen=True, slots=True)
class Side:
    """A table at its endpoint, called `name` in reports. What it reads is metered: `pace.units` are its read units so
    far."""

    client: TableClient
    table: str
    pace: Pace = field(default_factory=Pace)
    name: str = "source"

    def pages(self, segment: int, segments: int) -> Iterator[list[Row]]:
        """One segment, eventually consistent, at most 1 MB a page. Raises Unavailable."""
        request = {"TableName": self.table, "Segment": segment, "TotalSegments": segments}
        while True:
            page = called(self._scan, f"table {self.table}: scan", **request)
            yield page["Items"]
            if not page.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _scan(self, **arguments: Any) -> Mapping[str, Any]:
        return self._metered(self.client.scan, arguments)

    def rows(self, keys: Sequence[Mapping[str, Typed]], consistent: bool) -> dict[str, Row]:
        """By identity, those that exist. Raises Unavailable."""
        by_name = {identity(each): dict(each) for each in keys}
        names = tuple(next(iter(by_name.values()), ()))
        what = f"table {self.table}: batch_get_item"
        found = batch_get(self, self.table, by_name.values(), FOREVER, what, consistent=consistent)
        return {identity({name: row[name] for name in names}): dict(row) for row in found}

    def batch_get_item(self, **arguments: Any) -> Mapping[str, Any]:
        """The client's, metered."""
        return self._metered(self.client.batch_get_item, arguments)

    def _metered(self, operation: Operation, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        self.pace.wait()
        answer = operation(ReturnConsumedCapacity="TOTAL", **arguments)
        self.pace.paid(answer)
        return answer
