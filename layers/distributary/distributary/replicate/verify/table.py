"""One side's table, read in pages or by key, at its own pace."""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distributary.consumer.aws import AwsError, classify
from distributary.dynamodb.tombstones import BATCH_GET_KEYS
from distributary.errors import Unavailable
from distributary.replicate.verify.equality import Row
from distributary.replicate.verify.read_budget import Pace
from distributary.stream.codec import Typed
from distributary.stream.keys import identity

Keys = dict[str, Typed]
"""An item's key attributes, DynamoDB JSON."""


@dataclass(frozen=True, slots=True)
class Side:
    """A table at its endpoint, called `name` in reports. What it reads is metered: `pace.units` are its read units so
    far."""

    client: Any
    table: str
    pace: Pace = field(default_factory=Pace)
    name: str = "source"

    def pages(self, segment: int, segments: int) -> Iterator[list[Row]]:
        """One segment, eventually consistent, at most 1 MB a page. Raises Unavailable."""
        request = {"TableName": self.table, "Segment": segment, "TotalSegments": segments}
        while True:
            page = self._called("scan", **request)
            yield page["Items"]
            if not page.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def rows(self, keys: Sequence[Mapping[str, Typed]], consistent: bool) -> dict[str, Row]:
        """By identity, those that exist. Raises Unavailable."""
        left, found, pause = list({identity(each): dict(each) for each in keys}.values()), {}, 0.05
        names = tuple(left[0]) if left else ()
        while left:
            batch, left = left[:BATCH_GET_KEYS], left[BATCH_GET_KEYS:]
            request = {self.table: {"Keys": batch, "ConsistentRead": consistent}}
            answer = self._called("batch_get_item", RequestItems=request)
            for row in next(iter(answer["Responses"].values()), []):
                found[identity({name: row[name] for name in names})] = row
            again: list[Keys] = next(iter(answer.get("UnprocessedKeys", {}).values()), {"Keys": []})["Keys"]
            if again:
                time.sleep(random.uniform(0, pause))
                pause = min(2 * pause, 2.0)
                left += again
        return found

    def _called(self, operation: str, **arguments: Any) -> Any:
        self.pace.wait()
        try:
            answer = getattr(self.client, operation)(ReturnConsumedCapacity="TOTAL", **arguments)
        except AwsError as error:
            raise Unavailable(f"table {self.table}: {classify(error, operation)}", str(error)) from error
        self.pace.paid(answer)
        return answer
