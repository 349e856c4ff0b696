"""GetRecords' records, as Lambda puts them into an event."""

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distributary.stream.codec import typed_json

Image = Mapping[str, Any]
_IMAGES = ("Keys", "NewImage", "OldImage")


@dataclass(frozen=True, slots=True)
class Record:
    """A record on its way to a function: `event` in Lambda's form, `encoded` as JSON, `created` in epoch seconds.

    `identifier` is what a function reports a failure by; `item` is the same for all records of one item.
    """

    event: Mapping[str, Any]
    encoded: bytes
    identifier: str
    item: str
    created: float

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Record":
        """From a record in Lambda's form, which may be malformed on purpose."""
        if "kinesis" in event:
            return cls._of_kinesis(event, event["kinesis"])
        body = event.get("dynamodb") or {}
        snapshot = "distributary" in event
        return cls(
            event=event,
            encoded=_encoded(event),
            identifier=str(event.get("eventID") if snapshot else body.get("SequenceNumber", "")),
            item=json.dumps(body.get("Keys"), sort_keys=True),
            created=float(body.get("ApproximateCreationDateTime") or 0),
        )

    @classmethod
    def _of_kinesis(cls, event: Mapping[str, Any], carried: Mapping[str, Any]) -> "Record":
        """Lambda keeps those of one partition key together, and takes the time of arrival for a record's age."""
        created = float(carried["approximateArrivalTimestamp"])
        return cls(event, _encoded(event), carried["sequenceNumber"], carried["partitionKey"], created)


def _encoded(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def lambda_record(record: Mapping[str, Any], stream_arn: str, region: str) -> dict[str, Any]:
    """One record of GetRecords in Lambda's form: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html"""
    body = dict(record["dynamodb"])
    created = body.get("ApproximateCreationDateTime")
    if isinstance(created, datetime.datetime):
        body["ApproximateCreationDateTime"] = created.timestamp()
    for name in _IMAGES:
        if name in body:
            body[name] = typed_json(body[name])
    event = {**record, "dynamodb": body, "awsRegion": region, "eventSourceARN": stream_arn}
    user = record.get("userIdentity")
    if user:
        event["userIdentity"] = {"principalId": user.get("PrincipalId"), "type": user.get("Type")}
    return event


def event_of(records: Sequence[Record]) -> bytes:
    """The event that carries these records."""
    return b'{"Records":[' + b",".join(record.encoded for record in records) + b"]}"
