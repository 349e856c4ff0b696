"""Who may send a message: claimed before, confirmed after, so that nobody sends it twice."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from distributary.consumer.aws import AwsError, classify
from distributary.dynamodb.requests import Item, Operation, conditional_write


class Claim(StrEnum):
    """What a claimant finds."""

    GRANTED = "granted"
    SENT = "sent"
    SENDING = "sending"
    UNKNOWN = "unknown"


_MINE = "#state = :sending AND #owner = :owner"
_NAMES = {"#state": "state", "#owner": "owner"}


@dataclass(frozen=True, slots=True)
class Claims:
    """A table of `id` (S), `state` (sending, sent or unknown), `owner`, `lease` (N, epoch seconds), `message_id` and
    `expires_at` (N, epoch seconds, the table's TTL attribute). It holds nothing of the item but its key."""

    client: Any
    table: str
    days: int
    now: Callable[[], float] = time.time

    def take(self, id: str, owner: str, lease_seconds: float) -> Claim:
        """GRANTED: `owner`, a token used for this claim only, alone may send until the lease ends.

        SENT: a message went out. SENDING: someone holds a lease, so ask again later. UNKNOWN: a claimant died between
        claim and confirmation, and nobody can know whether the message went out. 1 write unit; raises Unavailable.
        """
        return self._put(id, owner, lease_seconds, ConditionExpression="attribute_not_exists(id)")

    def take_over(self, id: str, owner: str, lease_seconds: float) -> Claim:
        """As `take`, of a claim that is unknown: GRANTED to one claimant only. 1 write unit; raises Unavailable."""
        return self._put(
            id,
            owner,
            lease_seconds,
            ConditionExpression="#state = :unknown OR (#state = :sending AND #lease < :now)",
            ExpressionAttributeNames={"#state": "state", "#lease": "lease"},
            ExpressionAttributeValues={
                ":unknown": {"S": "unknown"},
                ":sending": {"S": "sending"},
                ":now": {"N": str(int(self.now()))},
            },
        )

    def look(self, id: str) -> Claim | None:
        """What stands, None if nothing does. 1 read unit; raises Unavailable."""
        item = self._read(id)
        return _standing(item, "", self.now()) if item else None

    def _put(self, id: str, owner: str, lease_seconds: float, **condition: Any) -> Claim:
        now = self.now()
        item = {
            "id": {"S": id},
            "state": {"S": "sending"},
            "owner": {"S": owner},
            "lease": {"N": str(int(now + lease_seconds) + 1)},
            "expires_at": {"N": str(self._expiry())},
        }
        met = conditional_write(
            self.client.put_item,
            "claim PutItem",
            TableName=self.table,
            Item=item,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **condition,
        )
        return Claim.GRANTED if met.held else _standing(met.item or self._read(id), owner, now)

    def confirm(self, id: str, owner: str, message_id: str) -> None:
        """The message went out. 1 write unit; raises Unavailable."""
        change = "SET #state = :next, message_id = :message"
        self._end(
            self.client.update_item, id, owner, {":next": "sent", ":message": message_id}, UpdateExpression=change
        )

    def give_up(self, id: str, owner: str) -> None:
        """Nobody can know whether the message went out. 1 write unit; raises Unavailable."""
        self._end(self.client.update_item, id, owner, {":next": "unknown"}, UpdateExpression="SET #state = :next")

    def release(self, id: str, owner: str) -> None:
        """The message certainly did not go out: the next claimant is granted. 1 write unit; raises Unavailable."""
        self._end(self.client.delete_item, id, owner, {})

    def _end(self, operation: Operation, id: str, owner: str, values: dict[str, str], **arguments: str) -> None:
        """Ends the sending if it is still the owner's; a claim that is not his any more is left alone."""
        given = {":sending": "sending", ":owner": owner, **values}
        conditional_write(
            operation,
            "claim's end",
            TableName=self.table,
            Key={"id": {"S": id}},
            ConditionExpression=_MINE,
            ExpressionAttributeNames=_NAMES,
            ExpressionAttributeValues={name: {"S": value} for name, value in given.items()},
            **arguments,
        )

    def _read(self, id: str) -> dict[str, Any]:
        """Consistent; also for endpoints that do not return the item with a failed condition."""
        try:
            answer = self.client.get_item(TableName=self.table, Key={"id": {"S": id}}, ConsistentRead=True)
        except AwsError as error:
            raise classify(error, "claim GetItem") from error
        return dict(answer.get("Item") or {})

    def _expiry(self) -> int:
        return int(self.now()) + self.days * 86_400


def _standing(item: Item, owner: str, now: float) -> Claim:
    """What a refused claimant finds. Its own claim: the SDK's first try had taken effect after all. Nothing: released
    meanwhile, so ask again later."""
    if item.get("owner", {}).get("S") == owner:
        return Claim.GRANTED
    state = item.get("state", {}).get("S", "sending")
    if state == "sending" and int(item.get("lease", {}).get("N", now + 1)) < now:
        return Claim.UNKNOWN
    return Claim(state)
