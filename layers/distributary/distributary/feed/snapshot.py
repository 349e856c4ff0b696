"""An item that a table or an export holds, as a record of origin snapshot."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from distributary.stream.codec import Typed
from distributary.stream.dynamodb_stream import EVENT_SOURCE


@dataclass(frozen=True, slots=True)
class Table:
    """A table to scan: its key attributes, and the stream that its snapshot records claim as their source."""

    name: str
    keys: tuple[str, ...]
    stream_arn: str
    region: str


class Snapshot(NamedTuple):
    """A record as JSON text, with the id by which the function names it if it fails."""

    event_id: str
    text: bytes


_NOTES = {False: b'{"origin":"snapshot"}', True: b'{"origin":"snapshot","first_fill":true}'}


def snapshot_text(image: Mapping[str, Typed], table: Table, now: float, first_fill: bool = False) -> Snapshot:
    """An item in DynamoDB JSON as an INSERT of origin snapshot. It has no place in the stream, so its sequence number
    is 0 and its event id, made of its keys, identifies it. Raises TypeError or ValueError for what is no JSON."""
    keys = msgspec.json.encode({name: image[name] for name in table.keys}, order="sorted")
    event_id = f"snapshot-{hashlib.sha256(keys).hexdigest()[:32]}"
    before, after = _around(table, int(now), first_fill)
    text = b'{"eventID":"%b",%b%b,"NewImage":%b,%b' % (
        event_id.encode(),
        before,
        keys,
        msgspec.json.encode(image),
        after,
    )
    return Snapshot(event_id, text)


@lru_cache(maxsize=16)
def _around(table: Table, now: int, first_fill: bool) -> tuple[bytes, bytes]:
    """What a record has between its id and its keys, and after its image: the same for many records."""
    named = {
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": EVENT_SOURCE,
        "awsRegion": table.region,
        "eventSourceARN": table.stream_arn,
    }
    head = msgspec.json.encode(named)[1:-1]
    body = b'"distributary":%b,"dynamodb":{"ApproximateCreationDateTime":%d.0,"Keys":' % (_NOTES[first_fill], now)
    return head + b"," + body, b'"SequenceNumber":"0","SizeBytes":0,"StreamViewType":"NEW_AND_OLD_IMAGES"}}'


def snapshot_record(image: Mapping[str, Typed], table: Table, now: float, first_fill: bool = False) -> dict[str, Any]:
    """See `snapshot_text`."""
    found: dict[str, Any] = msgspec.json.decode(snapshot_text(image, table, now, first_fill).text)
    return found
