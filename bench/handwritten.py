"""Totals kept as AWS's guides show it: BatchProcessor, and one `update_item ADD` per record and group."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

NAME = "BatchProcessor, one update_item ADD per record"


class Handwritten:
    """Insert adds, update adds the difference or moves from group to group, remove subtracts. Nothing remembers what
    has been counted: what is delivered twice counts twice.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-gsi-aggregation.html
    https://docs.powertools.aws.dev/lambda/python/latest/utilities/batch/
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        self._processor = BatchProcessor(event_type=EventType.DynamoDBStreams)

    def __call__(self, event: dict[str, Any]) -> Mapping[str, Any]:
        """A batch of stream records in, the failed ones out."""
        return process_partial_response(event, self._record, self._processor)

    def _record(self, record: DynamoDBRecord) -> None:
        assert record.dynamodb is not None
        old, new = record.dynamodb.old_image, record.dynamodb.new_image
        if old and new and old["store"] == new["store"]:
            self._add(new["store"], 0, new["amount"] - old["amount"])
            return
        if old:
            self._add(old["store"], -1, -old["amount"])
        if new:
            self._add(new["store"], 1, new["amount"])

    def _add(self, store: str, orders: int, amount: Any) -> None:
        self._table.update_item(
            Key={"pk": f"STORE#{store}", "sk": "TOTALS"},
            UpdateExpression="ADD orders :orders, revenue :amount",
            ExpressionAttributeValues={":orders": orders, ":amount": amount},
        )
