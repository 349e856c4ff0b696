"""Records of a DynamoDB stream, as Lambda delivers them.

https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html shows the event,
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html its fields.
"""

import reprlib
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from distributary.errors import ConfigError, DistributaryError, ForeignStream, Rejected, Unavailable
from distributary.stream import version
from distributary.stream.canonical import digest
from distributary.stream.change import Change, Image, Kind, Origin, Undecodable, Unlisted

EVENT_SOURCE = "aws:dynamodb"
GenerationOf = Callable[[str], int]
"""The generation of a stream, by its ARN. Raises ForeignStream for a stream that is not to be read, Unavailable if the
sink cannot be asked, ConfigError if a later release wrote it."""

_TTL_PRINCIPAL = "dynamodb.amazonaws.com"
KINDS = {kind.value: kind for kind in Kind}
_ORIGINS = {origin.value: origin for origin in Origin}
TIMES = {int, float}
KEY_TYPES = {"S", "N", "B"}
_KEY_NAME_BYTES = 255
LATEST_SECONDS = 10**11
"""The year 5138; more are milliseconds."""


def decode(record: Any, generation_of: GenerationOf) -> Change | Undecodable | Unlisted:
    """A change, or the record as it came with the reason why it is none.

    A record that Distributary fed itself carries `{"distributary": {"origin": "snapshot" | "redrive"}}`. Raises
    ConfigError if `generation_of` does: the sink was written by a later release.
    """
    try:
        source = record.get("eventSourceARN")
        source = source if isinstance(source, str) else ""
        return _change(record, source, generation_of(source))
    except Unavailable as error:
        foreign = isinstance(error, ForeignStream)
        return Unlisted(event_id(record), identifier_of(record), record, str(error), foreign)
    except ConfigError:
        raise
    except DistributaryError as error:
        return _undecodable(record, str(error), error.detail)
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        return _undecodable(record, f"the record has the wrong form: {type(error).__name__}", reprlib.repr(error))


def table_of(source: str) -> str:
    """The table's name in a stream's ARN; empty if there is none.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
    """
    return (source.split(":table/", 1)[1:] or [""])[0].split("/", 1)[0]


def _change(record: Mapping[str, Any], source: str, generation: int) -> Change:
    kind = KINDS.get(record.get("eventName", ""))
    if kind is None:
        raise Rejected("eventName is none of INSERT, MODIFY, REMOVE")
    try:
        body, event_id = record["dynamodb"], record["eventID"]
        keys, sequence, created = body["Keys"], body.get("SequenceNumber"), body.get("ApproximateCreationDateTime")
    except KeyError as missing:
        raise Rejected(f"the record has no {missing.args[0]}") from None
    if not is_id(event_id):
        raise Rejected("eventID is no printable text")
    if not isinstance(keys, Mapping):
        raise Rejected("Keys is no object")
    new = None if kind is Kind.REMOVE else _image("NewImage", body)
    old = _image("OldImage", body)
    _check_keys(keys)
    if kind is not Kind.REMOVE:
        _check_image(new, keys)
    origin = Origin.STREAM if record.get("distributary") is None else _origin(record["distributary"])
    snapshot = origin is Origin.SNAPSHOT
    fields = (
        event_id,
        kind,
        Image(keys),
        old,
        new,
        version.of(generation, version.SNAPSHOT_POSITION if snapshot else position(sequence)),
        None if created is None else seconds(created),
        source,
        kind is Kind.REMOVE and expired(record.get("userIdentity")),
        origin,
        event_id if snapshot else sequence,
        record,
    )
    return Change._make(fields)


def _check_keys(keys: Mapping[str, Any]) -> None:
    if not 1 <= len(keys) <= 2:
        raise Rejected("the record's Keys hold no key or more than two")
    for name, typed in keys.items():
        (tag,) = typed if len(typed) == 1 else ("",)
        if tag not in KEY_TYPES or not isinstance(typed[tag], str):
            raise Rejected(f"key '{name}' is none of S, N, B")


def _image(name: str, body: Mapping[str, Any]) -> Image | None:
    """What the body has by this name. None if it is empty."""
    part = body.get(name)
    if part is None:
        return None
    if not isinstance(part, Mapping):
        raise Rejected(f"{name} is no object")
    return Image(part) if part else None


def _check_image(new: Image | None, keys: Mapping[str, Any]) -> None:
    if new is None:
        raise Rejected("the record has no NewImage: set the table's StreamViewType to NEW_AND_OLD_IMAGES")
    for name, typed in keys.items():
        try:
            same = new.typed(name) == typed
        except KeyError:
            same = False
        if not same:
            raise Rejected(f"NewImage lacks the key '{name}', or differs from Keys in it")


def position(sequence: Any) -> int:
    """SequenceNumber as a number. Raises Rejected."""
    if not (isinstance(sequence, str) and sequence.isascii() and sequence.isdigit()):
        raise Rejected("SequenceNumber is no string of digits")
    if len(sequence) > version.POSITION_DIGITS:
        raise Rejected(f"SequenceNumber has more than {version.POSITION_DIGITS} digits")
    return int(sequence)


def seconds(created: Any) -> float:
    """ApproximateCreationDateTime. Raises Rejected."""
    if type(created) not in TIMES or not 0 <= created < LATEST_SECONDS:
        raise Rejected("ApproximateCreationDateTime is no time in epoch seconds")
    return float(created)


def is_id(event_id: Any) -> TypeGuard[str]:
    """Whether an eventID can name a record."""
    return isinstance(event_id, str) and event_id != "" and event_id.isprintable()


def _origin(note: Any) -> Origin:
    origin = _ORIGINS.get(note.get("origin"))
    if origin is None:
        raise Rejected(f"distributary.origin is none of {', '.join(_ORIGINS)}")
    return origin


def expired(identity: Any) -> bool:
    """Whether TTL made a delete, by the record's `userIdentity`.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html"""
    return bool((identity or {}).get("principalId") == _TTL_PRINCIPAL)


def identifier_of(record: Any) -> str:
    """What Lambda wants back: the sequence number; for a snapshot, which has none of its own, the event id."""
    try:
        if (record.get("distributary") or {}).get("origin") == Origin.SNAPSHOT:
            return str(record["eventID"])
        return str(record["dynamodb"]["SequenceNumber"])
    except (AttributeError, KeyError, TypeError):
        return ""


def event_id(record: Any) -> str:
    """The record's, or a digest that stands for it."""
    named = record.get("eventID") if isinstance(record, Mapping) else None
    return named if is_id(named) else _digest(record)


def _undecodable(record: Any, cause: str, detail: str) -> Undecodable:
    return Undecodable(event_id(record), identifier_of(record), record, cause, detail)


def _digest(record: Any) -> str:
    """Of the record, or of its identifier alone if it is nested too deep."""
    try:
        return digest(record)
    except RecursionError:
        return digest(identifier_of(record))
