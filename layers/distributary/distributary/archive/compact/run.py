"""A window of the archive becomes what an incremental export of it would hold."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distributary.archive.compact.net import net_changes
from distributary.archive.compact.output import ExportWriter, Sink
from distributary.archive.compact.partitions import KeyNames, Partitions, Window, entries, read
from distributary.errors import ConfigError
from distributary.readers.archive import Archive, OneSource, shown_time
from distributary.readers.archive_layout import SECOND
from distributary.readers.incremental_export import NEW, NEW_AND_OLD
from distributary.verify.progress import Progress, silent

_APART = "choose a window that ends before the source changed (--to), or begins after that (--from)"

PARTITION_BYTES = 128 * 2**20
"""A file of this size takes about twice of it in memory, if each change is of another item."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What was done. `changes` counts what was archived twice twice."""

    folder: str
    objects: int
    changes: int
    items: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"folder": self.folder, "objects": self.objects, "changes": self.changes, "items": self.items}


def compact(
    archive: Archive,
    window: Window,
    sink: Sink,
    old_images: bool = True,
    temporary: Path | None = None,
    progress: Progress = silent,
    now: Callable[[], float] = time.time,
    partition_bytes: int = PARTITION_BYTES,
) -> Compacted:
    """Writes an export. All of the window is read and checked before the first file is written.

    `temporary` needs about the space that the window takes uncompressed. Raises ConfigError for a window that is not
    within the archive, and for a damaged object or line, which it names; Unavailable where S3 breaks off.
    """
    started = now()
    objects, names, source = planned(archive, window, started), KeyNames(), OneSource(_APART)
    with tempfile.TemporaryDirectory(prefix="distributary-", dir=temporary) as folder:
        with Partitions(Path(folder) / "parts") as parts:
            count = 0
            for name in objects:
                for entry in entries(archive, name, window, names, source):
                    parts.add(entry)
                    count += 1
                progress("objects", 1)
            table = _table_arn(archive)
            writer = ExportWriter(sink, Path(folder), started)
            for path in parts.paths(partition_bytes):
                writer.data(net_changes(read(path), old_images))
        view = NEW_AND_OLD if old_images else NEW
        done = writer.finish(
            {
                "startTime": _iso(int(started * SECOND)),
                "endTime": _iso(int(now() * SECOND)),
                "tableArn": table,
                "exportFromTime": _iso(window.begin),
                "exportToTime": _iso(window.end),
                "outputView": view,
            }
        )
    return Compacted(done, len(objects), count, writer.items)


def planned(archive: Archive, window: Window, now: float) -> list[str]:
    """The objects that are to be read; `now` in seconds since the epoch. Raises ConfigError for a wrong window."""
    if window.begin >= window.end:
        raise ConfigError(f"the window ends at {shown_time(window.end)}, which is not after its begin")
    if window.end > now * SECOND:
        raise ConfigError(f"the window ends at {shown_time(window.end)}, which is yet to come")
    return archive.objects(window.begin, window.end)


def _table_arn(archive: Archive) -> str:
    """Of the newest object, since the window may hold no change."""
    name = archive.objects()[-1]
    number, line = next(archive.lines(name))
    return archive.read(name, number, line).stream.partition("/stream/")[0]


def _iso(micros: int) -> str:
    seconds = datetime.fromtimestamp(micros // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{seconds}.{micros % SECOND // 1000:03d}Z"
