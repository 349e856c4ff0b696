"""Tables, read in pages."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distributary.clients import AwsError, classify
from distributary.deadline import Deadline
from distributary.errors import Unavailable
from distributary.keys import identity
from distributary.tables.books import BATCH_GET_KEYS
from distributary.tables.contributions import Row

FOREVER = Deadline(float("inf"))


def pages(client: Any, table: str, segment: int, segments: int) -> Iterator[list[Row]]:
    """One segment of a table, consistent, a page of at most 1 MB at a time. Raises Unavailable."""
    request = {"TableName": table, "Segment": segment, "TotalSegments": segments, "ConsistentRead": True}
    while True:
        page = _called(client, "scan", **request)
        yield page["Items"]
        if not page.get("LastEvaluatedKey"):
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def partition(client: Any, table: str, pk: str) -> Iterator[Row]:
    """All rows of one partition, consistent. Raises Unavailable."""
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


def items(client: Any, table: str, wanted: Sequence[Mapping[str, Any]]) -> dict[str, Row]:
    """Source items by identity, those that exist, consistent. Raises Unavailable."""
    by_identity = {identity(keys): keys for keys in wanted}
    left, found = list(by_identity.values()), {}
    while left:
        batch, left = left[:BATCH_GET_KEYS], left[BATCH_GET_KEYS:]
        request = {table: {"Keys": batch, "ConsistentRead": True}}
        answer = _called(client, "batch_get_item", RequestItems=request)
        for item in next(iter(answer["Responses"].values()), []):
            found[identity({name: item[name] for name in batch[0]})] = item
        left += next(iter(answer.get("UnprocessedKeys", {}).values()), {"Keys": []})["Keys"]
    return found


def _called(client: Any, operation: str, **arguments: Any) -> Any:
    try:
        return getattr(client, operation)(**arguments)
    except AwsError as error:
        raise Unavailable(str(classify(error, operation)), str(error)) from error
