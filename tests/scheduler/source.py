"""A source table with its stream, the application that writes to it, and the event source mapping that delivers it."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from tests.fakes import dynamodb
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.items import Schema, key_of
from tests.scheduler.scheduler import STARTED, Scheduler

PAGE_ITEMS = 3
PATIENCE = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}

Image = dict[str, Any]
Record = dict[str, Any]


class Streaming(DynamoDB):
    """Tables, of which some (`regions` by table) leave a record of every change in `records`; scans have small pages.
    `clock` is the service's own, in seconds since the epoch. Each table's stream numbers its records by itself; the
    first table's numbers are the greatest."""

    def __init__(self, schemas: Mapping[str, Schema], regions: Mapping[str, str], random: Random) -> None:
        super().__init__(schemas)
        self.records: dict[str, list[Record]] = {table: [] for table in regions}
        self.clock: Callable[[], float] = lambda: STARTED
        self._regions, self._random = regions, random
        self._positions = {table: 10 ** (20 + at) for at, table in enumerate(reversed(regions))}

    def scan(self, *, TableName: str, ReturnConsumedCapacity: str = "NONE", **more: Any) -> dict[str, Any]:
        """See `DynamoDB.scan`."""
        return {**super().scan(TableName=TableName, **{"Limit": PAGE_ITEMS, **more}), **_consumed(TableName)}

    def batch_get_item(self, *, RequestItems: Any, ReturnConsumedCapacity: str = "NONE") -> dict[str, Any]:
        """See `DynamoDB.batch_get_item`."""
        return {**super().batch_get_item(RequestItems=RequestItems), "ConsumedCapacity": []}

    def expire(self, table: str, key: Image) -> None:
        """A delete by TTL."""
        self.delete_item(TableName=table, Key=key)
        self.records[table][-1]["userIdentity"] = TTL

    def _write(self, operation: str, arguments: Any, key: Any, new: Any) -> dict[str, Any]:
        table = arguments["TableName"]
        if table not in self._regions:
            return super()._write(operation, arguments, key, new)
        keys = key(self._schemas[table])
        place = key_of(keys, self._schemas[table])
        old = self.state[table].get(place)
        answer = super()._write(operation, arguments, key, new)
        now = self.state[table].get(place)
        if old != now:
            self._note(table, keys, old, now)
        return answer

    def _note(self, table: str, keys: Image, old: Image | None, new: Image | None) -> None:
        position = self._positions[table] = self._positions[table] + self._random.randint(1, 10**18)
        body: Record = {"ApproximateCreationDateTime": int(self.clock()), "Keys": dict(keys), "SizeBytes": 1}
        body |= {"SequenceNumber": str(position)}
        body |= {"NewImage": new} if new else {}
        body |= {"OldImage": old} if old else {}
        self.records[table].append(
            {
                "eventID": f"{table}-{position}",
                "eventName": "REMOVE" if new is None else "MODIFY" if old else "INSERT",
                "eventSource": "aws:dynamodb",
                "eventSourceARN": f"arn:aws:dynamodb:{self._regions[table]}:123456789012:table/{table}/stream/1",
                "dynamodb": body,
            }
        )


def _consumed(table: str) -> dict[str, Any]:
    return {"ConsumedCapacity": {"TableName": table, "CapacityUnits": 1.0}}


class Shard:
    """An event source mapping on one shard: in order, from its checkpoint on, until the shard is closed and done.

    `function` processes a batch and says at which of its records it failed, if at one. An invocation that takes too
    long is given up and its batch delivered again, while the first one goes on as a zombie: at most `zombies` times.
    Nothing more befalls a zombie: what fails in it, nobody repeats, so that is a late effect (see `effects.late`).
    `rewinds` times the shard is read again from an earlier record on, and records are delivered twice within a batch.
    Of the records for which `loses` says so, Lambda gives up: they are never delivered.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        records: Callable[[], Sequence[Record]],
        function: Callable[[Sequence[Record]], int | None],
        random: Random,
        closed: Callable[[], bool],
        zombies: int = 1,
        rewinds: int = 1,
        loses: Callable[[Record], bool] = lambda record: False,
    ) -> None:
        self._scheduler, self._records, self._function, self._random = scheduler, records, function, random
        self._closed, self._zombies, self._rewinds, self._loses = closed, zombies, rewinds, loses
        self._at = self._invocations = 0
        self._pause = FIRST_PAUSE
        self.lost: list[Record] = []
        self.finished = False

    def run(self) -> None:
        """The actor's program."""
        while True:
            self._scheduler.wait(lambda: self._at < len(self._records()) or self._closed())
            records = self._records()
            if self._at >= len(records):
                self.finished = True
                return
            batch = list(records[self._at : self._at + self._random.choice((1, 1, 3, 10))])
            self._at += self._delivered(batch)
            if self._rewinds and self._at and self._random.random() < 0.15:
                self._rewinds -= 1
                self._at = self._random.randrange(self._at)

    @property
    def behind(self) -> Sequence[Record]:
        """The records before the checkpoint."""
        return self._records()[: self._at]

    def _delivered(self, batch: list[Record]) -> int:
        """How many records the checkpoint moves on by."""
        kept = [record for record in batch if not self._given_up(record)]
        given = kept + self._random.choices(kept, k=1) if kept and self._random.random() < 0.2 else kept
        self._invocations += 1
        name = f"live {self._invocations}"
        invocation = self._scheduler.spawn(name, lambda: self._function(given))
        patience = PATIENCE if self._zombies and self._random.random() < 0.3 else None
        if not self._scheduler.wait(lambda: invocation.ended, patience):
            self._zombies -= 1
            invocation.become_zombie()
            return 0
        if not invocation.crashed and invocation.result is None:
            self._pause = FIRST_PAUSE
            return len(batch)
        self._scheduler.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return 0 if invocation.crashed else batch.index(given[invocation.result])

    def _given_up(self, record: Record) -> bool:
        if record not in self.lost and self._loses(record):
            self.lost.append(record)
        return record in self.lost


def client(scheduler: Scheduler, service: DynamoDB) -> Any:
    """The service, behind the scheduler."""
    return scheduler.client(service, dynamodb)
