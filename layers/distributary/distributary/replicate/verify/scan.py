"""One side's table, read in pages. The function that reconciles items reads none: its role may not."""

from collections.abc import Iterator
from functools import partial
from typing import cast

from distributary.dynamodb.requests import TableClient, called
from distributary.replicate.verify.equality import Row
from distributary.replicate.verify.table import Side


def pages(side: Side, segment: int, segments: int) -> Iterator[list[Row]]:
    """One segment, eventually consistent, at most 1 MB a page. Raises Unavailable."""
    request = {"TableName": side.table, "Segment": segment, "TotalSegments": segments}
    scan = partial(side.metered, cast(TableClient, side.client).scan)
    while True:
        page = called(scan, f"table {side.table}: scan", arguments=request)
        yield page["Items"]
        if not page.get("LastEvaluatedKey"):
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
