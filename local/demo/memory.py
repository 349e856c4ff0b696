"""The peak memory of a process and its descendants."""

import threading

import psutil


class PeakMemory:
    """Samples the resident memory of this process and its descendants until stopped; shared pages count each time."""

    def __init__(self, every_seconds: float = 1.0) -> None:
        self._every = every_seconds
        self._stop = threading.Event()
        self.peak_mb = 0.0

    def __enter__(self) -> "PeakMemory":
        threading.Thread(target=self._sample, daemon=True, name="peak-memory").start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()

    def _sample(self) -> None:
        while not self._stop.wait(self._every):
            self.peak_mb = max(self.peak_mb, resident_mb())


def resident_mb() -> float:
    """The resident memory of this process and its descendants now, in MiB."""
    me = psutil.Process()
    total = 0
    for process in [me, *me.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 1024**2
