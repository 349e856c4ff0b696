"""A table's changes as DynamoDB writes them into a Kinesis data stream, and as Lambda delivers that."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.streaming import CREATED, Record

NAME = "changes"
MICROS = CREATED * 1_000_000


def source_of(table: str, stream: str = NAME) -> str:
    """How a data stream is written as a function's source."""
    return f"arn:aws:dynamodb:eu-west-1:123456789012:table/{table}/stream/kinesis/{stream}"


def arn_of(stream: str = NAME) -> str:
    """The data stream's own ARN."""
    return f"arn:aws:kinesis:eu-west-1:123456789012:stream/{stream}"


def written(record: Record, table: str, created: int, precision: str | None = "MICROSECOND") -> dict[str, Any]:
    """What DynamoDB writes of a change, here given as the table's stream has it; `created` in the precision, which
    records of before 2024 do not name. Its `eventID` is not that of the table's stream."""
    stream = record["dynamodb"]
    body: dict[str, Any] = {"ApproximateCreationDateTime": created, "SizeBytes": 1}
    body |= {"ApproximateCreationDateTimePrecision": precision} if precision else {}
    body |= {name: twice(stream[name]) for name in ("Keys", "NewImage", "OldImage") if name in stream}
    return {
        "awsRegion": "eu-west-1",
        "eventID": hashlib.sha256(repr((record["eventID"], table)).encode()).hexdigest()[:32],
        "eventName": record["eventName"],
        "userIdentity": record.get("userIdentity"),
        "recordFormat": "application/json",
        "tableName": table,
        "dynamodb": body,
        "eventSource": "aws:dynamodb",
    }


def delivered(content: Any, number: int, arn: str | None = None) -> Record:
    """A record of the data stream, as a Lambda event spells it; `number` counts the records of the shard."""
    data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
    sequence = f"4959033827149025660855969{number:031d}"
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "B0D3D1B5A8C7E6F4",
            "sequenceNumber": sequence,
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": CREATED + 0.25,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:{sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/derive",
        "awsRegion": "eu-west-1",
        "eventSourceARN": arn or arn_of(),
    }


def twice(image: Mapping[str, Any]) -> dict[str, Any]:
    """An image whose binary values, in base64 already, are in base64 once more."""
    return {name: _twice(typed) for name, typed in image.items()}


def _twice(typed: Any) -> Any:
    ((tag, content),) = typed.items()
    if tag == "B":
        return {"B": base64.b64encode(content.encode()).decode()}
    if tag == "BS":
        return {"BS": [base64.b64encode(each.encode()).decode() for each in content]}
    if tag == "M":
        return {"M": twice(content)}
    return {"L": [_twice(each) for each in content]} if tag == "L" else typed
