"""No faster than the provider allows: a token bucket, which a refusal closes for a while."""

import random
import time
from collections.abc import Callable
from threading import Lock

from distributary.consumer.deadline import Deadline
from distributary.errors import Unavailable

BURST_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


class Pace:
    """`rate` messages per second, with a second's worth at once; shared by the threads of one execution environment."""

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._interval, self._clock, self._sleep, self._jitter = 1.0 / rate, clock, sleep, jitter
        self._lock = Lock()
        self._due = clock() - BURST_SECONDS
        self._shut_until, self._pause = clock(), FIRST_PAUSE

    def take(self, deadline: Deadline, keep: float) -> None:
        """Waits for its turn. Raises Unavailable if that would leave less than `keep` seconds, or while shut."""
        with self._lock:
            now = self._clock()
            if now < self._shut_until:
                raise Unavailable("the provider has refused to take more for now: not tried again yet")
            due = max(self._due, now - BURST_SECONDS)
            wait = max(0.0, due + self._interval - now)
            if wait + keep > deadline.left():
                raise Unavailable("not begun: its turn comes after the function's time")
            self._due = due + self._interval
        if wait:
            self._sleep(wait)

    def give_back(self) -> None:
        """Nothing was sent: the token is free again."""
        with self._lock:
            self._due -= self._interval

    def refused(self) -> None:
        """The provider refused: nothing is sent for a while, twice as long each time, with full jitter."""
        with self._lock:
            self._shut_until = self._clock() + self._jitter(0.0, self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def accepted(self) -> None:
        """The provider accepts messages again."""
        with self._lock:
            self._pause = FIRST_PAUSE
