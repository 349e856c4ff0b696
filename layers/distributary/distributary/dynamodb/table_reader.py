"""What a table holds: its items in segments and pages, and one partition of it."""

from collections.abc import Iterator, Sequence
from typing import Any

from distributary.dynamodb.requests import Item, TableClient, called


def cursors(
    client: TableClient,
    table: str,
    segment: int,
    segments: int,
    cursor: Item | None = None,
    names: Sequence[str] = (),
    limit: int = 0,
) -> Iterator[tuple[list[Item], Item | None]]:
    """As `pages`, from a cursor on, with the cursor behind each page, None behind the last; of the items only the
    attributes `names`, all if there are none; `limit`: at most so many in a page, 0 as many as fit. Raises Unavailable.
    """
    request: dict[str, Any] = {
        "TableName": table,
        "Segment": segment,
        "TotalSegments": segments,
        "ConsistentRead": True,
    }
    if limit:
        request["Limit"] = limit
    if names:
        placeholders = {f"#n{at}": name for at, name in enumerate(names)}
        request |= {"ProjectionExpression": ", ".join(placeholders), "ExpressionAttributeNames": placeholders}
    while True:
        page = called(client.scan, "scan", **request, **({"ExclusiveStartKey": cursor} if cursor else {}))
        cursor = page.get("LastEvaluatedKey")
        yield page["Items"], cursor
        if not cursor:
            return


def pages(client: TableClient, table: str, segment: int, segments: int) -> Iterator[list[Item]]:
    """One segment of the table, a page of at most 1 MB at a time; consistent, so that whoever read the stream before
    the scan began hears of every change that it may have missed. Raises Unavailable."""
    return (items for items, _ in cursors(client, table, segment, segments))


def partition(client: TableClient, table: str, pk: str, page: int = 0, from_last: bool = False) -> Iterator[Item]:
    """All items of one partition of a derived table, consistent, from its first or last on; `page`: at most so many in
    a request, 0 as many as fit. Raises Unavailable."""
    request: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": pk}},
        "ScanIndexForward": not from_last,
        "ConsistentRead": True,
        **({"Limit": page} if page else {}),
    }
    while True:
        answer = called(client.query, "query", **request)
        yield from answer["Items"]
        if not answer.get("LastEvaluatedKey"):
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
