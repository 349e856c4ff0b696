"""The net change of each item in a window, as an incremental export states it."""

from collections.abc import Iterable, Iterator, Mapping
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
    tied: dict[bytes, dict[bytes, Entry]] = {}
    for entry in entries:
        if entry.key not in first:
            first[entry.key] = last[entry.key] = entry
        elif entry.at < first[entry.key].at:
            first[entry.key] = entry
        elif entry.at > last[entry.key].at:
            last[entry.key] = entry
        elif entry.at in (first[entry.key].at, last[entry.key].at) and (
            entry.line not in (first[entry.key].line, last[entry.key].line)
        ):
            tied.setdefault(entry.key, {})[entry.line] = entry
    for key, entry in last.items():
        together = tied.get(key, {})
        begun, ended = _ordered(first[key], together)[0], _ordered(entry, together)[-1]
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


def _ordered(entry: Entry, tied: Mapping[bytes, Entry]) -> list[Entry]:
    """All changes that have the entry's position, in their order; `tied` by their lines."""
    together = {entry.line: entry} | {line: each for line, each in tied.items() if each.at == entry.at}
    if len(together) == 1:
        return [entry]
    images = {line: (_image(each, "OldImage"), _image(each, "NewImage")) for line, each in together.items()}
    return [together[line] for line in in_order(list(together), images.__getitem__, bytes)]


def _image(entry: Entry, name: str) -> Any:
    return orjson.loads(entry.line).get(name)
