"""The versions at which rows were deleted, kept longer than any change can come late."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from distributary.consumer.aws import AwsError, classify, code_of
from distributary.consumer.deadline import Deadline
from distributary.errors import Unavailable
from distributary.stream import version as versions

BATCH_GET_KEYS = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""

_NEWER = {
    "ConditionExpression": "attribute_not_exists(#id) OR #v < :v",
    "ExpressionAttributeNames": {"#id": "id", "#v": "version"},
}


@dataclass(frozen=True, slots=True)
class Tombstones:
    """A table of `id` (S), `version` (S, 46 digits) and `expires_at` (N, epoch seconds, the table's TTL attribute)."""

    client: Any
    table: str
    days: int
    now: Callable[[], float] = time.time

    def put_tombstone(self, id: str, version: int) -> bool:
        """Whether the tombstone is news: False if one at least as new stands there. 1 write unit either way.

        Raises Rejected or Unavailable.
        """
        text = versions.to_text(version)
        item = {"id": {"S": id}, "version": {"S": text}, "expires_at": {"N": str(self._expiry())}}
        try:
            self.client.put_item(
                TableName=self.table, Item=item, ExpressionAttributeValues={":v": {"S": text}}, **_NEWER
            )
        except AwsError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return False
            raise classify(error, "tombstone PutItem") from error
        return True

    def find(self, ids: Sequence[str], deadline: Deadline) -> dict[str, int]:
        """The versions of those that exist, at most 100 ids; one consistent read, 1 read unit an id.

        Raises Unavailable, also when keys stay unprocessed until the deadline.
        """
        found: dict[str, int] = {}
        wanted = [{"id": {"S": id}} for id in ids]
        pause = 0.05
        while wanted:
            deadline.check()
            request = {"Keys": wanted, "ConsistentRead": True, "ProjectionExpression": "id, version"}
            try:
                answer = self.client.batch_get_item(RequestItems={self.table: request})
            except AwsError as error:
                raise Unavailable(str(classify(error, "tombstone BatchGetItem")), str(error)) from error
            for item in _only(answer["Responses"], []):
                found[item["id"]["S"]] = versions.from_text(item["version"]["S"])
            wanted = _only(answer.get("UnprocessedKeys", {}), {"Keys": []})["Keys"]
            if wanted:
                time.sleep(min(random.uniform(0, pause), deadline.left()))
                pause = min(pause * 2, 2.0)
        return found

    def _expiry(self) -> int:
        return int(self.now()) + self.days * 86_400


def _only(by_table: dict[str, Any], default: Any) -> Any:
    """BatchGetItem answers by table, under the name or the ARN that was asked for: one table was."""
    return next(iter(by_table.values()), default)
