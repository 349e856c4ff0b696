"""An item that a table or an export holds, as a record of origin snapshot."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from distributary.stream.codec import Typed


@dataclass(frozen=True, slots=True)
class Table:
    """A table to scan: its key attributes, and the stream that its snapshot records claim as their source."""

    name: str
    keys: tuple[str, ...]
    stream_arn: str
    region: str


def snapshot_record(image: Mapping[str, Typed], table: Table, now: float, first_fill: bool = False) -> dict[str, Any]:
    """An item in DynamoDB JSON as an INSERT of origin snapshot. It has no place in the stream, so its sequence number
    is 0 and its event id, made of its keys, identifies it."""
    keys = {name: image[name] for name in table.keys}
    canonical = msgspec.json.encode(keys, order="sorted")
    return {
        "eventID": f"snapshot-{hashlib.sha256(canonical).hexdigest()[:32]}",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": table.region,
        "eventSourceARN": table.stream_arn,
        "distributary": {"origin": "snapshot", **({"first_fill": True} if first_fill else {})},
        "dynamodb": {
            "ApproximateCreationDateTime": float(int(now)),
            "Keys": keys,
            "NewImage": image,
            "SequenceNumber": "0",
            "SizeBytes": 0,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }
