"""What a source table holds now: scanned in segments, read by key, and returned as snapshot changes."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from distributary.consumer.aws import AwsError, classify, code_of
from distributary.errors import ConfigError, Unavailable
from distributary.stream import version
from distributary.stream.change import Change, Image, Kind, Origin
from distributary.stream.codec import Typed
from distributary.stream.keys import identity

Item = Mapping[str, Typed]
"""An item, or the key of one, in DynamoDB JSON as a boto3 client gives it (B as bytes)."""

BATCH_GET_KEYS = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0


def key_names(client: Any, table: str) -> tuple[str, ...]:
    """The table's key attributes, partition key first. Raises ConfigError if there is no such table to read."""
    try:
        schema = client.describe_table(TableName=table)["Table"]["KeySchema"]
    except AwsError as error:
        raise ConfigError(f"table {table}: {code_of(error)}; correct its name, --region or --endpoint-url") from None
    return tuple(str(each["AttributeName"]) for each in schema)


def pages(client: Any, table: str, segment: int, segments: int) -> Iterator[list[Item]]:
    """One segment of the table, a page of at most 1 MB at a time; consistent, so that whoever read the stream before
    the scan began hears of every change that it may have missed. Raises Unavailable."""
    request = {"TableName": table, "Segment": segment, "TotalSegments": segments, "ConsistentRead": True}
    while True:
        page = _called(client, "scan", **request)
        yield page["Items"]
        if not page.get("LastEvaluatedKey"):
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def partition(client: Any, table: str, pk: str) -> Iterator[Item]:
    """All items of one partition of a derived table, consistent. Raises Unavailable."""
    request: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": pk}},
        "ConsistentRead": True,
    }
    while True:
        page = _called(client, "query", **request)
        yield from page["Items"]
        if not page.get("LastEvaluatedKey"):
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def items(
    client: Any, table: str, wanted: Sequence[Item], sleep: Callable[[float], None] = time.sleep
) -> dict[str, Item]:
    """The items of these keys that exist, by `keys.identity`; consistent. Raises Unavailable."""
    left, pause = list({identity(keys): keys for keys in wanted}.values()), _FIRST_PAUSE
    found: dict[str, Item] = {}
    while left:
        batch, left = left[:BATCH_GET_KEYS], left[BATCH_GET_KEYS:]
        answer = _called(client, "batch_get_item", RequestItems={table: {"Keys": batch, "ConsistentRead": True}})
        for item in next(iter(answer["Responses"].values()), []):
            found[identity({name: item[name] for name in batch[0]})] = item
        unread: list[Item] = next(iter(answer.get("UnprocessedKeys", {}).values()), {"Keys": []})["Keys"]
        if unread:
            sleep(random.uniform(0, pause))
        pause = min(pause * 2, _LONGEST_PAUSE) if unread else _FIRST_PAUSE
        left += unread
    return found


def change(item: Item, keys: Sequence[str], generation: int, now: float) -> Change:
    """The item as a snapshot of its generation: at position 0, so that any streamed change of that generation wins."""
    named = Image({name: item[name] for name in keys})
    return Change(
        event_id=f"snapshot-{identity(named.raw)}",
        kind=Kind.INSERT,
        keys=named,
        old=None,
        new=Image(item),
        version=version.of(generation, version.SNAPSHOT_POSITION),
        created=now,
        source="",
        expired=False,
        replicated=False,
        origin=Origin.SNAPSHOT,
        identifier="",
        record={},
    )


def _called(client: Any, operation: str, **arguments: Any) -> Any:
    try:
        return getattr(client, operation)(**arguments)
    except AwsError as error:
        raise Unavailable(str(classify(error, operation)), str(error)) from error
