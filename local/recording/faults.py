"""Faults that a proxy causes on request, each for one function."""

import json
from dataclasses import dataclass
from typing import Any

from local.recording.http import Message

KINDS = ("throttle", "busy", "slow", "crash before", "crash after")
_THROTTLED = {
    "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
    "message": "throttled on purpose",
}
_BUSY = {"error": {"type": "es_rejected_execution_exception", "reason": "busy on purpose"}, "status": 429}


@dataclass(slots=True)
class Fault:
    """`throttle` (DynamoDB) and `busy` (OpenSearch, 429) refuse the next `left` requests; `slow` delays so many by
    `milliseconds`, of one `region` or of all if it is empty; `crash before` and `crash after` end the function at its
    `left`-th request from now on, before the service got it, or after the service has answered."""

    function: str
    kind: str
    left: int
    milliseconds: int = 0
    region: str = ""

    def applies(self, function: str, asked: Message) -> bool:
        """Whether it is about such a request."""
        if function != self.function or self.left <= 0:
            return False
        if self.kind == "throttle":
            return asked.service == "dynamodb"
        if self.kind == "busy":
            return not asked.service
        return self.kind != "slow" or self.region in ("", asked.region)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "function": self.function,
            "kind": self.kind,
            "left": self.left,
            "milliseconds": self.milliseconds,
            "region": self.region,
        }


class Faults:
    """Those that have not happened yet."""

    def __init__(self) -> None:
        self._due: list[Fault] = []

    def add(self, given: Fault) -> None:
        """From now on."""
        self._due.append(given)

    def clear(self, function: str) -> None:
        """None of a function's from now on."""
        self._due = [each for each in self._due if each.function != function]

    def due(self) -> list[Fault]:
        """All of them."""
        return list(self._due)

    def of(self, function: str, asked: Message) -> Fault | None:
        """What happens to a request. One that a crash only counts happens to nothing."""
        for each in self._due:
            if each.applies(function, asked):
                each.left -= 1
                if each.left <= 0:
                    self._due.remove(each)
                if each.kind.startswith("crash") and each.left > 0:
                    continue
                return each
        return None


def refusal(fault: Fault) -> Message:
    """The answer that a service in trouble gives."""
    status, body = ("400 Bad Request", _THROTTLED) if fault.kind == "throttle" else ("429 Too Many Requests", _BUSY)
    text = json.dumps(body).encode()
    kind = "application/x-amz-json-1.0" if fault.kind == "throttle" else "application/json"
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(text)}\r\n\r\n"
    return Message(head.encode(), text)
