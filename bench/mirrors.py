"""Three ways to keep a table in another region, driven by the same events: ours, and the two that people use."""

import contextlib
import importlib.util
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller
from botocore.config import Config

from bench.consume import Context
from bench.meter import Meter
from distributary.consumer.marshaller import StreamMarshaller
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.codec import for_client

ROOT = Path(__file__).resolve().parents[1]
AWAY = "eu-west-1"
PLAIN = "BatchProcessor, one put_item or delete_item per record"
BATCHED = "dynamodb-replicator's algorithm: last event per key, BatchWriteItem of 25"
BATCH_WRITE_ITEMS = 25
REQUESTS_AT_ONCE = 100
Event = dict[str, Any]
STANDARD = LambdaMarshaller()
"""Lambda's runtime decodes an event with it before a handler is called."""


@dataclass
class Side:
    """A handler, and what its calls cost."""

    name: str
    table: str
    handler: Callable[[Event], Mapping[str, Any]]
    meter: Meter
    marshaller: Any = STANDARD

    def handle(self, event: Event) -> None:
        """Everything succeeds."""
        content = json.dumps(event, separators=(",", ":")).encode()
        with contextlib.redirect_stdout(io.StringIO()):
            answer = self.handler(self.marshaller.unmarshal_request(content))
        assert not answer["batchItemFailures"], answer


def environment(table: str) -> dict[str, str]:
    """The function's, beside what a process on AWS has; for a table and its tombstones beside it."""
    return {
        "SOURCE_REGION": "us-east-1",
        "REPLICA_TABLE": table,
        "REPLICA_REGION": AWAY,
        "TARGET_ROLE_ARN": "none",
        "VERSION_ATTRIBUTE": REPLICA_VERSION,
        "TOMBSTONE_TABLE": f"{table}-tombstones",
        "TOMBSTONE_DAYS": "7",
        "PARKING_BUCKET": "bench",
        "GENERATION": "0",
    }


def ours(table: str) -> Side:
    """functions/replicate/app.py as it is, with the template's settings. `table` and its tombstones are there."""
    folder, meter = ROOT / "functions" / "replicate", Meter()
    spec = importlib.util.spec_from_file_location("bench_replicate_app", folder / "app.py")
    assert spec is not None
    assert spec.loader is not None
    app = importlib.util.module_from_spec(spec)
    with mock.patch.object(sys, "path", [str(folder), *sys.path]), mock.patch.dict(os.environ, environment(table)):
        spec.loader.exec_module(app)
        with meter.watching():
            app.runtime()
    return Side("ours", table, lambda event: app.handler(event, Context()), meter, StreamMarshaller(STANDARD))


def plain(table: str) -> Side:
    """https://docs.powertools.aws.dev/lambda/python/latest/utilities/batch/, one connection."""
    meter = Meter()
    client = meter.watch(boto3.resource("dynamodb", region_name=AWAY).meta.client)
    processor = BatchProcessor(event_type=EventType.DynamoDBStreams)

    def one(record: DynamoDBRecord) -> None:
        body = record.dynamodb
        assert body is not None
        if body.new_image:
            client.put_item(TableName=table, Item=dict(body.new_image))
        else:
            client.delete_item(TableName=table, Key=dict(body.keys or {}))

    return Side(PLAIN, table, lambda event: process_partial_response(event, one, processor), meter)


def batched(table: str) -> Side:
    """As `replicate` in https://github.com/mapbox/dynamodb-replicator/blob/master/index.js does it, whose package npm
    did not have (404): no conditions, up to 100 requests at once, unprocessed items again."""
    meter = Meter()
    config = Config(max_pool_connections=REQUESTS_AT_ONCE)
    client = meter.watch(boto3.client("dynamodb", region_name=AWAY, config=config))
    pool = ThreadPoolExecutor(REQUESTS_AT_ONCE)

    def send(requests: Sequence[Any]) -> None:
        left = {table: list(requests)}
        while left:
            left = client.batch_write_item(RequestItems=left)["UnprocessedItems"]

    def handler(event: Event) -> Mapping[str, Any]:
        last = {repr(each["dynamodb"]["Keys"]): each["dynamodb"] for each in event["Records"]}
        requests = [_request(each) for each in last.values()]
        steps = range(0, len(requests), BATCH_WRITE_ITEMS)
        list(pool.map(send, [requests[at : at + BATCH_WRITE_ITEMS] for at in steps]))
        return {"batchItemFailures": []}

    return Side(BATCHED, table, handler, meter)


def _request(body: Event) -> dict[str, Any]:
    if "NewImage" in body:
        return {"PutRequest": {"Item": {name: for_client(typed, name) for name, typed in body["NewImage"].items()}}}
    return {"DeleteRequest": {"Key": body["Keys"]}}
