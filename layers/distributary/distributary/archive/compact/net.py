"""The net change of each item in a window, as an incremental export states it."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from distributary.archive.compact.partitions import Entry
from distributary.archive.tied import in_order


def net_changes(entries: Iterable[Entry], old_images: bool) -> Iterator[bytes]:
    """At most one line per item, without a line feed, of all changes of these items; a change may come more than once.

    `NewImage` is the item after its last change, `OldImage` the item before its first one. An item that was inserted
    and deleted again has no line. Of changes that have one position, the images tell the order.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html
    """
    first: dict[bytes, Entry] = {}
    last: dict[bytes, Entry] = {}
    tied: dict[bytes, list[Entry]] = {}
    for entry in entries:
        if entry.key not in first:
            first[entry.key] = last[entry.key] = entry
        elif entry.at < first[entry.key].at:
            first[entry.key] = entry
        elif entry.at > last[entry.key].at:
            last[entry.key] = entry
        elif any(entry.at == each.at and entry.line != each.line for each in (first[entry.key], last[entry.key])):
            tied.setdefault(entry.key, []).append(entry)
    for key, entry in last.items():
        begun, ended = _ordered(first[key], tied.get(key))[0], _ordered(entry, tied.get(key))[-1]
        old, new = _image(begun, "OldImage"), _image(ended, "NewImage")
        if old is None and new is None:
            continue
        body: dict[str, Any] = {
            "Metadata": {"WriteTimestampMicros": {"N": str(entry.micros)}},
            "Keys": orjson.Fragment(key),
        }
        if old is not None and old_images:
            body["OldImage"] = old
        if new is not None:
            body["NewImage"] = new
        yield orjson.dumps(body)


def _ordered(entry: Entry, tied: list[Entry] | None) -> list[Entry]:
    """All changes that have the entry's position, in their order."""
    if tied is None:
        return [entry]
    together = {each.line: each for each in (entry, *tied) if each.at == entry.at}
    return in_order(list(together.values()), lambda each: (_image(each, "OldImage"), _image(each, "NewImage")), _line)


def _line(entry: Entry) -> bytes:
    return entry.line


def _image(entry: Entry, name: str) -> Any:
    return orjson.loads(entry.line).get(name)
