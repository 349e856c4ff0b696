"""Where the items of a feed come from: a table's scan."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from distributary.dynamodb.requests import TableClient
from distributary.dynamodb.table_reader import cursors
from distributary.feed.snapshot import Table
from distributary.stream.codec import for_client, typed_json

Page = tuple[list[Any], Any]
"""What to give: items in DynamoDB JSON, or else an entry of `consumer.reconcile` for each; and the cursor behind it,
None behind the last page."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A table, with the client that scans it. `limit`: at most so many items in a page, 0 as many as fit."""

    client: TableClient
    table: Table
    limit: int = 0

    def pages(self, segment: int, segments: int, cursor: Any, whole: bool) -> Iterator[Page]:
        """Pages of a segment, from a cursor on; see `table_reader.cursors`. A stream that was enabled before holds
        every change that the scan missed. Raises Unavailable."""
        start = {name: for_client(each) for name, each in cursor.items()} if cursor else None
        names = () if whole else self.table.keys
        for items, after in cursors(self.client, self.table.name, segment, segments, start, names, self.limit):
            images = [typed_json(item) for item in items]
            yield images if whole else [{"key": image} for image in images], after and typed_json(after)
