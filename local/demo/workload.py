"""A seeded stream of changes to a `users` table, with the cases in which simple consumers go wrong."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

KEY_SCHEMA = {
    "KeySchema": [{"AttributeName": "user_id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "user_id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
TTL_ATTRIBUTE = "expires_at"
WRITERS = 4

_NAMES = ("Zoë Þórsdóttir", "名前 花子", "Ωmega #1|:&=%", 'O\'Neil "Bob"', "👩‍🚀 Ada", "‮RTL‬", "Plain Jane")
_ITEM_BYTES_LIMIT = 400 * 1024
_ROOM_LEFT_FOR_NOTHING = 40


@dataclass(frozen=True, slots=True)
class Operation:
    """One write: the item to put, or None to delete it. `expired` marks the delete as TTL's."""

    user_id: str
    item: dict[str, Any] | None
    expired: bool = False


@dataclass(slots=True)
class Users:
    """One writer's own users. No other writer changes them, so its order is the table's order."""

    prefix: str
    rng: random.Random
    alive: dict[str, dict[str, Any]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    made: int = 0
    standing: set[str] = field(default_factory=set)
    """Those whom the table holds."""
    _begun: list[Operation] = field(default_factory=list)
    """What is left of a story that the last operations ended with."""

    def operations(self, many: int) -> Iterator[Operation]:
        """The next `many` writes."""
        for _ in range(many):
            self._begun = self._begun or self._story()
            yield self._begun.pop(0)

    def _story(self) -> list[Operation]:
        draw = self.rng.random()
        if draw < 0.28 or len(self.alive) < 3:
            return [self._write(self._new_id())]
        if draw < 0.36 and self.gone:
            return [self._write(self.gone.pop(self.rng.randrange(len(self.gone))))]
        user = self.rng.choice(list(self.alive))
        if draw < 0.46:
            return [self._delete(user)]
        if draw < 0.51:
            return [self._write(user, expires_at=int(time.time()) - 60), self._delete(user, expired=True)]
        if draw < 0.56:
            return [self._delete(user), self._write(user), self._delete(user), self._write(user)]
        if draw < 0.70:
            return [self._write(user) for _ in range(self.rng.randint(3, 6))]
        return [self._write(user)]

    def _new_id(self) -> str:
        self.made += 1
        return f"{self.prefix}-{self.made}"

    def _write(self, user: str, **more: Any) -> Operation:
        item = {**person(user, self.rng), **more}
        self.alive[user] = item
        return Operation(user, item)

    def _delete(self, user: str, expired: bool = False) -> Operation:
        del self.alive[user]
        self.gone.append(user)
        return Operation(user, None, expired)


def person(user: str, rng: random.Random) -> dict[str, Any]:
    """A user as Python values. About one in a hundred must be rejected by some branch."""
    item: dict[str, Any] = {
        "user_id": user,
        "email": f"{user}@example.com",
        "name": rng.choice(_NAMES),
        "status": rng.choice(["active", "invited", "blocked"]),
        "visits": rng.randrange(1_000_000),
        "balance": Decimal(rng.randrange(10**37, 10**38)).scaleb(-rng.randrange(38)),
        "avatar": rng.randbytes(rng.randrange(1, 200)),
        "tags": set(rng.sample(["vip", "beta", "ünïcode", "eu", "a#b", "trial"], rng.randint(1, 4))),
        "settings": {
            "theme": None,
            "limits": [Decimal("1E-130"), True, {"deep": [b"\x00\xff", {Decimal(1), Decimal(2)}]}],
        },
        TTL_ATTRIBUTE: 4_102_444_800,
    }
    match rng.randrange(320):
        case 0:
            item["email"] = "nobody at nowhere"
        case 1:
            item["visits"] = "many"
        case 2:
            item["email"] = f"{user}@example.com\r\nBcc: everyone@example.com"
    return bulky(user) if rng.randrange(1000) == 0 else item


def bulky(user: str) -> dict[str, Any]:
    """An item so large that no attribute can be added within DynamoDB's 400 KB: a replica cannot store its version
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)."""
    item = {"user_id": user, "email": f"{user}@example.com", "name": "Bulky", "status": "active", "essay": ""}
    room = _ITEM_BYTES_LIMIT - _ROOM_LEFT_FOR_NOTHING - sum(len(name) + len(text) for name, text in item.items())
    return {**item, "essay": "x" * room}


class Workload:
    """Writes the changes with a few writers at the same time, each with its own users."""

    def __init__(self, put: Callable[[dict[str, Any]], None], delete: Callable[[str], None], seed: int) -> None:
        self._put, self._delete, self._seed = put, delete, seed
        self._lock = threading.Lock()
        self.done = 0
        self.born: set[str] = set()
        """Users who were inserted while the stream ran, and can be sent a message."""
        self._writers = [Users(f"user-{w}", random.Random(f"{seed}/{w}")) for w in range(WRITERS)]

    def existing(self, many: int) -> Iterator[dict[str, Any]]:
        """The items that the table holds before it has a stream."""
        for i in range(many):
            writer = self._writers[i % WRITERS]
            operation = writer._write(writer._new_id())
            if operation.item is not None:
                writer.standing.add(operation.user_id)
                yield operation.item

    def run(self, changes: int) -> None:
        """Makes `changes` writes, each of which is one stream record; the next call goes on from there. Raises the
        first error of any writer."""
        shares = [changes // WRITERS + (w < changes % WRITERS) for w in range(WRITERS)]
        with ThreadPoolExecutor(WRITERS) as pool:
            for future in [pool.submit(self._write, *each) for each in zip(self._writers, shares, strict=True)]:
                future.result()

    def _write(self, users: Users, many: int) -> None:
        for operation in users.operations(many):
            if operation.item is None:
                self._delete(operation.user_id)
                users.standing.discard(operation.user_id)
            else:
                self._put(operation.item)
                if operation.user_id not in users.standing:
                    self._greetable(operation)
                users.standing.add(operation.user_id)
            with self._lock:
                self.done += 1

    def _greetable(self, operation: Operation) -> None:
        email = (operation.item or {})["email"]
        if email == f"{operation.user_id}@example.com":
            with self._lock:
                self.born.add(operation.user_id)
