"""The expected content of each branch, recomputed from the source table with the functions' own declarations."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("layers/distributary", "functions/derive", "functions/index")]

from distributary import derive as declared_views  # noqa: E402
from distributary.derive.branch import plan  # noqa: E402
from distributary.derive.delta import is_member  # noqa: E402
from distributary.derive.format import STATE  # noqa: E402
from distributary.derive.groups import REVISION  # noqa: E402
from distributary.derive.view import Primitive  # noqa: E402
from distributary.errors import Rejected  # noqa: E402
from distributary.index import Index  # noqa: E402
from distributary.index import check as check_indexes  # noqa: E402
from distributary.index.declarations import of_generation  # noqa: E402
from distributary.index.validation import whole  # noqa: E402
from distributary.readers.archive import ArchivedChange  # noqa: E402
from distributary.stream.change import REPLICA_VERSION, Change  # noqa: E402
from distributary.stream.codec import decode_item  # noqa: E402
from distributary.stream.keys import identity  # noqa: E402
from indexes import INDEXES  # noqa: E402
from local.demo import recompute  # noqa: E402
from views import VIEWS  # noqa: E402

Item = Mapping[str, Any]


@dataclass(slots=True)
class Expectation:
    """The expected content by key. `excused`: keys that may differ, because the item's newest change is parked."""

    rows: dict[str, Any] = field(default_factory=dict)
    excused: set[str] = field(default_factory=set)
    unparked: list[str] = field(default_factory=list)
    """Items that the branch must have rejected, but that are not in the parking bucket."""


class Parked:
    """One branch's objects in the parking bucket. An item is excused if its present image is parked."""

    def __init__(self, s3: Any, bucket: str, branch: str) -> None:
        self._images: dict[str, list[Any]] = {}
        self._keys: set[str] = set()
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"parked/{branch}/")
        for found in (entry for page in pages for entry in page.get("Contents", [])):
            self._remember(json.loads(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()))

    def _remember(self, parked: Item) -> None:
        body = parked["record"].get("dynamodb", {})
        if "Keys" not in body and parked["key"] is not None:
            self._keys.add(identity(parked["key"]))
        try:
            name, image = identity(body["Keys"]), body.get("NewImage")
            self._images.setdefault(name, []).append(decode_item(image) if image else None)
        except (KeyError, Rejected):
            """A malformed record belongs to no item."""

    def holds(self, keys: Item, image: Item) -> bool:
        """Whether this image of the item is parked."""
        return decode_item(image) in self._images.get(identity(keys), [])

    def names(self, keys: Item) -> bool:
        """Whether the item is parked as what was deferred: by its key, for the item that it is then."""
        return identity(keys) in self._keys

    def mentions(self, keys: Item) -> bool:
        """Whether any change of the item is parked."""
        return identity(keys) in self._images


def snapshot(item: Item, key_names: Iterable[str]) -> Change:
    """The item as the change that inserted it."""
    return Change.snapshot({name: item[name] for name in key_names}, item, 0)


def derived(items: Iterable[Item], key_names: tuple[str, ...], parked: Parked) -> Expectation:
    """The expected rows of the derived table, by `pk|sk`."""
    views, expected = declared_views.check(VIEWS), Expectation()
    changes = [snapshot(item, key_names) for item in items]
    for change in changes:
        writes, rejections = plan(views, change)
        for write in writes:
            if write.row is not None:
                expected.rows[row_name(write.key)] = decode_item(write.row)
        if rejections:
            fixed = [view for view in views if view.primitive is Primitive.REGISTER]
            _excuse(expected, change, parked, {"|".join(view.key(change.keys)) for view in fixed})
    for view in views:
        if view.primitive is Primitive.LEDGER:
            for (pk, sk), row in recompute.rows(view, changes).items():
                expected.rows[f"{pk}|{sk}"] = {"pk": pk, "sk": sk, **row}
    return expected


def documents(items: Iterable[Item], key_names: tuple[str, ...], parked: Parked) -> Expectation:
    """The expected documents of all indexes, by index and id."""
    sources, expected = check_indexes(INDEXES), Expectation()
    for change in (snapshot(item, key_names) for item in items):
        for source in sources:
            if not source.claims(change.new) or change.new is None:
                continue
            name = f"{source.declared.name}/{source.place(change.keys)['_id']}"
            excused = parked.holds(change.keys.raw, change.new.raw)
            try:
                document = source.document(change.new)
            except Rejected:
                excused = excused or parked.names(change.keys.raw)
                expected.unparked += [] if excused else [identity(change.keys.raw)]
            else:
                expected.rows[name] = json.loads(orjson.dumps(document))
                excused = excused or (parked.names(change.keys.raw) and not _fits(expected.rows[name], source.declared))
            expected.excused |= {name} if excused else set()
    return expected


def _fits(document: Item, index: Index) -> bool:
    """Whether the search engine takes the document's numbers."""
    numbers = (name for name, mapping in index.fields.items() if mapping == {"type": "long"})
    return all(isinstance(document.get(name, 0), int | float) for name in numbers)


def replicas(items: Iterable[Item], key_names: tuple[str, ...], parked: Parked) -> Expectation:
    """The expected items of the replica, by identity."""
    expected = Expectation()
    for item in items:
        change = snapshot(item, key_names)
        name = identity(change.keys.raw)
        expected.rows[name] = decode_item(item)
        if parked.holds(change.keys.raw, item):
            expected.excused.add(name)
    return expected


def rebuilt(before: Iterable[Item], changes: Iterable[ArchivedChange], key_names: tuple[str, ...]) -> dict[str, Any]:
    """The table as it was before its stream began, with every archived change applied in order."""
    items = {item_name(item, key_names): item for item in before}
    for change in sorted(changes, key=lambda each: each.at):
        name = identity(change.keys)
        if change.new is None:
            items.pop(name, None)
        else:
            items[name] = change.new
    return {name: decode_item(item) for name, item in items.items()}


def _excuse(expected: Expectation, change: Change, parked: Parked, names: set[str]) -> None:
    keys = change.keys.raw
    if change.new is not None and (parked.holds(keys, change.new.raw) or parked.names(keys)):
        expected.excused |= names - set(expected.rows)
    else:
        expected.unparked.append(identity(keys))


def row_name(row: Item) -> str:
    """A derived row's name."""
    return f"{row['pk']['S']}|{row['sk']['S']}"


def rows_of(items: Iterable[Item], name: Callable[[Item], str]) -> dict[str, Any]:
    """A table's rows by name, without the attributes and rows that Distributary keeps for itself."""
    return {
        name(item): decode_item({k: v for k, v in item.items() if k not in (REPLICA_VERSION, STATE, REVISION)})
        for item in items
    }


def view_rows(items: Iterable[Item]) -> dict[str, Any]:
    """The rows of the derived table that readers see, by `pk|sk`."""
    return rows_of((item for item in items if not is_member(item)), row_name)


def item_name(item: Item, key_names: Iterable[str]) -> str:
    """An item's name."""
    return identity({name: item[name] for name in key_names})


def index_names() -> list[tuple[str, str]]:
    """Each index's alias for readers, and the index of generation 0 behind it."""
    return [(index.name, index.physical(0)) for index in whole(of_generation(INDEXES, 0))]
