"""The table `chat_session` and its writer: sessions between users and AI characters, one of each pair active."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from botocore.exceptions import ClientError

TABLE: Mapping[str, Any] = {
    "TableName": "chat_session",
    "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK", "GSI1PK")],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "GSI1_chat",
            "KeySchema": [{"AttributeName": "GSI1PK", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}
ACTIVE, OLD = "#ACTIVE#", "#OLD#"
ATTEMPTS = 5
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_AS_SEEN = "chat_id = :seen AND ai_version = :seen_version"

Item = dict[str, Any]


class ChatError(Exception):
    """What a caller asked for cannot be done as the table is; nothing was written."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A session. `delete_time`: when DeleteChat closed it."""

    user_id: str
    ai_id: str
    chat_id: str
    ai_version: str
    create_time: str
    delete_time: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        """As the table holds it."""
        text = {name: value["S"] for name, value in item.items()}
        ai_id = text["SK"].removeprefix(ACTIVE) if text["SK"].startswith(ACTIVE) else text["SK"].partition(OLD)[0]
        own = ("chat_id", "ai_version", "create_time")
        return cls(text["PK"], ai_id, *(text[name] for name in own), text.get("delete_time"))

    def key(self, closed: bool = False) -> Item:
        """Of its record, active or closed."""
        return _key(self.user_id, f"{self.ai_id}{OLD}{self.chat_id}" if closed else ACTIVE + self.ai_id)

    def item(self, closed: bool = False, **more: str) -> Item:
        """Its record, active or closed."""
        given = {"chat_id": self.chat_id, "ai_version": self.ai_version, "create_time": self.create_time, **more}
        return {**self.key(closed), **{n: {"S": v} for n, v in given.items()}, "GSI1PK": {"S": self.chat_id}}


@dataclass(frozen=True, slots=True)
class Page:
    """Closed sessions, and where the next page begins; None if there is none."""

    chats: list[Chat]
    next: Item | None


