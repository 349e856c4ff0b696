"""A source table: its items, and the stream records and snapshots that it would have made."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.fakes.items import copied
from tests.fakes.streaming import TTL, Record, arn_of, record

ARN = arn_of("users")
SENTINELS = ("sentinel", "c2VudGluZWw", "271828182845904523")
"""Every value of an item holds one of these, so that content is known wherever it turns up."""

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A source table's key schema, attribute to type, and the key of its n-th user."""

    name: str
    schema: Mapping[str, str]

    def key(self, user: int) -> dict[str, Any]:
        """In DynamoDB JSON, as a Lambda event spells it."""
        values = {"S": f"sentinel ü#{user}", "N": f"{271828182845904523 + user}", "B": f"c2VudGluZWw{user}"}
        return {name: {type: values[type]} for name, type in self.schema.items()}


SINGLE = Table("single", {"user_id": "S"})
COMPOSITE = Table("composite", {"tenant": "S", "number": "N"})
BINARY = Table("binary", {"token": "B"})
TABLES = (SINGLE, COMPOSITE, BINARY)


class Source:
    """`items` by user as they stand, `records` as the stream holds them. Sequence numbers look as they do on AWS: a
    counter, that here grows from three digits to four, and 20 digits more that mean nothing."""

    def __init__(self, table: Table = SINGLE, seed: int = 0) -> None:
        self.table = table
        self.random = Random(seed)
        self.items: dict[int, dict[str, Any]] = {}
        self.records: list[Record] = []
        self._counter = 994
        self._snapshots = 0

    def put(self, user: int, **attributes: Any) -> None:
        """The item of a user replaced; a put that changes nothing leaves no record."""
        new = {**self.table.key(user), **ordinary(user), **attributes}
        old = self.items.get(user)
        if old != new:
            self.items[user] = new
            self._note(user, old, new)

    def delete(self, user: int, expired: bool = False) -> None:
        """By the application, or by TTL."""
        old = self.items.pop(user, None)
        if old:
            self._note(user, old, None, **({"userIdentity": TTL} if expired else {}))

    def snapshot(self, user: int) -> Record:
        """The item as a scan finds it now."""
        self._snapshots += 1
        more = {"eventID": f"snapshot-{self._snapshots}", "distributary": {"origin": "snapshot"}}
        return self._record(user, None, self.items[user], None, **more)

    def user_of(self, record: Record) -> int:
        """Whose item a record is about."""
        keys = record["dynamodb"]["Keys"]
        return next(user for user in range(1000) if self.table.key(user) == keys)

    def _note(self, user: int, old: Item | None, new: Item | None, **more: Any) -> None:
        self._counter += self.random.randint(1, 3)
        number = f"{self._counter}{self.random.randrange(10**20):020d}"
        self.records.append(self._record(user, old, new, number, eventID=f"event-{self._counter}", **more))

    def _record(self, user: int, old: Item | None, new: Item | None, number: str | None, **more: Any) -> Record:
        return record(ARN, self.table.key(user), copied(old), copied(new), number, **more)


def sequence(record: Record) -> str:
    """What Lambda wants back if this record failed."""
    return str(record["dynamodb"]["SequenceNumber"])


def address(user: int) -> str:
    """A user's own e-mail address."""
    return f"sentinel.{user}@example.com"


def ordinary(user: int) -> dict[str, Any]:
    """What every user has."""
    return {"email": {"S": address(user)}, "status": {"S": "active"}, "kind": {"S": "person"}}
