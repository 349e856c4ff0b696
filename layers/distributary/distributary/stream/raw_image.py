"""An item as a slice of the event's bytes: an attribute is decoded when it is read."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from distributary.errors import Rejected
from distributary.stream.change import Image
from distributary.stream.codec import Typed, Value, decode

_SLICES = msgspec.json.Decoder(dict[str, Raw])
_TYPED = msgspec.json.Decoder()
_BRACE, _QUOTE = b'{"'
_SMALL = 1024
"""Bytes. To decode a smaller image as a whole takes less time than to find its slices and decode some of them."""


class RawImage(Image):
    """See `Image`. Names and slices are found when the image is first read, and a value when its attribute is."""

    __slots__ = ("_parts", "_slice")

    def __init__(self, slice: Raw) -> None:
        self._slice = slice
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
            try:
                part = parts[name] = _TYPED.decode(part)
            except (msgspec.MsgspecError, RecursionError):
                part = parts[name] = _decoded(part)
        return part

    def __getitem__(self, name: str) -> Value:
        decoded = self._decoded
        if decoded is None:
            decoded = self._decoded = {}
        if name in decoded:
            return decoded[name]
        value = decoded[name] = decode(self.typed(name), name)
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
            small = memoryview(self._slice).nbytes < _SMALL
            try:
                parts = _TYPED.decode(self._slice) if small else _SLICES.decode(self._slice)
            except (msgspec.MsgspecError, RecursionError):
                parts = json.loads(bytes(self._slice))
            self._parts = parts
        return parts


def image_of(slice: Raw) -> Image | None:
    """The image that the slice spells, None for no or an empty one. Raises Rejected for anything but an object."""
    text = memoryview(slice)
    if text[0] == _BRACE and text[1] == _QUOTE:
        return RawImage(slice)
    content = _decoded(slice)
    if content is not None and not isinstance(content, dict):
        raise Rejected("is no object")
    return Image(content) if content else None


def _decoded(slice: Raw) -> Any:
    """As the standard library reads it, which takes lone surrogates and numbers that msgspec refuses."""
    try:
        return _TYPED.decode(slice)
    except (msgspec.MsgspecError, RecursionError):
        return json.loads(bytes(slice))
