"""When the demo injects its faults: at shares of the workload, so that a slow machine has the same faults."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from local.demo.chaos import BusyProxy
from local.esm.mapping import EventSourceMapping
from local.runtime import Function

BUSY_SECONDS = 2.0
PATIENCE_SECONDS = 20.0
_KILLED = ("welcome", "derive", "replicate", "index", "multi-active us-east-1")


class Faults:
    """Kills, rewinds and busy responses, each at its share of the workload; `counts` has what really happened."""

    def __init__(
        self,
        share_done: Callable[[], float],
        functions: Mapping[str, Function],
        mappings: Mapping[str, EventSourceMapping],
        proxy: BusyProxy,
    ) -> None:
        self._share_done, self._functions, self._mappings, self._proxy = share_done, functions, mappings, proxy
        self._marks: dict[str, dict[str, str | None]] = {}
        self.counts: Counter[str] = Counter()

    def run(self, stopping: threading.Event) -> None:
        """Waits for each moment and injects its fault; returns after the last one, or when it is stopped."""
        schedule: list[tuple[float, Callable[[], None]]] = [
            *[(0.10 + 0.04 * i, partial(self.kill, name)) for i, name in enumerate(_KILLED)],
            (0.35, self.mark),
            (0.40, lambda: self._busy(429)),
            (0.50, lambda: self._busy(503)),
            (0.60, self.rewind),
        ]
        for share, fault in schedule:
            while self._share_done() < share:
                if stopping.wait(0.02):
                    return
            fault()

    def kill(self, name: str) -> None:
        """Waits for an invocation to run, and ends its process."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            if killed := self._functions[name].kill():
                self.counts["kills"] += killed
                return
            time.sleep(0.001)

    def _busy(self, status: int) -> None:
        """Switches the proxy on for a while, and until a request has received the status."""
        self._proxy.status = status
        time.sleep(BUSY_SECONDS)
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._proxy.answered[status] and time.monotonic() < until:
            time.sleep(0.01)
        self._proxy.status = None
        self.counts[f"answers {status}"] = self._proxy.answered[status]

    def mark(self) -> None:
        """Notes where each mapping is."""
        self._marks = {name: mapping.checkpoints() for name, mapping in self._mappings.items()}

    def rewind(self) -> None:
        """Moves each mapping back to where it was when it was marked, as after a crash of Lambda's poller."""
        for name, marks in self._marks.items():
            for shard, sequence in marks.items():
                self._mappings[name].rewind(shard, sequence)
                self.counts["rewinds"] += 1
