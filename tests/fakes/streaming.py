"""Tables that leave a record of every change, as a stream with both images has it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.fakes.dynamodb import DynamoDB
from tests.fakes.items import Schema, key_of

CREATED = 1_795_341_600
TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}

Image = Mapping[str, Any]
Record = dict[str, Any]


def arn_of(table: str, region: str = "eu-west-1") -> str:
    """A stream of this table."""
    return f"arn:aws:dynamodb:{region}:123456789012:table/{table}/stream/2026-11-20T09:12:44.017"


def record(
    arn: str,
    keys: Image,
    old: Image | None,
    new: Image | None,
    number: int | str | None,
    created: float = CREATED,
    **more: Any,
) -> Record:
    """A record of the stream `arn`, as a Lambda event spells it; a snapshot has no `number`. `more` is added."""
    body: Record = {"ApproximateCreationDateTime": created, "Keys": dict(keys), "SizeBytes": 1}
    body |= {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    body |= {"SequenceNumber": str(number)} if number is not None else {}
    body |= {"NewImage": new} if new else {}
    body |= {"OldImage": old} if old else {}
    return {
        "eventID": f"event-{number}",
        "eventName": "REMOVE" if new is None else "MODIFY" if old else "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": arn.split(":")[3],
        "eventSourceARN": arn,
        "dynamodb": body,
        **more,
    }


@dataclass
class Stream:
    """Of one table: the sequence numbers of its records to come, and its records."""

    arn: str
    numbers: Iterator[int]
    records: list[Record] = field(default_factory=list)


def streams(arns: Mapping[str, str], random: Random) -> dict[str, Stream]:
    """By table. Each stream numbers its records by itself; the first one's numbers are the greatest."""
    return {
        table: Stream(arns[table], _growing(10 ** (20 + at), random)) for at, table in enumerate(reversed(list(arns)))
    }


def _growing(number: int, random: Random) -> Iterator[int]:
    while True:
        number += random.randint(1, 10**18)
        yield number


class Streaming(DynamoDB):
    """Each table in `streams` leaves a record of every change there. `now` is the service's own clock, in seconds since
    the epoch. Its scans have small pages."""

    def __init__(self, schemas: Mapping[str, Schema], streams: Mapping[str, Stream] | None = None) -> None:
        super().__init__(schemas)
        self.streams, self.page_items = streams or {}, 3
        self.now: Callable[[], float] = lambda: CREATED

    def records(self, table: str) -> Sequence[Record]:
        """Of the table's stream."""
        return self.streams[table].records

    def expire(self, *, TableName: str, Key: Image) -> None:
        """A delete by TTL."""
        self.delete_item(TableName=TableName, Key=Key)
        self.streams[TableName].records[-1]["userIdentity"] = TTL

    def _write(self, operation: str, arguments: Any, key: Any, new: Any) -> dict[str, Any]:
        table = arguments["TableName"]
        keys = key(self._schemas[table])
        place = key_of(keys, self._schemas[table])
        old = self.state[table].get(place)
        answer = super()._write(operation, arguments, key, new)
        now = self.state[table].get(place)
        if old != now:
            self._changed(table, keys, old, now)
        return answer

    def _changed(self, table: str, keys: Image, old: Image | None, new: Image | None) -> None:
        if stream := self.streams.get(table):
            stream.records.append(record(stream.arn, keys, old, new, next(stream.numbers), int(self.now())))
