"""The versions at which rows were deleted, kept longer than any change can come late.

A tombstone's id names its row, not the item that a change came from: a source table that was restored under another
name raises the generation, and what its predecessor sends late must meet the same tombstone.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distributary.consumer.deadline import Deadline
from distributary.dynamodb.requests import Item, ItemClient, batch_get_steps, conditional_steps
from distributary.dynamodb.steps import Steps, finish
from distributary.stream import version as versions
from distributary.stream.format import FORMAT_ATTRIBUTE, check_format, format_of

FORMAT = 1
"""0: release 0.1. 1: with a format; a repair's tombstone has a revision behind its version."""

_NEWER = {
    "ConditionExpression": "attribute_not_exists(#id) OR (#v < :v AND (attribute_not_exists(#f) OR #f <= :f))",
    "ExpressionAttributeNames": {"#id": "id", "#v": "version", "#f": FORMAT_ATTRIBUTE},
}


@dataclass(frozen=True, slots=True)
class Tombstones:
    """A table of `id` (S), `version` (S, see `version.to_text`), `expires_at` (N, epoch seconds, the table's TTL
    attribute) and `format` (N). Release 0.1 wrote no format and 46 digits of version, which are read as they are."""

    client: ItemClient
    table: str
    days: int
    now: Callable[[], float] = time.time

    def put_tombstone(self, id: str, version: int, kept_from: float = 0.0, revision: str = "") -> bool:
        """Whether the tombstone is news: False if there is one that is at least as new. 1 write unit either way.

        Raises Rejected or Unavailable, ConfigError for a tombstone of a later release, which stays.
        """
        return finish(self.put_steps(id, version, kept_from, revision))

    def put_steps(self, id: str, version: int, kept_from: float = 0.0, revision: str = "") -> Steps[bool]:
        """`put_tombstone` as steps."""
        text = versions.to_text(version, revision)
        item = {"id": {"S": id}, "version": {"S": text}, "expires_at": {"N": str(self._expiry(kept_from))}}
        met = yield from conditional_steps(
            self.client,
            "put_item",
            "tombstone PutItem",
            TableName=self.table,
            Item={**item, FORMAT_ATTRIBUTE: {"N": str(FORMAT)}},
            ExpressionAttributeValues={":v": {"S": text}, ":f": {"N": str(FORMAT)}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **_NEWER,
        )
        _checked(met.item)
        return met.held

    def find(self, ids: Sequence[str], deadline: Deadline) -> dict[str, str]:
        """The versions of those that exist, as text; consistent, 1 read unit an id. Raises Unavailable, ConfigError for
        a tombstone of a later release."""
        return finish(self.find_steps(ids, deadline))

    def find_steps(self, ids: Sequence[str], deadline: Deadline) -> Steps[dict[str, str]]:
        """`find` as steps."""
        keys = [{"id": {"S": id}} for id in ids]
        found = yield from batch_get_steps(self.client, self.table, keys, deadline, "tombstone BatchGetItem")
        return {item["id"]["S"]: _checked(item)["version"]["S"] for item in found}

    def _expiry(self, kept_from: float) -> int:
        return int(max(self.now(), kept_from)) + self.days * 86_400


def _checked(item: Item) -> Item:
    check_format("a tombstone", format_of(item), FORMAT)
    return item
