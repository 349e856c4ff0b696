"""Checked declarations, ready to say which documents an item is."""

import json
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from distributary.errors import Rejected
from distributary.index.declarations import Field, Index
from distributary.index.field_writers import SHORT_TEXT, Writer, is_plain_whole
from distributary.index.nesting import JSON_DEPTH, exceeds, undeclared, within
from distributary.stream.change import Change, Image, Kind
from distributary.stream.entity import concerns, guarded
from distributary.stream.keys import Template, bounded
from distributary.stream.struct import Struct

DELETED_AT = "distributary_deleted_at"
"""What a marker document holds instead of an item: when the marker was written, in epoch seconds."""

DOCUMENT_ID_BYTES = 512
"""https://docs.opensearch.org/latest/field-types/metadata-fields/id/"""

_UNBOUNDED = 1 << 16


class Written(NamedTuple):
    """A field and how it is written: the attribute that it is taken from (empty: a function's answer), and what of it
    is taken as it is, see `plain_tag`."""

    name: str
    field: Field
    attribute: str
    tag: str
    write: Writer


class Source(Struct, frozen=True):
    """A declaration with its templates parsed and a writer for each field."""

    declared: Index
    id: Template
    routing: Template | None
    fields: tuple[Written, ...]

    def concerned(self, change: Change) -> bool:
        """See `entity.concerns`. A delete concerns every index whose entity can ever have had the key: the change that
        took the item out of the entity may be parked. Raises Rejected if the entity's `where` fails on the new image.
        """
        claims = self.declared.of.claims
        return concerns(change, claims, claims) and (change.kind is not Kind.REMOVE or self._has_place(change))

    def _has_place(self, change: Change) -> bool:
        """Whether the template fits the key. Also true if the entity claims the item: `place` then raises."""
        try:
            return bool(self.place(change.keys))
        except Rejected:
            return change.old is not None and self.declared.of.claims(change.old)

    def claims(self, image: Image | None) -> bool:
        """Whether the item is a document of this index. Raises Rejected as `concerned`."""
        return image is not None and self.declared.of.claims(image)

    def place(self, keys: Image) -> dict[str, str]:
        """The document's place: `_id`, and `routing` if it is declared. Raises Rejected for mistyped keys."""
        place = {"_id": _rendered(self.id, keys)}
        if self.routing is not None:
            place["routing"] = _rendered(self.routing, keys)
        return place

    def document(self, item: Image) -> dict[str, Any]:
        """The fields as JSON values. Raises Rejected, naming the field, for what does not fit its mapping."""
        document: dict[str, Any] = {}
        typed_of = item.typed
        for name, field, attribute, tag, write in self.fields:
            if attribute:
                try:
                    typed = typed_of(attribute)
                except KeyError:
                    continue
                if tag and type(typed) is dict and len(typed) == 1:
                    text = typed.get(tag)
                    if type(text) is str:
                        if tag == "S" and len(text) <= SHORT_TEXT:
                            document[name] = text
                            continue
                        if tag == "N" and is_plain_whole(text):
                            document[name] = orjson.Fragment(text)
                            continue
            try:
                value = _value(name, field, item)
                if value is not None or attribute:
                    document[name] = write(value)
            except Rejected:
                if field.on_error == "park":
                    raise
                document[name] = None
            except RecursionError:
                raise Rejected(f"field '{name}': the value is nested too deeply") from None
        return document


def _value(name: str, field: Field, item: Image) -> Any:
    """What is to be written. Raises Rejected."""
    value = guarded(f"field '{name}'", field.of, item) if callable(field.of) else item[field.of or name]
    value = _expanded(name, value) if field.json else value
    if not within(value, JSON_DEPTH):
        raise Rejected(f"field '{name}': the value is nested more than {JSON_DEPTH} levels deep")
    if exceeds(undeclared(value, field.mapping), field.max_keys):
        raise Rejected(
            f"field '{name}': more than {field.max_keys} keys that its mapping does not declare; give the field "
            "a larger max_keys, or map it as flat_object"
        )
    return value


def _rendered(template: Template, keys: Image) -> str:
    short = template.short(keys.raw, DOCUMENT_ID_BYTES)
    return bounded(template.render(keys, _UNBOUNDED), DOCUMENT_ID_BYTES) if short is None else short


def _expanded(name: str, value: Any) -> Any:
    """What a string holds as JSON, numbers exact. Raises Rejected for what is no JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Rejected(f"field '{name}': the string holds no JSON", f"{type(error).__name__}: {error}") from None


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
