"""A Lambda event of a stream whose images are not decoded yet: they stay slices of the bytes that Lambda sent."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from distributary.stream.fresh_stack import on_fresh_stack

Standard = Callable[[bytes], Any]
"""How the runtime decodes an event: JSON text to objects."""


class Body(Struct, gc=False):
    """`dynamodb` of a record, as far as a change is made from it."""

    Keys: Any = None
    NewImage: Raw | UnsetType = UNSET
    OldImage: Raw | UnsetType = UNSET
    SequenceNumber: Any = None
    ApproximateCreationDateTime: Any = None


class Record(Struct, gc=False):
    """A record, as far as a change is made from it."""

    dynamodb: Body
    eventID: Any = None
    eventName: Any = None
    eventSource: Any = None
    eventSourceARN: Any = ""
    userIdentity: Any = None
    distributary: Any = UNSET


class Envelope(Struct, gc=False):
    """The event. One with `distributary` is a command of ours."""

    Records: list[Record]
    distributary: Raw | UnsetType = UNSET


class _Texts(Struct, gc=False):
    Records: list[Raw]


_ENVELOPE = msgspec.json.Decoder(Envelope)
_TEXTS = msgspec.json.Decoder(_Texts)


class _Unread:
    """Stands for the records. No encoder takes it: one that reads a dict's memory past its methods fails instead of
    writing an empty event."""

    def __repr__(self) -> str:
        return "<records that are not decoded>"


class StreamEvent(dict):
    """The event as a dict. It is decoded as the runtime would have decoded it as soon as anything reads it as a dict;
    `distributary.stream.records.decode` does not.

    Its text shows no items, decoded or not.
    """

    __slots__ = ("_body", "_read", "_records", "_standard", "_texts", "decoded")

    def __init__(self, body: bytes, records: list[Record], standard: Standard) -> None:
        super().__init__(Records=_Unread())
        self._body, self._records, self._standard = body, records, standard
        self._texts: list[Raw] | None = None
        self._read: dict[int, Any] = {}
        self.decoded = False

    def unread(self) -> list[Record] | None:
        """The records with their images as slices; None once the event has been decoded: something may have changed
        it since."""
        return None if self.decoded else self._records

    def record(self, place: int) -> Any:
        """One record, decoded as the runtime would have decoded it; no other is."""
        if self.decoded:
            return self["Records"][place]
        if place not in self._read:
            if self._texts is None:
                self._texts = on_fresh_stack(_TEXTS.decode, self._body).Records
            self._read[place] = self._decode(bytes(self._texts[place]))
        return self._read[place]

    def _decode(self, text: bytes) -> Any:
        try:
            return self._standard(text)
        except Exception:  # noqa: BLE001  (it rises again, unless the stack alone was too deep by now)
            return on_fresh_stack(self._standard, text)

    def _all(self) -> "StreamEvent":
        if not self.decoded:
            content = on_fresh_stack(self._standard, self._body)
            self.decoded = True
            super().clear()
            super().update(content)
            self._body, self._records, self._texts = b"", [], None
        return self

    def __repr__(self) -> str:
        return "StreamEvent()"

    __str__ = __repr__

    def __getitem__(self, name: Any) -> Any:
        self._all()
        return super().__getitem__(name)

    def __setitem__(self, name: Any, value: Any) -> None:
        self._all()
        super().__setitem__(name, value)

    def __delitem__(self, name: Any) -> None:
        self._all()
        super().__delitem__(name)

    def __contains__(self, name: object) -> bool:
        self._all()
        return super().__contains__(name)

    def __iter__(self) -> Iterator[Any]:
        self._all()
        return super().__iter__()

    def __reversed__(self) -> Iterator[Any]:
        self._all()
        return super().__reversed__()

    def __len__(self) -> int:
        self._all()
        return super().__len__()

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        self._all()
        return dict.__eq__(self, other._all() if isinstance(other, StreamEvent) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self)

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def __copy__(self) -> dict[Any, Any]:
        return dict(self)

    copy = __copy__

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (dict(self),)


def _reading(name: str) -> Any:
    method = getattr(dict, name)

    def read(self: StreamEvent, *args: Any, **named: Any) -> Any:
        self._all()
        return method(self, *args, **named)

    read.__name__, read.__doc__ = name, method.__doc__
    return read


for _name in ("get", "keys", "values", "items", "pop", "popitem", "setdefault", "update", "clear"):
    setattr(StreamEvent, _name, _reading(_name))


class Recorded(Protocol):
    """What has records that it decodes when they are asked for."""

    def record(self, place: int) -> Any:
        """One of them."""


class Received(Mapping[str, Any]):
    """A record as it was received, decoded when it is read: that of a change that is parked, and no other. `note` is
    what it has by the name `distributary`, and tells without being decoded."""

    __slots__ = ("_event", "_note", "_place")

    def __init__(self, event: Recorded, place: int, note: Any = UNSET) -> None:
        self._event, self._place, self._note = event, place, note

    def _record(self) -> Any:
        return self._event.record(self._place)

    def __getitem__(self, name: str) -> Any:
        if name == "distributary" and self._note is not UNSET:
            return self._note
        return self._record()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._record())

    def __len__(self) -> int:
        return len(self._record())


def read(body: bytes, source: str, standard: Standard) -> StreamEvent | None:
    """The event if all its records are of the source, such as `aws:dynamodb`, and can be read so; None otherwise.

    None is also the answer for what only `standard` decodes, such as a number beyond a float's range, and for what no
    stream sends, but for snapshots: our commands, and records that are redriven.
    """
    if source.encode() not in body:
        return None
    try:
        envelope = _ENVELOPE.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    records = envelope.Records
    if not records or envelope.distributary is not UNSET:
        return None
    if any(record.eventSource != source or not _as_sent(record.distributary) for record in records):
        return None
    return StreamEvent(body, records, standard)


def _as_sent(note: Any) -> bool:
    """Whether a stream sends such a record, or a backfill."""
    if note is UNSET:
        return True
    if not isinstance(note, dict) or note.get("origin") != "snapshot":
        return False
    return len(note) == 1 or (len(note) == 2 and note.get("first_fill") is True)
