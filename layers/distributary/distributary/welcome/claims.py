"""Claims: who may send a message. A claim is taken before the send and confirmed after it."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.dynamodb.requests import Item, Operation, batch_get, conditional_write
from distributary.stream.struct import Struct

MAX_SENDS = 3
"""Sends for one claim, the first included. Only a rule with `on_unknown="resend"` needs more than one."""

FIRST_WAIT_SECONDS, WAIT_FACTOR = 30.0, 4
"""The wait before the second send of a claim whose first send had an unknown outcome; each further wait is four times
as long."""


class Claim(StrEnum):
    """The state in which a claimant finds a claim."""

    GRANTED = "granted"
    SENT = "sent"
    SENDING = "sending"
    UNKNOWN = "unknown"


class Found(Struct, frozen=True):
    """A claim as read. `owner` and `sends` are those of its last claimant; `lease` (epoch seconds) is when the next one
    may take it over; `position` is that of the change it was taken for, empty in claims of version 0.1."""

    claim: Claim
    owner: str = ""
    sends: int = 1
    lease: float = 0.0
    position: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """A table of `id` (S), `state` (sending, sent or unknown), `owner`, `lease` (N, epoch seconds), `sends` (N),
    `position` (S), `message_id` and, for rules that send again, `expires_at` (N, epoch seconds, the table's TTL
    attribute). It holds nothing of the item but its key."""

    client: Any
    table: str
    days: int
    now: Callable[[], float] = time.time

    def find(self, ids: Iterable[str], deadline: Deadline) -> dict[str, Item]:
        """The rows of the table that exist, by id; suppressions are rows too. One consistent read unit each; raises
        Unavailable."""
        keys = [{"id": {"S": id}} for id in dict.fromkeys(ids)]
        return {row["id"]["S"]: row for row in batch_get(self.client, self.table, keys, deadline, "claim BatchGetItem")}

    def take(self, id: str, owner: str, lease_seconds: float, position: str = "", expires: bool = True) -> Found:
        """GRANTED: `owner`, a token used for this claim only, alone may send until the lease ends.

        SENT: a message was sent. SENDING: another claimant holds the lease, so ask again later. UNKNOWN: a claimant
        ended between claim and confirmation, so the message may have been sent or not. A claim that `expires` is
        forgotten after `days`. 1 write unit; raises Unavailable.
        """
        item = self._item(id, owner, lease_seconds, 1, position, expires)
        return self._put(item, ConditionExpression="attribute_not_exists(id)")

    def take_over(
        self, id: str, owner: str, lease_seconds: float, found: Found, position: str = "", expires: bool = True
    ) -> Found:
        """As `take`, for a claim that was `found` open and whose lease has ended: granted to one claimant only, and at
        most MAX_SENDS times in all. 1 write unit; raises Unavailable."""
        item = self._item(id, owner, lease_seconds, found.sends + 1, position or found.position, expires)
        return self._put(
            item,
            ConditionExpression="#owner = :was AND #state <> :sent AND #lease < :now",
            ExpressionAttributeNames={"#state": "state", "#lease": "lease", "#owner": "owner"},
            ExpressionAttributeValues={
                ":was": {"S": found.owner},
                ":sent": {"S": "sent"},
                ":now": {"N": str(int(self.now()))},
            },
        )

    def _item(
        self, id: str, owner: str, lease_seconds: float, sends: int, position: str, expires: bool
    ) -> dict[str, Any]:
        now = self.now()
        item = {
            "id": {"S": id},
            "state": {"S": "sending"},
            "owner": {"S": owner},
            "lease": {"N": str(int(now + lease_seconds) + 1)},
            "sends": {"N": str(sends)},
            "position": {"S": position},
        }
        return item | ({"expires_at": {"N": str(int(now) + self.days * 86_400)}} if expires else {})

    def _put(self, item: dict[str, Any], **condition: Any) -> Found:
        met = conditional_write(
            self.client.put_item,
            "claim PutItem",
            TableName=self.table,
            Item=item,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **condition,
        )
        id, owner = item["id"]["S"], item["owner"]["S"]
        if met.held:
            return Found(Claim.GRANTED, owner, int(item["sends"]["N"]))
        return read(met.item or self.find([id], FOREVER).get(id, {}), self.now(), owner)

    def confirm(self, id: str, owner: str, message_id: str) -> None:
        """The message was sent. 1 write unit; raises Unavailable."""
        change = "SET #state = :next, message_id = :message"
        values = {":next": {"S": "sent"}, ":message": {"S": message_id}}
        self._end(self.client.update_item, id, owner, values, UpdateExpression=change)

    def give_up(self, id: str, owner: str, sends: int = 1) -> None:
        """The message may have been sent or not. The claim can be taken over after a wait that grows with `sends`.
        1 write unit; raises Unavailable."""
        wait = FIRST_WAIT_SECONDS * WAIT_FACTOR ** (sends - 1)
        values = {":next": {"S": "unknown"}, ":until": {"N": str(int(self.now() + wait))}}
        change = "SET #state = :next, #lease = :until"
        self._end(self.client.update_item, id, owner, values, {"#lease": "lease"}, UpdateExpression=change)

    def release(self, id: str, owner: str) -> None:
        """The message was certainly not sent: the next claimant is granted. 1 write unit; raises Unavailable."""
        self._end(self.client.delete_item, id, owner, {})

    def _end(
        self,
        operation: Operation,
        id: str,
        owner: str,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
        **arguments: str,
    ) -> None:
        """Ends the sending if the claim is still the owner's; a claim that another one has taken is left alone."""
        conditional_write(
            operation,
            "claim UpdateItem or DeleteItem",
            TableName=self.table,
            Key={"id": {"S": id}},
            ConditionExpression="#state = :sending AND #owner = :owner",
            ExpressionAttributeNames={"#state": "state", "#owner": "owner", **(names or {})},
            ExpressionAttributeValues={":sending": {"S": "sending"}, ":owner": {"S": owner}, **values},
            **arguments,
        )


def read(row: Mapping[str, Any], now: float, owner: str = "") -> Found:
    """A row as a claimant finds it. Its own claim is GRANTED: the SDK's first try had taken effect after all. A missing
    row was released meanwhile, so ask again later."""
    was, sends = row.get("owner", {}).get("S", ""), int(row.get("sends", {}).get("N", 1))
    if owner and was == owner:
        return Found(Claim.GRANTED, was, sends)
    state, lease = row.get("state", {}).get("S", "sending"), float(row.get("lease", {}).get("N", now + 1))
    if state == "sending" and lease < now:
        state = "unknown"
    return Found(Claim(state), was, sends, lease, row.get("position", {}).get("S", ""))