def ulid(at: datetime) -> str:
    """An id that sorts by time, https://github.com/ulid/spec: 48 bits of milliseconds, and 80 random bits."""
    number = (int(at.timestamp() * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


class ChatSessions:
    """The writer. Any number of callers may use the table at once."""

    def __init__(
        self, client: Any, now: Callable[[], datetime] = lambda: datetime.now(UTC), table: str = TABLE["TableName"]
    ) -> None:
        self._client, self._now, self._table = client, now, table

    def create_chat(self, user_id: str, ai_id: str, ai_version: str) -> Chat:
        """Begins a session. ChatError if the two have an active one."""
        _refuse_separators(user_id, ai_id)
        chat = self._begun(user_id, ai_id, ai_version)
        try:
            self._client.put_item(
                TableName=self._table, Item=chat.item(), ConditionExpression="attribute_not_exists(PK)"
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            found = self.get_chat_by_user_and_ai(user_id, ai_id)
            if found is None or found.chat_id != chat.chat_id:  # else the answer to an earlier try was lost
                raise ChatError(f"{user_id} already has an active chat with {ai_id}: close or renew it") from None
        return chat

    def get_chat_by_user_and_ai(self, user_id: str, ai_id: str) -> Chat | None:
        """The active session."""
        key = _key(user_id, ACTIVE + ai_id)
        found = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return Chat.of(found) if found else None

    def delete_chat(self, user_id: str, ai_id: str) -> Chat:
        """Closes the active session, and returns it. ChatError if there is none, or if another caller was first."""

        def actions(seen: Chat) -> list[Item]:
            return [
                self._put_closed(seen, delete_time=self._now().isoformat()),
                {"Delete": {"TableName": self._table, "Key": seen.key(), **_as_seen(seen)}},
            ]

        return self._ended(user_id, ai_id, actions)

    def renew_chat(self, user_id: str, ai_id: str, ai_version: str) -> Chat:
        """Ends the active session, whose record has no `delete_time`, and begins the next one, which it returns.
        ChatError as for `delete_chat`."""
        chat = self._begun(user_id, ai_id, ai_version)

        def actions(seen: Chat) -> list[Item]:
            names = ("chat_id", "ai_version", "create_time", "GSI1PK")
            guard = _as_seen(seen, {f":{name}": chat.item()[name] for name in names})
            update = "SET " + ", ".join(f"{name} = :{name}" for name in names)
            return [
                self._put_closed(seen),
                {"Update": {"TableName": self._table, "Key": seen.key(), "UpdateExpression": update, **guard}},
            ]

        self._ended(user_id, ai_id, actions)
        return chat

    def update_ai_version_by_chat_id(self, chat_id: str, ai_version: str) -> None:
        """Gives an active session another version. ChatError if it is not active, or not yet in the index, which
        follows the table after a moment."""
        found = self._client.query(
            TableName=self._table,
            IndexName="GSI1_chat",
            KeyConditionExpression="GSI1PK = :chat",
            ExpressionAttributeValues={":chat": {"S": chat_id}},
        )["Items"]
        active = [item for item in found if item["SK"]["S"].startswith(ACTIVE)]
        if not active:
            raise ChatError(f"no active chat has the id {chat_id}")
        try:
            self._client.update_item(
                TableName=self._table,
                Key={name: active[0][name] for name in ("PK", "SK")},
                UpdateExpression="SET ai_version = :version",
                ConditionExpression="chat_id = :chat",
                ExpressionAttributeValues={":version": {"S": ai_version}, ":chat": {"S": chat_id}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            raise ChatError(f"the chat {chat_id} was closed or renewed meanwhile") from None

    def history(self, user_id: str, ai_id: str, limit: int = 20, start: Item | None = None) -> Page:
        """Closed sessions of the two, newest first."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="PK = :user AND begins_with(SK, :old)",
            ExpressionAttributeValues={":user": {"S": user_id}, ":old": {"S": ai_id + OLD}},
            ScanIndexForward=False,
            Limit=limit,
            **({"ExclusiveStartKey": start} if start else {}),
        )
        return Page([Chat.of(item) for item in answer["Items"]], answer.get("LastEvaluatedKey"))

    def _begun(self, user_id: str, ai_id: str, ai_version: str) -> Chat:
        now = self._now()
        return Chat(user_id, ai_id, ulid(now), ai_version, now.isoformat())

    def _put_closed(self, seen: Chat, **more: str) -> Item:
        item, new = seen.item(closed=True, **more), "attribute_not_exists(PK)"
        return {"Put": {"TableName": self._table, "Item": item, "ConditionExpression": new}}

    def _ended(self, user_id: str, ai_id: str, actions: Callable[[Chat], list[Item]]) -> Chat:
        """Reads the active session and ends it in one transaction, on condition that it is as it was read. Only this
        session: what another caller has begun meanwhile stays."""
        first = seen = self._seen(user_id, ai_id)
        for _ in range(ATTEMPTS):
            try:
                self._client.transact_write_items(TransactItems=actions(seen))
                return seen
            except ClientError as error:
                if error.response["Error"]["Code"] != "TransactionCanceledException":
                    raise
            seen = self._seen(user_id, ai_id)
            if seen.chat_id != first.chat_id:
                raise ChatError(f"the chat of {user_id} with {ai_id} was renewed meanwhile")
        raise ChatError(f"the chat of {user_id} with {ai_id} is being written all the time: try again")

    def _seen(self, user_id: str, ai_id: str) -> Chat:
        found = self.get_chat_by_user_and_ai(user_id, ai_id)
        if found is None:
            raise ChatError(f"{user_id} has no active chat with {ai_id}")
        return found


def _as_seen(seen: Chat, more: Mapping[str, Any] = {}) -> Item:
    values = {":seen": {"S": seen.chat_id}, ":seen_version": {"S": seen.ai_version}, **more}
    return {"ConditionExpression": _AS_SEEN, "ExpressionAttributeValues": values}


def _key(user_id: str, sort: str) -> Item:
    return {"PK": {"S": user_id}, "SK": {"S": sort}}


def _refuse_separators(*ids: str) -> None:
    if any("#" in each or not each for each in ids):
        raise ChatError("an id is empty or contains '#', which separates the parts of a key")
