"""So many a second, on average."""

import time
from collections.abc import Callable
from threading import Lock


class Rate:
    """Callers wait for their turn; from any thread."""

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second, self._clock, self._sleep = per_second, clock, sleep
        self._free, self._lock = clock(), Lock()

    def wait(self, many: int) -> None:
        """Returns when so many more may begin."""
        with self._lock:
            begin = max(self._free, self._clock())
            self._free = begin + many / self._per_second
        self._sleep(max(0.0, begin - self._clock()))
