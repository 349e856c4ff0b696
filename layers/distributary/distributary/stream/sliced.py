"""Changes of records whose images are slices of the event's bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET

from distributary.errors import ConfigError, DistributaryError
from distributary.stream import version
from distributary.stream.change import Change, Image, Kind, Origin
from distributary.stream.dynamodb_stream import KEY_TYPES, KINDS, GenerationOf, expired, is_id, position, seconds
from distributary.stream.raw_image import image_of
from distributary.stream.stream_event import Received, Record, StreamEvent

_REMOVE, _STREAM, _SNAPSHOT = Kind.REMOVE, Origin.STREAM, Origin.SNAPSHOT
_made = tuple.__new__
"""Makes a named tuple in half of the time of `_make`."""


def changes(records: Sequence[Record], generation_of: GenerationOf, event: StreamEvent) -> list[Change | None]:
    """One entry per record, in order: None for a record that `dynamodb_stream.decode` has to judge.

    Raises ConfigError if `generation_of` does.
    """
    found: list[Change | None] = []
    source, least = None, 0
    for place, record in enumerate(records):
        try:
            if record.eventSourceARN != source:
                least = version.of(generation_of(_text(record.eventSourceARN)), 0)
                source = record.eventSourceARN
            found.append(change_of(record, least, Received(event, place, record.distributary)))
        except ConfigError:
            raise
        except (DistributaryError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
            found.append(None)
    return found


def change_of(record: Record, least: int, received: Received) -> Change:
    """Raises an error for what may be no change: it accepts less than `dynamodb_stream.decode`, and makes the same.
    A record with a note is a snapshot: see `stream_event.read`."""
    body, kind = record.dynamodb, KINDS[record.eventName]
    keys, sequence, created = body.Keys, body.SequenceNumber, body.ApproximateCreationDateTime
    snapshot = record.distributary is not UNSET
    new = None if kind is _REMOVE else image_of(body.NewImage)
    if (new is None and kind is not _REMOVE) or not is_id(record.eventID):
        raise ValueError
    _check(keys, new)
    fields = (
        record.eventID,
        kind,
        Image(keys),
        image_of(body.OldImage),
        new,
        least + (version.SNAPSHOT_POSITION if snapshot else position(sequence)),
        None if created is None else seconds(created),
        record.eventSourceARN,
        kind is _REMOVE and expired(record.userIdentity),
        _SNAPSHOT if snapshot else _STREAM,
        record.eventID if snapshot else sequence,
        received,
    )
    return _made(Change, fields)


def _check(keys: Mapping[str, Any], new: Image | None) -> None:
    if not 1 <= len(keys) <= 2:
        raise ValueError
    for typed in keys.values():
        ((tag, content),) = typed.items()
        if tag not in KEY_TYPES or type(content) is not str:
            raise ValueError
    if new is not None and not new.has(keys):
        raise ValueError


def _text(source: Any) -> str:
    if type(source) is not str:
        raise TypeError
    return source
