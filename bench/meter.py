"""Requests and capacity units of a DynamoDB client, counted exactly from what it asks for."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import boto3

from distributary.dynamodb.client import DynamoDBClient, operation_name

UNIT_BYTES = 1024
_WRITES = ("Put", "Update", "Delete", "ConditionCheck")


class Meter:
    """Counts every request of the clients that it watches, and the capacity units of rows as large as asked for.

    An update or a delete names only a key, and so does a read: such a row is taken for one unit, as all of the
    benchmarks' rows are. In a transaction each write costs twice; a read that is not consistent costs half
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counting = True
        self.requests: Counter[str] = Counter()
        self.write_units = 0
        self.read_units = 0.0

    def watch(self, client: Any) -> Any:
        """The client, watched."""
        if isinstance(client, DynamoDBClient):
            self._watch_steps(client)
        else:
            client.meta.events.register("provide-client-params.dynamodb", self._seen)
        return client

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Every DynamoDB client that is made within the block, whoever makes it."""
        make: Any = boto3.Session.client

        def made(session: Any, service: str, *arguments: Any, **more: Any) -> Any:
            client = make(session, service, *arguments, **more)
            return self.watch(client) if service == "dynamodb" else client

        init = DynamoDBClient.__init__

        def counting(lean: Any, *arguments: Any, **more: Any) -> None:
            init(lean, *arguments, **more)
            self._watch_steps(lean)

        with mock.patch.object(boto3.Session, "client", made), mock.patch.object(DynamoDBClient, "__init__", counting):
            yield

    def _watch_steps(self, lean: Any) -> None:
        steps = lean.steps

        def counted(operation: str, asked: Mapping[str, Any]) -> Any:
            self._count(operation_name(operation), asked)
            return steps(operation, asked)

        lean.steps = counted

    def _seen(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        self._count(model.name, params)

    def _count(self, operation: str, params: Mapping[str, Any]) -> None:
        if not self.counting:
            return
        written, read = _units(operation, params)
        with self._lock:
            self.requests[operation] += 1
            self.write_units += written
            self.read_units += read


def _units(operation: str, params: Mapping[str, Any]) -> tuple[int, float]:
    match operation:
        case "PutItem" | "UpdateItem" | "DeleteItem":
            return _row_units(params), 0.0
        case "TransactWriteItems":
            actions = [each[kind] for each in params["TransactItems"] for kind in _WRITES if kind in each]
            return 2 * sum(map(_row_units, actions)), 0.0
        case "BatchWriteItem":
            requests = [each for table in params["RequestItems"].values() for each in table]
            return sum(_row_units(each.get("PutRequest", {})) for each in requests), 0.0
        case "GetItem":
            return 0, _read_units(params, 1)
        case "BatchGetItem":
            return 0, sum(_read_units(each, len(each["Keys"])) for each in params["RequestItems"].values())
    raise ValueError(f"{operation} has no price here: say what it costs")


def _row_units(write: Mapping[str, Any]) -> int:
    return max(1, -(-_bytes(write.get("Item", {})) // UNIT_BYTES))


def _read_units(read: Mapping[str, Any], rows: int) -> float:
    return float(rows) if read.get("ConsistentRead") else rows / 2


def _bytes(item: Mapping[str, Any]) -> int:
    """Close enough to DynamoDB's own count for rows far below or above a unit's edge."""
    return sum(len(name) + len(str(_content(value))) for name, value in item.items())


def _content(value: Any) -> Any:
    """A resource's clients are asked with Python's values, others with typed ones."""
    return next(iter(value.values())) if isinstance(value, Mapping) and len(value) == 1 else value
