"""Time as a mapping sees it, so that a test can let hours pass."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Clock:
    """`wall` gives epoch seconds, for the age of records; `steady` never goes back. `stopping` ends every wait."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
    stopping: threading.Event = field(default_factory=threading.Event)

    def running(self) -> bool:
        """Whether the mapping has not been stopped."""
        return not self.stopping.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits, and says whether the mapping still runs."""
        return not self.stopping.wait(seconds)
