"""Declarations of indexes checked as a whole, every fault at once."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from distributary.errors import ConfigError
from distributary.index.declarations import Field, Index
from distributary.index.document import DELETED_AT, DOCUMENT_ID_BYTES, Source, Written
from distributary.index.field_writers import plain_tag, writer
from distributary.stream.entity import without_comma
from distributary.stream.keys import Template
from distributary.stream.version import GENERATIONS

_NAME_BYTES = 230
"""An index's name has at most 255, and generation and role come behind it."""

_TAKEN = re.compile(r"-g[0-9]+(-write(-[0-9]+)?)?$")


def check(indexes: Sequence[Index]) -> tuple[Source, ...]:
    """Checks declared indexes, as the function does when it starts.

    Returns:
        The declarations, ready for use, in their order.

    Raises:
        ConfigError: A declaration is wrong. It names every fault of every index.
    """
    faults = [] if indexes else ["no index is declared: add one to indexes.py"]
    sources = []
    for index in indexes:
        if strings := without_comma(keys=index.of.keys, attributes=index.of.attributes):
            faults += [f"index '{index.name}': {fault}" for fault in strings]
            continue
        id, wrong = _template(index.id)
        routing, strayed = _template(index.routing) if index.routing is not None else (None, [])
        wrong = [*wrong, *strayed, *_faults(index, id, routing)]
        faults += [f"index '{index.name}': {fault}" for fault in wrong]
        if not wrong and id is not None:
            sources.append(Source(index, id, routing, _written(index)))
    for one, other in combinations(sources, 2):
        if (one.declared.name, one.declared.since) == (other.declared.name, other.declared.since):
            faults += [f"index '{one.declared.name}': {fault}" for fault in _contradictions(one, other)]
    if faults:
        raise ConfigError(faults)
    return tuple(sources)


def _written(index: Index) -> tuple[Written, ...]:
    return tuple(
        Written(
            name,
            field,
            "" if callable(field.of) else field.of or name,
            "" if field.json or callable(field.of) else plain_tag(field.mapping),
            writer(name, field.mapping),
        )
        for name, field in index.declared().items()
    )


def whole(indexes: Sequence[Index]) -> list[Index]:
    """One declaration for each index, with the fields of all that share it; `indexes` are of one generation."""
    found: dict[str, Index] = {}
    for index in indexes:
        fields = {**found[index.name].fields, **index.fields} if index.name in found else index.fields
        found[index.name] = replace(index, fields=fields)
    return list(found.values())


def _template(text: str) -> tuple[Template | None, list[str]]:
    try:
        return Template.parse(text), []
    except ConfigError as error:
        return None, error.faults


def _faults(index: Index, id: Template | None, routing: Template | None) -> Iterable[str]:
    name, entity = index.name, index.of
    if not name.islower() or set(name) & set(' "*\\<|,>/?#:') or name[:1] in "-_+" or len(name.encode()) > _NAME_BYTES:
        yield f'a name is lowercase, has none of  "*\\<|,>/?#: and at most {_NAME_BYTES} bytes'
    if not 0 <= index.since < GENERATIONS:
        yield f"since is a generation, 0 to {GENERATIONS - 1}"
    if _TAKEN.search(name):
        yield "a name that ends in -g and a number is that of a generation; choose another"
    if id is not None and set(id.attributes) != set(entity.keys):
        yield f"its id must use the entity's keys, all and only: {entity.keys}"
    if (
        id is not None
        and sum(len(part.encode()) for part in id.parts if isinstance(part, str)) > DOCUMENT_ID_BYTES // 2
    ):
        yield f"the id's literals have more than {DOCUMENT_ID_BYTES // 2} bytes; shorten them"
    if routing is not None and not set(routing.attributes) <= set(entity.keys):
        yield f"its routing must use the entity's keys only {entity.keys}, or documents would be left on other shards"
    for field_name, field in index.declared().items():
        yield from _field_faults(index, field_name, field)


def _field_faults(index: Index, name: str, field: Field) -> Iterable[str]:
    entity, mapping = index.of, field.mapping
    source = field.of if isinstance(field.of, str) else name
    if not callable(field.of) and source not in {*entity.keys, *entity.attributes}:
        yield f"entity '{entity.name}' does not declare '{source}'; add it or correct the name"
    if mapping.get("type") in ("object", "nested") and not {"properties", "dynamic", "enabled"} & set(mapping):
        yield f"field '{name}' needs 'properties', or 'dynamic': true to take any"
    if field.on_error not in ("park", "null"):
        yield f"field '{name}': on_error is 'park' or 'null'"
    if type(field.max_keys) is not int or field.max_keys < 1:
        yield f"field '{name}': max_keys is a whole number from 1"
    if name == DELETED_AT or "type" not in mapping:
        yield f"field '{name}' needs a mapping with a type and another name"
    if mapping.get("type") == "knn_vector" and not _dimensioned(mapping):
        yield f"field '{name}' needs its 'dimension', a whole number of 1 to 16,000, or a 'model_id'"


def _dimensioned(mapping: Mapping[str, Any]) -> bool:
    dimension = mapping.get("dimension")
    return "model_id" in mapping or (type(dimension) is int and 1 <= dimension <= 16_000)


def _contradictions(one: Source, other: Source) -> Iterable[str]:
    """Two entities may share an id only if it is the item's in both: then an item that changes its entity stays one
    document."""
    names = f"entities '{one.declared.of.name}' and '{other.declared.of.name}'"
    same = one.id.text == other.id.text and set(one.declared.of.keys) == set(other.declared.of.keys)
    if not same and one.id.may_equal(other.id):
        yield (
            f"{names} could make the same id: a value may hold every character but the separators that its own "
            f"template uses, so '{one.id.text}' can equal '{other.id.text}'; begin each id with a word of its own and "
            "a separator, such as 'A#' and 'B#', or give both one template"
        )
    if same and (one.declared.routing or "") != (other.declared.routing or ""):
        yield f"{names} share their ids and not their routing: an item that changes its entity would be left behind"
    mappings = other.declared.mappings()
    for name, mapping in one.declared.mappings().items():
        if mappings.get(name, mapping) != mapping:
            yield f"{names} map field '{name}' differently; one index has one mapping"
