"""How deep a value is nested, and how many fields it would add to an index: checked before anything walks it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

JSON_DEPTH = 100
"""An attribute nests at most 32 levels, but the JSON in a string any number: orjson writes 254, and Python's own limit
depends on its version. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""

Path = tuple[str, ...]


def within(value: Any, depth: int) -> bool:
    """Whether lists and maps are nested at most so deep in one another. Walks level by level, never into itself."""
    level = _containers([value])
    for _ in range(depth):
        level = [inner for each in level for inner in _containers(each.values() if isinstance(each, Mapping) else each)]
        if not level:
            return True
    return not level


def _containers(values: Iterable[Any]) -> list[Any]:
    return [each for each in values if isinstance(each, Mapping | list | tuple)]


def undeclared(value: Any, mapping: Mapping[str, Any], dynamic: Any = "strict", path: Path = ()) -> Iterator[Path]:
    """The keys that OpenSearch would add to the index, since they are in an object that is `dynamic`; perhaps some of
    them twice. An index is strict, and what is in an object is as the object is, unless it says otherwise.
    https://docs.opensearch.org/latest/field-types/dynamic/"""
    if mapping.get("type", "object") not in ("object", "nested") or mapping.get("enabled") is False:
        return
    dynamic = mapping.get("dynamic", dynamic)
    declared = mapping.get("properties", {})
    if isinstance(value, list | tuple):
        for member in value:
            yield from undeclared(member, mapping, dynamic, path)
    elif isinstance(value, Mapping):
        for key, member in value.items():
            if key in declared:
                yield from undeclared(member, declared[key], dynamic, (*path, key))
            elif str(dynamic).lower() == "true":
                yield (*path, key)
                yield from undeclared(member, {}, dynamic, (*path, key))


def exceeds(paths: Iterable[Path], most: int) -> bool:
    """Whether there are more different ones than that; stops as soon as there are."""
    found: set[Path] = set()
    for path in paths:
        found.add(path)
        if len(found) > most:
            return True
    return False
