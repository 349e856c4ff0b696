"""Totals kept by hand: as AWS's guides show it, and in the two ways that remember what has been counted."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

NAME = "BatchProcessor, one update_item ADD per record"
IDEMPOTENT = "the same, within Powertools Idempotency"
CLAIMED = "a transaction that claims the event id"


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
        for update in updates(record):
            self._table.update_item(**update)


class Idempotent(Handwritten):
    """The same with Powertools' Idempotency around it, by the event's id. After a crash it refuses the record until its
    note of the first try expires, and then counts again what may have been counted.

    https://docs.powertools.aws.dev/lambda/python/latest/utilities/idempotency/
    """

    def __init__(self, table: Any, claims: str) -> None:
        super().__init__(table)
        store = DynamoDBPersistenceLayer(table_name=claims, key_attr="id")
        config = IdempotencyConfig(event_key_jmespath="eventID", raise_on_no_idempotency_key=True)
        guard = idempotent_function(data_keyword_argument="event", persistence_store=store, config=config)
        self._guarded = guard(self._counted)
        self.client = store.client

    def _record(self, record: DynamoDBRecord) -> None:
        self._guarded(event=record.raw_event, record=record)

    def _counted(self, event: Any, record: DynamoDBRecord) -> None:  # noqa: ARG002
        super()._record(record)


class Claimed(Handwritten):
    """The updates in one transaction with a row for the event's id: exact, whatever is delivered again. A transaction
    that another one disturbed is tried again by botocore.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
    """

    def __init__(self, table: Any, claims: str) -> None:
        super().__init__(table)
        self._claims = claims

    def _record(self, record: DynamoDBRecord) -> None:
        claim = {
            "TableName": self._claims,
            "Item": {"id": record.event_id},
            "ConditionExpression": "attribute_not_exists(id)",
        }
        actions = [{"Put": claim}, *({"Update": {"TableName": self._table.name, **each}} for each in updates(record))]
        try:
            self._table.meta.client.transact_write_items(TransactItems=actions)
        except self._table.meta.client.exceptions.TransactionCanceledException as error:
            if error.response["CancellationReasons"][0]["Code"] != "ConditionalCheckFailed":
                raise


def updates(record: DynamoDBRecord) -> list[dict[str, Any]]:
    """What a record adds to its stores."""
    assert record.dynamodb is not None
    old, new = record.dynamodb.old_image, record.dynamodb.new_image
    if old and new and old["store"] == new["store"]:
        return [_add(new["store"], 0, new["amount"] - old["amount"])]
    taken = [_add(old["store"], -1, -old["amount"])] if old else []
    return taken + ([_add(new["store"], 1, new["amount"])] if new else [])


def _add(store: str, orders: int, amount: Any) -> dict[str, Any]:
    return {
        "Key": {"pk": f"STORE#{store}", "sk": "TOTALS"},
        "UpdateExpression": "ADD orders :orders, revenue :amount",
        "ExpressionAttributeValues": {":orders": orders, ":amount": amount},
    }
