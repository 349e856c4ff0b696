"""The changes of a window, divided by item into files that are small enough to be merged in memory.

An item's changes are all in one file, in no order. Merging needs no order: of each item it keeps the first change and
the last one, so that the memory it takes depends on the items of a file, never on the changes of an item.
"""

import zlib
from collections.abc import Iterator, KeysView
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from distributary.errors import ConfigError
from distributary.readers.archive import MALFORMED, Archive, OneSource, Position, placed
from distributary.readers.lines import fault_of

WAYS = 64
"""Files at a time, and how many a file is divided into that is too large."""

_BITS, _DEPTH = 6, 4
"""So often a file is divided, each time by 6 other bits of its items' checksums. Another start of the checksum would
not do: it changes those of all items of one length alike. What is still together then is one item, or few."""

_BUFFER = 2**17


class Entry(NamedTuple):
    """A change. `key` is its item as JSON text, `line` the archive's line."""

    key: bytes
    at: Position
    micros: int
    line: bytes


@dataclass(frozen=True, slots=True)
class Window:
    """Times in microseconds since the epoch: from `begin` to before `end`."""

    begin: int
    end: int


class KeyNames:
    """The attributes of the keys of a window, which are one table's."""

    def __init__(self) -> None:
        self._names: KeysView[str] = {}.keys()
        self._where = ""

    def check(self, keys: dict[str, Any], where: str) -> None:
        """Raises ConfigError for an item of a table with another key: a file that was copied there, or a table that was
        made anew under its name."""
        if not self._where:
            self._names, self._where = keys.keys(), where
        if keys.keys() != self._names:
            own, other = ", ".join(keys), ", ".join(self._names)
            raise ConfigError(
                f"{where}: the key is {own}, and at {self._where} it is {other}: a window is of one table: move the "
                f"objects of the other one away, or choose a window that ends before it, or begins after it"
            )


def entries(archive: Archive, name: str, window: Window, names: KeyNames, source: OneSource) -> Iterator[Entry]:
    """The changes of an object that are of the window. Raises ConfigError that names a line which is none of an
    archive's, or has another key than the window's `names` or another `source`, and as `readers.lines` does."""
    for number, line in archive.lines(name):
        try:
            found = orjson.loads(line)
            (at, micros), key = placed(found), orjson.dumps(found["Keys"])
        except MALFORMED as error:
            where = f"{archive.place.shown(name)}:{number}"
            raise ConfigError(f"{where}: this is no line of an archive: {fault_of(error)}") from None
        if window.begin <= micros < window.end:
            where = f"{archive.place.shown(name)}:{number}"
            names.check(found["Keys"], where)
            source.check(at, where)
            yield Entry(key, at, micros, line.rstrip(b"\n"))


class Partitions:
    """Files in a folder, each with the changes of some items."""

    def __init__(self, folder: Path, depth: int = 0) -> None:
        self._folder, self._depth, self._open = folder, depth, ExitStack()
        folder.mkdir()
        self._files: dict[int, BinaryIO] = {}

    def __enter__(self) -> "Partitions":
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def add(self, entry: Entry) -> None:
        """To the file of its item. JSON text holds no tab and no line feed."""
        at = (zlib.crc32(entry.key) >> _BITS * self._depth) % WAYS
        file = self._files.get(at) or self._opened(at)
        file.write(
            b"%b\t%d\t%d\t%d\t%b\n" % (entry.key, entry.at.generation, entry.at.sequence, entry.micros, entry.line)
        )

    def _opened(self, at: int) -> BinaryIO:
        file = self._files[at] = self._open.enter_context((self._folder / f"{at:02d}").open("wb", _BUFFER))
        return file

    def paths(self, bytes_at_most: int) -> Iterator[Path]:
        """The files, once all is added; none is larger than this unless an item is. Each is removed when the next one
        is asked for."""
        self._open.close()
        for path in sorted(self._folder.iterdir()):
            if path.stat().st_size > bytes_at_most and self._depth < _DEPTH:
                yield from self._divided(path, bytes_at_most)
            else:
                yield path
            path.unlink(missing_ok=True)
        self._folder.rmdir()

    def _divided(self, path: Path, bytes_at_most: int) -> Iterator[Path]:
        with Partitions(self._folder / f"{path.name}-", self._depth + 1) as parts:
            for entry in read(path):
                parts.add(entry)
            path.unlink()
            yield from parts.paths(bytes_at_most)


def read(path: Path) -> Iterator[Entry]:
    """What `Partitions` wrote."""
    with path.open("rb", _BUFFER) as file:
        for row in file:
            key, generation, sequence, micros, line = row.rstrip(b"\n").split(b"\t", 4)
            yield Entry(key, Position(int(generation), int(sequence)), int(micros), line)
