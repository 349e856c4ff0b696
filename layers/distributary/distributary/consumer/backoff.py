"""The one way to wait before a retry."""

import random
import time
from collections.abc import Callable

from distributary.consumer.deadline import Deadline

FIRST_SECONDS, LONGEST_SECONDS = 0.05, 2.0


def backoff_seconds(
    deadline: Deadline,
    tries: int,
    first: float = FIRST_SECONDS,
    longest: float = LONGEST_SECONDS,
    jitter: Callable[[float, float], float] = random.uniform,
) -> float:
    """How long to wait after `tries` failed tries (0: the first has just failed): any time up to `first` seconds,
    doubled with each try, never more than `longest` and never past the deadline.
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/"""
    return min(jitter(0, min(longest, first * 2.0 ** min(tries, 32))), deadline.left())


def backoff(
    deadline: Deadline,
    tries: int,
    first: float = FIRST_SECONDS,
    longest: float = LONGEST_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[float, float], float] = random.uniform,
) -> None:
    """Waits for `backoff_seconds`."""
    sleep(backoff_seconds(deadline, tries, first, longest, jitter))
