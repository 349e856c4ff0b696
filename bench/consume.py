"""Decode and consume, 1,000 records of 2 KB, five attributes read and nothing written: ours against BatchProcessor."""

import contextlib
import gc
import io
import os
import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from bench.harness import Row, paired, row
from distributary.consumer.consume import Deployment, consume
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, Outcome
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.stream.change import Change

RECORDS = 1000
BATCHES = 10
READ = ("name", "email", "visits", "tags", "avatar")
TARGET = 0.2


class Context:
    """An invocation with a minute to go."""

    aws_request_id = "bench"

    def get_remaining_time_in_millis(self) -> int:
        """A minute."""
        return 60_000


class Reader:
    """A branch that reads five attributes and writes nothing."""

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:  # noqa: ARG002
        """All applied."""
        for change in changes:
            for name in READ:
                assert change.new is not None
                change.new[name]
        return [APPLIED] * len(changes)


def image(i: int) -> dict[str, Any]:
    """A user of some 2 KB and sixteen attributes."""
    texts = {f"field_{n}": {"S": f"{n}" * 100} for n in range(10, 20)}
    return {
        "user_id": {"S": f"user-{i}"},
        "name": {"S": "Zoë Þórsdóttir"},
        "email": {"S": f"user-{i}@example.com"},
        "visits": {"N": str(i)},
        "tags": {"SS": ["beta", "vip"]},
        "avatar": {"B": "AAEC" * 25},
        **texts,
    }


def event() -> dict[str, Any]:
    """A batch of INSERT and MODIFY, as Lambda delivers it."""
    return {"Records": [_record(i) for i in range(RECORDS)]}


def _record(i: int) -> dict[str, Any]:
    body = {
        "ApproximateCreationDateTime": time.time(),
        "Keys": {"user_id": {"S": f"user-{i}"}},
        "NewImage": image(i),
        "SequenceNumber": f"{6200000000002513011398 + i * 10**20}",
        "SizeBytes": 2048,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    return {
        "eventID": f"{i:032x}",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-01-01T00:00:00.000",
        "dynamodb": body,
    }


def _each_time(record: DynamoDBRecord) -> None:
    for name in READ:
        record.dynamodb.new_image[name]  # type: ignore[union-attr]


def _once(record: DynamoDBRecord) -> None:
    image = record.dynamodb.new_image  # type: ignore[union-attr]
    for name in READ:
        image[name]


def _microseconds(work: Callable[[], Any]) -> float:
    gc.collect()
    started = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        for _ in range(BATCHES):
            work()
    return (time.process_time() - started) * 1e6 / RECORDS / BATCHES


def rows() -> list[Row]:
    """Microseconds per record; the peer's handler written as most are, and written with care."""
    batch = event()
    environment = {"POWERTOOLS_METRICS_NAMESPACE": "Distributary", "POWERTOOLS_SERVICE_NAME": "bench"}
    with mock.patch.dict(os.environ, environment):
        deployed = Deployment(Reader(), Parking(None, "bench", "bench", Parallel(1)), Telemetry("bench"), Streams(0))
        return [
            _against(batch, deployed, _each_time, "BatchProcessor, record.dynamodb.new_image[name] five times", TARGET),
            _against(batch, deployed, _once, "BatchProcessor, record.dynamodb.new_image once", None),
        ]


def _against(
    batch: dict[str, Any],
    deployed: Deployment,
    handler: Callable[[DynamoDBRecord], None],
    name: str,
    target: float | None,
) -> Row:
    processor = BatchProcessor(event_type=EventType.DynamoDBStreams)
    ours, peer = paired(
        lambda: _microseconds(lambda: consume(batch, Context(), deployed)),
        lambda: _microseconds(lambda: process_partial_response(batch, handler, processor)),
    )
    workload = f"{RECORDS:,} records of 2 KB, five attributes read"
    return row("consume", workload, "CPU per record", "us", ours, peer, name, target)
