"""A full export of a table (format DYNAMODB_JSON), read in pages from a folder or from S3."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from distributary.errors import ConfigError
from distributary.readers.lines import parsed
from distributary.readers.manifest import SUMMARY, DataFile, find
from distributary.readers.place import Place, place
from distributary.stream.codec import Typed
from distributary.stream.keys import table_of

PAGE = 1000
Item = Mapping[str, Typed]


def pages(address: str, s3: Callable[[], Any], keys: Sequence[str] = (), table: str = "") -> Iterator[list[Item]]:
    """Items in DynamoDB JSON, of the one export below a folder or `s3://bucket/prefix`. `keys` are the attributes of
    the key that every item must have; `table`: the name of the only table that it may be of.

    Raises ConfigError that names the file and line for what is missing, damaged, or another table's; Unavailable where
    S3 breaks off. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html"""
    where = place(address, s3)
    manifest = find(where)
    if manifest.incremental:
        raise ConfigError(f"{where.shown(manifest.folder)}: this is an incremental export: give a full one")
    own = table_of(str(manifest.summary.get("tableArn")))
    if table and own != table:
        raise ConfigError(f"{where.shown(manifest.folder)}{SUMMARY}.json: the export is of {own}, not of {table}")
    page: list[Item] = []
    for file in manifest.files:
        for item in items(where, file, keys):
            page.append(item)
            if len(page) == PAGE:
                yield page
                page = []
    yield page


def items(where: Place, file: DataFile, keys: Sequence[str] = ()) -> Iterator[Item]:
    """Those of one file. Raises as `pages` does."""
    return parsed(where, file.name, lambda line: _item(line, keys), "item of a full export", file.expected)


def _item(line: Any, keys: Sequence[str]) -> Item:
    item: Item = line["Item"]
    if not isinstance(item, dict):
        raise ValueError("Item is no object")
    check_keys(item, keys)
    return item


def check_keys(item: Item, keys: Sequence[str]) -> None:
    """Raises ValueError for an item without these attributes."""
    if missing := [name for name in keys if name not in item]:
        raise ValueError(f"it has no {', '.join(missing)}: this is another table's")
