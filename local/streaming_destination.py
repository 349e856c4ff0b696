"""What the embedded DynamoDB writes into a Kinesis data stream, in AWS's form.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/kds.html
"""

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from ministack.services import dynamodb, kinesis

_IMAGES = ("Keys", "NewImage", "OldImage")
_MICROS = 1_000_000


def change_of(record: Mapping[str, Any], table: str, precision: str, now: float) -> dict[str, Any]:
    """A record of the table's stream as DynamoDB writes it into a data stream: binary values in base64 twice, no
    sequence number, and the time in the precision. `now` in seconds since the epoch."""
    body, unit = record["dynamodb"], _MICROS if precision == "MICROSECOND" else 1000
    user = record.get("userIdentity")
    return {
        "awsRegion": record["awsRegion"],
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "userIdentity": {"type": user["Type"], "principalId": user["PrincipalId"]} if user else None,
        "recordFormat": "application/json",
        "tableName": table,
        "dynamodb": {
            "ApproximateCreationDateTime": int(now * unit),
            "ApproximateCreationDateTimePrecision": precision,
            **{name: _twice(body[name]) for name in _IMAGES if name in body},
            "SizeBytes": body["SizeBytes"],
        },
        "eventSource": "aws:dynamodb",
    }


def partition_of(record: Mapping[str, Any]) -> str:
    """The same for all changes of an item."""
    return hashlib.md5(json.dumps(record["dynamodb"]["Keys"], sort_keys=True).encode()).hexdigest().upper()


def install() -> None:
    """Has the embedded DynamoDB write so."""

    def fan_out(table: str, record: Mapping[str, Any]) -> None:
        for destination in dynamodb._kinesis_destinations.get(table, []):
            if destination.get("DestinationStatus") == "ACTIVE":
                precision = destination.get("ApproximateCreationDateTimePrecision") or "MICROSECOND"
                content = json.dumps(change_of(record, table, precision, time.time()))
                kinesis.put_record_internal(destination["StreamArn"], partition_of(record), content.encode())

    dynamodb._fan_out_to_kinesis = fan_out


def _twice(image: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _typed(typed) for name, typed in image.items()}


def _typed(typed: Mapping[str, Any]) -> dict[str, Any]:
    ((kind, content),) = typed.items()
    match kind:
        case "B":
            return {"B": _again(content)}
        case "BS":
            return {"BS": [_again(each) for each in content]}
        case "M":
            return {"M": _twice(content)}
        case "L":
            return {"L": [_typed(each) for each in content]}
    return {kind: content}


def _again(spelled: str) -> str:
    return base64.b64encode(spelled.encode()).decode()
