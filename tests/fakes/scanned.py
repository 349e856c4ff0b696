"""A fake table that is scanned while others write."""

from collections.abc import Callable
from typing import Any

from tests.fakes.streaming import Streaming


class Scanned(Streaming):
    """`between` is called after each page of a scan, for a writer that comes between."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.between: Callable[[], Any] = lambda: None

    def scan(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html"""
        assert arguments["ConsistentRead"], "a scan that is not consistent may miss what the stream has long delivered"
        page = super().scan(**arguments)
        self.between()
        return page
