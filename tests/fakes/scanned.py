"""A fake table that is scanned in segments, in pages of a few items."""

import copy
import zlib
from collections.abc import Mapping
from typing import Any

from tests.fakes.dynamodb import DynamoDB

PAGE_ITEMS = 3


class Scanned(DynamoDB):
    """Each item stands in one segment. `between` is called after each page, for a writer that comes between."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        super().__init__(schemas)
        self.between = lambda: None

    def describe_table(self, *, TableName: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html"""
        _, schema = self._table("DescribeTable", TableName)
        return {"Table": {"KeySchema": [{"AttributeName": name} for name in schema], "ItemCount": 0}}

    def scan(self, *, TableName: str, Segment: int, TotalSegments: int, ConsistentRead: bool, **start: Any) -> Any:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html"""
        assert ConsistentRead, "a scan that is not consistent may miss what the stream has long delivered"
        table, _ = self._table("Scan", TableName)
        with self._lock:
            keys = [key for key in sorted(table, key=repr) if zlib.crc32(repr(key).encode()) % TotalSegments == Segment]
            left = [key for key in keys if repr(key) > start.get("ExclusiveStartKey", "")]
            page = {"Items": copy.deepcopy([table[key] for key in left[:PAGE_ITEMS]])}
            if len(left) > PAGE_ITEMS:
                page["LastEvaluatedKey"] = repr(left[PAGE_ITEMS - 1])
        self.between()
        return page
