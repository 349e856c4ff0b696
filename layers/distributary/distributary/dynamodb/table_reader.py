"""What a source table holds now: scanned in segments, read by key, and returned as snapshot changes."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from distributary.consumer.aws import AwsError, code_of
from distributary.consumer.deadline import FOREVER
from distributary.dynamodb.requests import BatchReader, Item, TableClient, batch_get, called
from distributary.errors import ConfigError
from distributary.stream import version
from distributary.stream.change import Change
from distributary.stream.keys import identity


def key_names(client: TableClient, table: str) -> tuple[str, ...]:
    """The table's key attributes, partition key first. Raises ConfigError if there is no such table to read."""
    try:
        schema = client.describe_table(TableName=table)["Table"]["KeySchema"]
    except AwsError as error:
        raise ConfigError(f"table {table}: {code_of(error)}; correct its name, --region or --endpoint-url") from None
    return tuple(str(each["AttributeName"]) for each in schema)


def pages(client: TableClient, table: str, segment: int, segments: int) -> Iterator[list[Item]]:
    """One segment of the table, a page of at most 1 MB at a time; consistent, so that whoever read the stream before
    the scan began hears of every change that it may have missed. Raises Unavailable."""
    request: dict[str, Any] = {
        "TableName": table,
        "Segment": segment,
        "TotalSegments": segments,
        "ConsistentRead": True,
    }
    while True:
        page = called(client.scan, "scan", **request)
        yield page["Items"]
        if not page.get("LastEvaluatedKey"):
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def partition(client: TableClient, table: str, pk: str) -> Iterator[Item]:
    """All items of one partition of a derived table, consistent. Raises Unavailable."""
    request: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": pk}},
        "ConsistentRead": True,
    }
    while True:
        page = called(client.query, "query", **request)
        yield from page["Items"]
        if not page.get("LastEvaluatedKey"):
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def items(
    client: BatchReader, table: str, wanted: Sequence[Item], sleep: Callable[[float], None] = time.sleep
) -> dict[str, Item]:
    """The items of these keys that exist, by `keys.identity`; consistent. Raises Unavailable."""
    by_name = {identity(keys): keys for keys in wanted}
    names = next(iter(by_name.values()), {})
    found = batch_get(client, table, by_name.values(), FOREVER, "batch_get_item", sleep=sleep)
    return {identity({name: item[name] for name in names}): item for item in found}


def change(item: Item, keys: Sequence[str], generation: int, now: float) -> Change:
    """The item as a snapshot of its generation: at position 0, so that any streamed change of that generation wins."""
    named = {name: item[name] for name in keys}
    at = version.of(generation, version.SNAPSHOT_POSITION)
    return Change.snapshot(named, item, at, now, f"snapshot-{identity(named)}")
