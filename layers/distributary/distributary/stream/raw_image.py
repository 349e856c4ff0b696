"""An item as a slice of the event's bytes: an attribute is decoded when it is read."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import astuple

from distributary.errors import Rejected
from distributary.stream.change import Image
from distributary.stream.codec import Typed, Value, decode
from distributary.stream.fresh_stack import on_fresh_stack


class Attribute(Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A value in DynamoDB JSON, of one of these types."""

    M: "dict[str, Attribute] | UnsetType" = UNSET
    L: "list[Attribute] | UnsetType" = UNSET
    S: str | UnsetType = UNSET
    N: str | UnsetType = UNSET
    B: str | UnsetType = UNSET
    BOOL: bool | UnsetType = UNSET
    NULL: bool | UnsetType = UNSET
    SS: list[str] | UnsetType = UNSET
    NS: list[str] | UnsetType = UNSET
    BS: list[str] | UnsetType = UNSET


_ITEM = msgspec.json.Decoder(dict[str, Attribute])
_SLICES = msgspec.json.Decoder(dict[str, Raw])
_TYPED = msgspec.json.Decoder()
_ENCODE = msgspec.json.Encoder().encode
_BRACE, _QUOTE = b'{"'
_SMALL = 1024
"""Bytes. To decode a smaller image as a whole takes less time than to find its slices and decode some of them."""


class RawImage(Image):
    """See `Image`. Names and slices are found when the image is first read, and a value when its attribute is."""

    __slots__ = ("_parts", "_slice", "_small")

    def __init__(self, slice: Raw, small: bool) -> None:
        self._slice, self._small = slice, small
        self._parts: dict[str, Any] | None = None
        self._decoded = None

    @property
    def raw(self) -> dict[str, Typed]:  # type: ignore[override]
        """The whole item in DynamoDB JSON."""
        parts = self._known()
        for name, part in parts.items():
            if type(part) is Raw:
                parts[name] = _decoded(part)
        return parts

    def typed(self, name: str) -> Typed:
        """One attribute in DynamoDB JSON. Raises KeyError if the item lacks it."""
        parts = self._parts
        if parts is None:
            parts = self._known()
        part = parts[name]
        if type(part) is Raw:
            part = parts[name] = _decoded(part)
        return part

    def compact(self) -> bytes | None:
        """See `Image.compact`."""
        return self._respelled(_TYPED)

    def slices(self) -> Mapping[str, Raw] | None:
        """See `Image.slices`."""
        return None if self._respelled(_ITEM) is None else _SLICES.decode(self._slice)

    def _respelled(self, decoder: msgspec.json.Decoder[Any]) -> bytes | None:
        """What comes of decoding and encoding, if that is the text that was received."""
        try:
            spelled = _ENCODE(decoder.decode(self._slice))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        return spelled if spelled == bytes(self._slice) else None

    def has(self, attributes: Mapping[str, Typed]) -> bool:
        """See `Image.has`. Of a small item nothing else is decoded: a branch decodes it as a whole. False as well for a
        small item that only the standard library decodes."""
        if not self._small:
            return super().has(attributes)
        try:
            return astuple(_only(*attributes).decode(self._slice)) == (*attributes.values(),)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False

    def release(self) -> None:
        """See `Image.release`."""
        self._parts = self._decoded = None

    def __getitem__(self, name: str) -> Value:
        decoded = self._decoded
        if decoded is None:
            decoded = self._decoded = {}
        elif name in decoded:
            return decoded[name]
        typed = (self._parts or self._known())[name]
        value = decoded[name] = decode(_decoded(typed) if type(typed) is Raw else typed, name)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._known()

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def __repr__(self) -> str:
        return f"Image({', '.join(self._known())})"

    def _known(self) -> dict[str, Any]:
        """By name, what is known of each attribute: its slice, or its value in DynamoDB JSON."""
        parts = self._parts
        if parts is None:
            parts = self._parts = _decoded(self._slice, _TYPED if self._small else _SLICES)
        return parts


@lru_cache(maxsize=64)
def _only(*names: str) -> msgspec.json.Decoder[Any]:
    """Decodes these attributes of an item, and refuses an item that lacks one. Raises ValueError for a name with a
    quote, a backslash or a control character."""
    renamed = {f"attribute{place}": name for place, name in enumerate(names)}
    return msgspec.json.Decoder(msgspec.defstruct("Only", [(each, dict) for each in renamed], rename=renamed, gc=False))


def image_of(slice: Raw | UnsetType) -> Image | None:
    """The image that the slice spells, None for no or an empty one. Raises Rejected for anything but an object."""
    if slice is UNSET:
        return None
    text = memoryview(slice)
    if text[0] == _BRACE and text[1] == _QUOTE:
        return RawImage(slice, text.nbytes < _SMALL)
    content = _decoded(slice)
    if content is not None and not isinstance(content, dict):
        raise Rejected("is no object")
    return Image(content) if content else None


def _decoded(slice: Raw, decoder: msgspec.json.Decoder[Any] = _TYPED) -> Any:
    """Where the decoder refuses, as the standard library reads it, which takes lone surrogates and every number.
    Raises Rejected for what is no JSON."""
    try:
        return decoder.decode(slice)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    try:
        return on_fresh_stack(json.loads, bytes(slice))
    except ValueError as error:
        raise Rejected("the item's text is no JSON", str(error)) from None
