"""Work held to a number of units a second, such as reads by what DynamoDB says that they consumed."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.dynamodb.requests import Operation
from distributary.errors import Unavailable
from distributary.stream.struct import Struct

UNSAID = 1.0
"""What a request is taken for where the endpoint does not say what it consumed."""


class Pace:
    """A bucket of one second's units, paid after each request, since the cost of a page is not known before.

    A request starts once the bucket is not in debt, so that over any time the average holds; None = without a limit.
    """

    def __init__(
        self,
        units_per_second: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        self._rate, self._clock, self._sleep = units_per_second, clock, sleep
        self._lock = threading.Lock()
        self._balance, self._at = units_per_second or 0.0, clock()
        self.units = 0.0

    def wait(self, deadline: Deadline = FOREVER) -> None:
        """Returns when another request may be made. Raises Unavailable at once if that is after the deadline."""
        while (seconds := self._due()) > 0:
            if seconds > deadline.left():
                raise Unavailable("the read budget is used up for now: ask again later, or raise ReconcileReadUnits")
            self._sleep(seconds)

    def paid(self, answer: Mapping[str, Any]) -> None:
        """Takes what an answer with ReturnConsumedCapacity=TOTAL says from the bucket."""
        said = answer.get("ConsumedCapacity")
        tables = said if isinstance(said, list) else [said] if said else []
        units = sum(float(each["CapacityUnits"]) for each in tables) if tables else UNSAID
        self._spend(units)

    def take(self, units: float) -> None:
        """Waits, and takes so many: for what is known to cost that before it begins."""
        self.wait()
        self._spend(units)

    def _spend(self, units: float) -> None:
        with self._lock:
            self.units += units
            self._balance -= units

    def _due(self) -> float:
        if self._rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            self._balance = min(self._rate, self._balance + (now - self._at) * self._rate)
            self._at = now
            return 0.0 if self._balance > 0 else (1e-3 - self._balance) / self._rate


class Metered(Struct, frozen=True):
    """A client whose reads by key wait for their turn, until the deadline, and are charged for what they read."""

    client: Any
    pace: Pace
    deadline: Deadline = FOREVER

    def batch_get_item(self, **arguments: Any) -> Mapping[str, Any]:
        """See `ItemClient`. Raises Unavailable as `Pace.wait`."""
        return self.read(self.client.batch_get_item, arguments)

    def read(self, operation: Operation, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """As `batch_get_item`, for another operation that reads by key."""
        self.pace.wait(self.deadline)
        answer = operation(ReturnConsumedCapacity="TOTAL", **arguments)
        self.pace.paid(answer)
        return answer
