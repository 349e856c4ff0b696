"""Where a mapping sends what it gives up.

https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html: S3 keeps the whole invocation record
with its payload, SQS and SNS get the sequence range only.
"""

import datetime
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from distributary.stream.kinesis import data_stream_of
from local.errors import LocalError
from local.esm.records import Record, event_of

Client = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Discard:
    """Records given up: under which condition, after how many invocations, and how the last of them ended."""

    records: tuple[Record, ...]
    condition: str
    invocations: int
    request_id: str
    function_error: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Which mapping, of which function, on which shard."""

    mapping_id: str
    function_arn: str
    stream_arn: str
    shard_id: str


def invocation_record(discard: Discard, place: Place, now: datetime.datetime) -> dict[str, Any]:
    """Lambda's own document. What was never invoked has no response, what reported its failures no function error."""
    response: dict[str, Any] = {"statusCode": 200, "executedVersion": "$LATEST"}
    if discard.function_error:
        response["functionError"] = discard.function_error
    first, last = discard.records[0], discard.records[-1]
    data_stream = data_stream_of(place.stream_arn)
    return {
        "requestContext": {
            "requestId": discard.request_id,
            "functionArn": place.function_arn,
            "condition": discard.condition,
            "approximateInvokeCount": discard.invocations,
        },
        **({"responseContext": response} if discard.invocations else {}),
        "version": "1.0",
        "timestamp": _stamp(now, "milliseconds"),
        "KinesisBatchInfo" if data_stream else "DDBStreamBatchInfo": {
            "shardId": place.shard_id,
            "startSequenceNumber": first.identifier,
            "endSequenceNumber": last.identifier,
            "approximateArrivalOfFirstRecord": _arrival(first),
            "approximateArrivalOfLastRecord": _arrival(last),
            "batchSize": len(discard.records),
            "streamArn": data_stream or place.stream_arn,
        },
    }


def object_key(place: Place, now: datetime.datetime, unique: uuid.UUID) -> str:
    """aws/lambda/<mapping's UUID>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<random UUID>"""
    return f"aws/lambda/{place.mapping_id}/{place.shard_id}/{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{unique}"


def check(arn: str | None) -> None:
    """LocalError for a destination that cannot be written to here."""
    if arn is not None and _service(arn) not in _SENDERS:
        raise LocalError(f"OnFailure destination {arn}: here it is an S3 bucket, an SQS queue or an SNS topic")


def send(arn: str, discard: Discard, place: Place, client: Client) -> None:
    """Writes the invocation record. Raises what boto3 raises."""
    now = datetime.datetime.now(datetime.UTC)
    service = _service(arn)
    _SENDERS[service](client(service), arn, discard, place, now)


def _to_s3(client: Any, arn: str, discard: Discard, place: Place, now: datetime.datetime) -> None:
    record = {**invocation_record(discard, place, now), "payload": event_of(discard.records).decode()}
    key = object_key(place, now, uuid.uuid4())
    client.put_object(Bucket=arn.rsplit(":", 1)[1], Key=key, Body=json.dumps(record).encode())


def _to_sqs(client: Any, arn: str, discard: Discard, place: Place, now: datetime.datetime) -> None:
    queue = client.get_queue_url(QueueName=arn.rsplit(":", 1)[1])["QueueUrl"]
    client.send_message(QueueUrl=queue, MessageBody=json.dumps(invocation_record(discard, place, now)))


def _to_sns(client: Any, arn: str, discard: Discard, place: Place, now: datetime.datetime) -> None:
    client.publish(TopicArn=arn, Message=json.dumps(invocation_record(discard, place, now)))


_SENDERS = {"s3": _to_s3, "sqs": _to_sqs, "sns": _to_sns}


def _service(arn: str) -> str:
    parts = arn.split(":")
    return parts[2] if len(parts) > 5 else ""


def _arrival(record: Record) -> str:
    return _stamp(datetime.datetime.fromtimestamp(record.created, datetime.UTC), "seconds")


def _stamp(moment: datetime.datetime, precision: str) -> str:
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
