"""What functions write: lines, of which metrics are added up and the rest kept in files."""

import fcntl
import json
import os
import tempfile
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SAMPLES = 10_000
"""Of each metric, those that are kept."""


class Output:
    """A process's standard output, in a file without a name: what was written before an answer is read with it, as a
    pipe's other end could not promise."""

    _KEPT_BYTES = 1 << 20

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115
        flags = fcntl.fcntl(self.file, fcntl.F_GETFL)
        fcntl.fcntl(self.file, fcntl.F_SETFL, flags | os.O_APPEND)
        self._read = 0

    def lines(self) -> list[str]:
        """The lines completed since the last call."""
        descriptor = self.file.fileno()
        written = os.fstat(descriptor).st_size
        *lines, rest = os.pread(descriptor, written - self._read, self._read).split(b"\n")
        self._read = written - len(rest)
        if not rest and self._read > self._KEPT_BYTES:
            os.ftruncate(descriptor, 0)
            self._read = 0
        return [line.decode(errors="replace").rstrip("\r").replace("\r", "\n") for line in lines]

    def write(self, line: str) -> None:
        """A line of the platform's own."""
        os.write(self.file.fileno(), f"{line}\n".encode())

    def close(self) -> None:
        """Forgets it."""
        self.file.close()


class Metrics:
    """CloudWatch's embedded metric format, added up
    (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._samples: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=SAMPLES))
        self._branches: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def counts(self, branch: str = "") -> dict[str, int]:
        """Metrics whose unit is Count: Received, Applied and the rest; of one of the branches, if the function has
        several."""
        with self._lock:
            return dict(self._branches[branch] if branch else self._counts)

    def samples(self, name: str) -> list[float]:
        """The last values of a metric of another unit, such as Lag."""
        with self._lock:
            return list(self._samples[name])

    def take(self, line: str) -> bool:
        """Whether the line was metrics."""
        if '"_aws"' not in line:
            return False
        try:
            entry = json.loads(line)
            with self._lock:
                for directive in entry["_aws"]["CloudWatchMetrics"]:
                    for metric in directive["Metrics"]:
                        self._add(metric, entry)
        except (ValueError, KeyError, TypeError):
            return False
        return True

    def _add(self, metric: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
        given = entry[metric["Name"]]
        values = given if isinstance(given, list) else [given]
        if metric.get("Unit") == "Count":
            self._counts[metric["Name"]] += int(sum(values))
            self._branches[str(entry.get("branch", ""))][metric["Name"]] += int(sum(values))
        else:
            self._samples[metric["Name"]].extend(float(value) for value in values)


class LogFiles:
    """A file per function in one folder, begun anew by each run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.log"):
            old.unlink(missing_ok=True)

    def path(self, function: str) -> Path:
        """A function's log."""
        return self._folder / f"{function}.log"

    def __call__(self, function: str, line: str) -> None:
        """Appends a line."""
        with self._lock, self.path(function).open("a") as file:
            file.write(line + "\n")
