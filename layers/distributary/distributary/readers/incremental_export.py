"""An incremental export of a table (format DYNAMODB_JSON): the net change of each item in a window."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from distributary.errors import ConfigError
from distributary.readers.full_export import Item, check_keys
from distributary.readers.lines import parsed
from distributary.readers.manifest import DataFile, find
from distributary.readers.place import Place, place

NEW_AND_OLD, NEW = "NEW_AND_OLD_IMAGES", "NEW_IMAGE"


@dataclass(frozen=True, slots=True)
class NetChange:
    """An item's net change: `new` is None if it was deleted. `old` is None if it is new, and always in a view of new
    images only. `micros`: when it was last written, in microseconds since the epoch."""

    keys: Item
    old: Item | None
    new: Item | None
    micros: int


def changes(address: str, s3: Callable[[], Any], keys: Sequence[str] = ()) -> Iterator[NetChange]:
    """Of the one export below a folder or `s3://bucket/prefix`, with new images or with both. Raises as
    `full_export.pages` does."""
    where = place(address, s3)
    manifest = find(where)
    if not manifest.incremental:
        raise ConfigError(f"{where.shown(manifest.folder)}: this is no incremental export")
    for file in manifest.files:
        yield from changes_in(where, file, keys)


def changes_in(where: Place, file: DataFile, keys: Sequence[str] = ()) -> Iterator[NetChange]:
    """Those of one file. Raises as `changes` does."""
    return parsed(where, file.name, lambda line: _change(line, keys), "net change of an item", file.expected)


def _change(line: Any, keys: Sequence[str]) -> NetChange:
    found, old, new = line["Keys"], line.get("OldImage"), line.get("NewImage")
    for part in (found, *(each for each in (old, new) if each is not None)):
        if not isinstance(part, dict):
            raise ValueError("Keys, OldImage or NewImage is no object")
    if keys and set(found) != set(keys):
        raise ValueError(f"its key is {', '.join(found)}: this is another table's")
    for image in (old, new):
        if image is not None:
            check_keys(image, list(found))
    written = line["Metadata"]["WriteTimestampMicros"]
    return NetChange(found, old, new, int(written["N"] if isinstance(written, dict) else written))
