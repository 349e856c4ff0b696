"""A source table whose changes become records, and a branch that hears of them when a test says so."""

import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, ClassVar

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome, Status
from distributary.stream.change import Change
from distributary.stream.records import decode
from tests.fakes.items import Schema
from tests.fakes.streaming import Stream, Streaming
from tests.unit.records import ARN, FIRST_SEQUENCE

LONG = Deadline(time.monotonic() + 1e6)
"""Longer than any test takes."""


class World:
    """The table `source` and those of `schemas` in one service. A subclass makes `branch`, and says what is right. The
    n-th record has the sequence number of `records.change(n * step)`."""

    branch: Any
    serves: ClassVar[type[Streaming]] = Streaming
    schemas: ClassVar[Mapping[str, Schema]] = {}
    source: ClassVar[str] = "users"
    step: ClassVar[int] = 1

    def __init__(self) -> None:
        stream = Stream(ARN, count(FIRST_SEQUENCE + self.step, self.step))
        self.service = self.serves({self.source: {"user_id": "S"}, **self.schemas}, {self.source: stream})

    @property
    def written(self) -> int:
        """How many records there are."""
        return len(self.service.records(self.source))

    def put(self, user: str, deliver: bool = True, **attributes: Any) -> Any:
        """The item of a user replaced. Answers the change, which can be delivered again; None if nothing changed."""
        return self._change(self.service.put_item, deliver, Item={"user_id": {"S": user}, **attributes})

    def delete(self, user: str, deliver: bool = True) -> Any:
        """By the application. See `put`."""
        return self._change(self.service.delete_item, deliver, Key={"user_id": {"S": user}})

    def expire(self, user: str, deliver: bool = True) -> Any:
        """By TTL. See `put`."""
        return self._change(self.service.expire, deliver, Key={"user_id": {"S": user}})

    def deliver(self, *changes: Change) -> list[Outcome]:
        """One batch, for the first time or again."""
        ends: list[Outcome] = self.branch.apply(changes, LONG)
        return ends

    def statuses(self, *changes: Change) -> list[Status]:
        """See `deliver`."""
        return [end.status for end in self.deliver(*changes)]

    def _change(self, call: Callable[..., Any], deliver: bool, **arguments: Any) -> Any:
        before = self.written
        call(TableName=self.source, **arguments)
        made = decode({"Records": self.service.records(self.source)[before:]}, 0)
        if deliver:
            self.deliver(*made)
        return made[0] if made else None
