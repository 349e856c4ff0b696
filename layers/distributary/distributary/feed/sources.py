"""Where the items of a feed come from: a table's scan, the files of an export, the objects of an archive."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from distributary.dynamodb.requests import TableClient
from distributary.dynamodb.table_reader import cursors
from distributary.errors import ConfigError
from distributary.feed.snapshot import Table
from distributary.readers import full_export, incremental_export
from distributary.readers.archive import Archive, ArchivedChange
from distributary.readers.manifest import Manifest
from distributary.readers.place import Place
from distributary.stream import version as versions
from distributary.stream.codec import for_client, typed_json

Page = tuple[list[Any], Any]
"""What to give: items in DynamoDB JSON, or else an entry of `consumer.reconcile` for each; and the cursor behind it,
None behind the last page."""


class Source(Protocol):
    """What is given, in parts that are read apart from each other."""

    def pages(self, number: int, of: int, cursor: Any, whole: bool) -> Iterator[Page]:
        """Those of part `number` of so many, from a cursor on: `whole` items, or entries. Raises Unavailable; and
        ConfigError for what is missing, damaged or another table's."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A table, with the client that scans it. `limit`: at most so many items in a page, 0 all of a request's."""

    client: TableClient
    table: Table
    limit: int = 0

    def pages(self, number: int, of: int, cursor: Any, whole: bool) -> Iterator[Page]:
        """Of a segment; see `Source` and `table_reader.cursors`. A stream that was enabled before holds every change
        that the scan missed. A cursor is the key of any item: what comes behind it is read again."""
        start = {name: for_client(each) for name, each in cursor.items()} if cursor else None
        names = () if whole else self.table.keys
        for items, after in cursors(self.client, self.table.name, number, of, start, names):
            images = [typed_json(item) for item in items]
            while self.limit and len(images) > self.limit:
                some, images = images[: self.limit], images[self.limit :]
                yield self._given(some, whole), {name: some[-1][name] for name in self.table.keys}
            yield self._given(images, whole), after and typed_json(after)

    def _given(self, images: list[Any], whole: bool) -> list[Any]:
        return images if whole else [{"key": image} for image in images]


@dataclass(frozen=True, slots=True)
class Export:
    """An export's files. A full one has items; an incremental one says which keys changed."""

    place: Place
    manifest: Manifest
    keys: tuple[str, ...]
    limit: int

    def pages(self, number: int, of: int, cursor: Any, whole: bool) -> Iterator[Page]:
        """Of each so many file; see `Source`."""
        files = self.manifest.files[number::of]
        return _pages(len(files), lambda at: self._given(files[at], whole), cursor, self.limit)

    def _given(self, file: Any, whole: bool) -> Iterator[Any]:
        if self.manifest.incremental:
            for change in incremental_export.changes_in(self.place, file, self.keys):
                yield {"key": change.keys}
            return
        for item in full_export.items(self.place, file, self.keys):
            yield item if whole else {"key": {name: item[name] for name in self.keys}}


@dataclass(frozen=True, slots=True)
class Archived:
    """The changes of an archive from `begin` to before `end`, in microseconds; None is where it begins or ends. `keys`:
    the attributes of the table's key."""

    archive: Archive
    keys: tuple[str, ...]
    begin: int | None
    end: int | None
    limit: int

    def objects(self) -> list[str]:
        """Those that may hold such changes. Raises ConfigError."""
        return self.archive.objects(self.begin, self.end)

    def pages(self, number: int, of: int, cursor: Any, whole: bool) -> Iterator[Page]:  # noqa: ARG002
        """Of each so many object, always entries: each stands for a change; see `Source`."""
        names = self.objects()[number::of]
        return _pages(len(names), lambda at: self._given(names[at]), cursor, self.limit)

    def _given(self, name: str) -> Iterator[Any]:
        for line_number, line in self.archive.lines(name):
            change = self.archive.read(name, line_number, line)
            if set(change.keys) != set(self.keys):
                where = f"{self.archive.place.shown(name)}:{line_number}"
                raise ConfigError(f"{where}: its key is {', '.join(change.keys)}: this is another table's")
            if (self.begin is None or change.micros >= self.begin) and (self.end is None or change.micros < self.end):
                yield entry_of(change)


def entry_of(change: ArchivedChange) -> dict[str, Any]:
    """What asks for the item that a change is about; see `consumer.reconcile`."""
    version = versions.to_text(versions.of(change.at.generation, change.at.sequence))
    removed = change.kind == "REMOVE" and not change.expired
    return {"key": change.keys, "version": version, "removed": removed, "expired": change.expired}


def _pages(files: int, read: Callable[[int], Iterator[Any]], cursor: Any, limit: int) -> Iterator[Page]:
    """What the files hold, `limit` at a time, each page with the file and the place in it that come next."""
    start, done = (cursor["file"], cursor["line"]) if cursor else (0, 0)
    for file in range(start, files):
        given = read(file)
        done = sum(1 for _ in islice(given, done if file == start else 0))
        while page := list(islice(given, limit)):
            done += len(page)
            yield page, {"file": file, "line": done}
    yield [], None


def parts_of(many: int, most: int) -> Sequence[Mapping[str, int]]:
    """So many files in at most so many parts."""
    of = max(1, min(many, most))
    return [{"number": number, "of": of} for number in range(of)]
