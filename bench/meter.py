"""Requests and write units of a DynamoDB client, counted exactly from what it asks for."""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

UNIT_BYTES = 1024
_WRITES = ("Put", "Update", "Delete", "ConditionCheck")


class Meter:
    """Counts every request of the clients that it watches, and the write units of rows that are as large as asked for.

    An update or a delete names only a key: its row is taken for one unit, as all of the benchmarks' rows are. In a
    transaction each write costs twice
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests: Counter[str] = Counter()
        self.write_units = 0

    def watch(self, client: Any) -> Any:
        """The client, watched."""
        client.meta.events.register("provide-client-params.dynamodb", self._seen)
        return client

    def _seen(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        units = _units(model.name, params)
        with self._lock:
            self.requests[model.name] += 1
            self.write_units += units


def _units(operation: str, params: Mapping[str, Any]) -> int:
    if operation in ("PutItem", "UpdateItem", "DeleteItem"):
        return _row_units(params)
    if operation == "TransactWriteItems":
        actions = [(kind, each[kind]) for each in params["TransactItems"] for kind in _WRITES if kind in each]
        return 2 * sum(_row_units(action) for kind, action in actions)
    return 0


def _row_units(write: Mapping[str, Any]) -> int:
    return max(1, -(-_bytes(write.get("Item", {})) // UNIT_BYTES))


def _bytes(item: Mapping[str, Any]) -> int:
    """Close enough to DynamoDB's own count for rows far below or above a unit's edge."""
    return sum(len(name) + len(str(next(iter(typed.values())))) for name, typed in item.items())
