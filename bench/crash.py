"""A function that is killed in the middle of a batch: what is written is written, and no answer is given."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from distributary.dynamodb.client import DynamoDBClient, operation_name

WRITES = ("UpdateItem", "TransactWriteItems")


class Crash(BaseException):
    """The process is gone; nothing may catch it."""


class Fuse:
    """Lets so many writes through, and kills the process after the last of them."""

    def __init__(self, writes: int) -> None:
        self._lock, self._left = threading.Lock(), writes

    @contextmanager
    def burning(self, client: Any) -> Iterator[None]:
        """As long as the block runs; a new process begins behind it."""
        if isinstance(client, DynamoDBClient):
            with mock.patch.object(client, "steps", self._fused(client.steps)):
                yield
            return
        events = client.meta.events
        events.register("before-call.dynamodb", self._before)
        events.register("after-call.dynamodb", self._after)
        try:
            yield
        finally:
            events.unregister("before-call.dynamodb", self._before)
            events.unregister("after-call.dynamodb", self._after)

    def _fused(self, steps: Any) -> Any:
        def call(operation: str, arguments: Any) -> Any:
            self._before()
            answer = yield from steps(operation, arguments)
            self._count(operation_name(operation))
            return answer

        return call

    def _before(self, **_: Any) -> None:
        if self._left <= 0:
            raise Crash

    def _after(self, model: Any, **_: Any) -> None:
        self._count(model.name)

    def _count(self, operation: str) -> None:
        with self._lock:
            self._left -= operation in WRITES
            if self._left <= 0:
                raise Crash
