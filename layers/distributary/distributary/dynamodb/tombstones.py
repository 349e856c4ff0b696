"""The versions at which rows were deleted, kept longer than any change can come late."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distributary.consumer.deadline import Deadline
from distributary.dynamodb.requests import ItemClient, batch_get, conditional_write
from distributary.stream import version as versions

_NEWER = {
    "ConditionExpression": "attribute_not_exists(#id) OR #v < :v",
    "ExpressionAttributeNames": {"#id": "id", "#v": "version"},
}


@dataclass(frozen=True, slots=True)
class Tombstones:
    """A table of `id` (S), `version` (S, 46 digits) and `expires_at` (N, epoch seconds, the table's TTL attribute)."""

    client: ItemClient
    table: str
    days: int
    now: Callable[[], float] = time.time

    def put_tombstone(self, id: str, version: int, kept_from: float = 0.0) -> bool:
        """Whether the tombstone is news: False if one at least as new stands there. 1 write unit either way.

        Raises Rejected or Unavailable.
        """
        text = versions.to_text(version)
        item = {"id": {"S": id}, "version": {"S": text}, "expires_at": {"N": str(self._expiry(kept_from))}}
        return conditional_write(
            self.client.put_item,
            "tombstone PutItem",
            TableName=self.table,
            Item=item,
            ExpressionAttributeValues={":v": {"S": text}},
            **_NEWER,
        ).held

    def find(self, ids: Sequence[str], deadline: Deadline) -> dict[str, int]:
        """The versions of those that exist; consistent, 1 read unit an id. Raises Unavailable."""
        keys = [{"id": {"S": id}} for id in ids]
        found = batch_get(self.client, self.table, keys, deadline, "tombstone BatchGetItem", "id, version")
        return {item["id"]["S"]: versions.from_text(item["version"]["S"]) for item in found}

    def _expiry(self, kept_from: float) -> int:
        return int(max(self.now(), kept_from)) + self.days * 86_400
