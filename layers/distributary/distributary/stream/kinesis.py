"""Records of a Kinesis data stream that DynamoDB writes a table's changes into, as Lambda delivers them.

https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html shows the event,
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/kds.html what DynamoDB writes: JSON without a sequence
number of the table's own, with binary values in base64 twice (https://github.com/awslabs/amazon-kinesis-client/issues/959).
Records come more than once, and in no order. A change's place in its item's history is the time at which it was made.
"""

import base64
import json
import re
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from distributary.errors import ConfigError, DistributaryError, Rejected
from distributary.stream import dynamodb_stream, sliced, stream_event, version
from distributary.stream.change import Change, Undecodable, Unlisted
from distributary.stream.codec import Typed
from distributary.stream.dynamodb_stream import GenerationOf
from distributary.stream.struct import replace

EVENT_SOURCE = "aws:kinesis"

MICROS = 1_000_000
_PRECISIONS = {"MICROSECOND": 1, "MILLISECOND": 1000, None: 1000}
"""Microseconds of one. Records of before 2024 name no precision, and have milliseconds."""

_DATA_STREAM = re.compile(r"(arn:[^:]+):kinesis:([^:]+:[^:]+):stream/([A-Za-z0-9_.-]+)(/consumer/.+)?")
_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_IMAGES = ("Keys", "NewImage", "OldImage")
_BINARIES = b'"B"', b'"BS"'
"""One of them is in each text that has a binary value, or a set of them."""


class _Body(Struct, gc=False):
    Keys: Any = None
    NewImage: Raw | UnsetType = UNSET
    OldImage: Raw | UnsetType = UNSET
    ApproximateCreationDateTime: Any = None
    ApproximateCreationDateTimePrecision: Any = None


class _Content(Struct, gc=False):
    dynamodb: _Body
    tableName: Annotated[str, Meta(pattern=f"^{_TABLE.pattern}$")]
    eventID: Any = None
    eventName: Any = None
    userIdentity: Any = None


_CONTENT = msgspec.json.Decoder(_Content)


def decode(record: Any, generation_of: GenerationOf) -> Change | Undecodable | Unlisted:
    """A change, or the record as it came with the reason why it is none. Raises ConfigError if `generation_of` does.

    A change's `record` is as a DynamoDB stream would have it, with the time in microseconds as its sequence number: so
    what is parked, deferred or archived is read again in one way. Its `source` is as `source_of` writes it.
    """
    identifier = identifier_of(record)
    found: Change | Undecodable | Unlisted | None = _of_slices(record, generation_of)
    if found is not None:
        return found._replace(identifier=identifier)  # type: ignore[union-attr]
    try:
        made = _stream_record(record)
    except Rejected as error:
        return Undecodable(dynamodb_stream.event_id(record), identifier, record, str(error), error.detail)
    found = dynamodb_stream.decode(made, generation_of)
    if isinstance(found, Change):
        return found._replace(identifier=identifier)
    return replace(found, identifier=identifier, record=record)


def plain(record: Any) -> Any:
    """A record as a DynamoDB stream would have it; as it is, if it is of none of our data streams."""
    if not isinstance(record, Mapping) or record.get("eventSource") != EVENT_SOURCE:
        return record
    try:
        return _stream_record(record)
    except Rejected:
        return record


def _of_slices(record: Any, generation_of: GenerationOf) -> Change | None:
    """A change whose images are slices of the record's data. None for what `_stream_record` has to judge, and for what
    may have a binary value."""
    try:
        text = base64.b64decode(record["kinesis"]["data"], validate=True)
        if any(name in text for name in _BINARIES):
            return None
        content = _CONTENT.decode(text)
        body = content.dynamodb
        source = source_of(record["eventSourceARN"], content.tableName)
        micros = _micros(body.ApproximateCreationDateTime, body.ApproximateCreationDateTimePrecision)
        least = version.of(generation_of(source), 0)
        images = body.Keys, body.NewImage, body.OldImage
        made = stream_event.Record(
            stream_event.Body(*images, str(micros), micros / MICROS),
            content.eventID,
            content.eventName,
            dynamodb_stream.EVENT_SOURCE,
            source,
            content.userIdentity,
        )
        return sliced.change_of(made, least, stream_event.Received(_Later(record), 0))
    except ConfigError:
        raise
    except (DistributaryError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return None


class _Later:
    """A record that is made a stream's when somebody reads it; see `stream_event.Received`."""

    __slots__ = ("_made", "_record")

    def __init__(self, record: Any) -> None:
        self._record = record
        self._made: dict[str, Any] | None = None

    def record(self, _: int) -> Any:
        """As a DynamoDB stream would have it."""
        if self._made is None:
            self._made = _stream_record(self._record)
        return self._made


def source_of(data_stream: str, table: str) -> str:
    """How a table's changes in a data stream are named as a source: the table's ARN, `/stream/kinesis/`, and the data
    stream's name. DynamoDB only writes into data streams of the table's own account and region. A consumer's ARN of
    enhanced fan-out names its data stream. Raises Rejected."""
    found = _DATA_STREAM.fullmatch(data_stream)
    if found is None:
        raise Rejected("eventSourceARN is no ARN of a Kinesis data stream")
    partition, place, name, _ = found.groups()
    return f"{partition}:dynamodb:{place}:table/{table}/stream/kinesis/{name}"


def data_stream_of(source: str) -> str:
    """The ARN of the data stream that a source names; empty for the ARN of a table's own stream."""
    table, _, name = source.partition("/stream/kinesis/")
    parts = table.split(":")
    return ":".join([*parts[:2], "kinesis", *parts[3:5], f"stream/{name}"]) if name else ""


def identifier_of(record: Any) -> str:
    """What Lambda wants back if the record failed: the data stream's own sequence number."""
    try:
        return str(record["kinesis"]["sequenceNumber"])
    except (KeyError, TypeError):
        return ""


def _stream_record(record: Any) -> dict[str, Any]:
    """Takes over what a change is made from, and nothing else: whoever may write into the data stream could add it."""
    try:
        content = _content(record["kinesis"]["data"])
        table, body = content["tableName"], content["dynamodb"]
        if not isinstance(table, str) or not _TABLE.fullmatch(table):
            raise Rejected("tableName is no table's name")
        source = source_of(record["eventSourceARN"], table)
        if not isinstance(body, Mapping):
            raise Rejected("dynamodb is no object")
        micros = _micros(body.get("ApproximateCreationDateTime"), body.get("ApproximateCreationDateTimePrecision"))
        images = {name: _once(body[name]) for name in _IMAGES if body.get(name) is not None}
    except KeyError as missing:
        raise Rejected(f"the record has no {missing.args[0]}") from None
    except (AttributeError, TypeError, RecursionError) as error:
        raise Rejected(f"the record has the wrong form: {type(error).__name__}", reprlib.repr(error)) from None
    return {
        **{name: content[name] for name in ("eventID", "eventName", "awsRegion", "userIdentity") if name in content},
        "eventSource": dynamodb_stream.EVENT_SOURCE,
        "eventSourceARN": source,
        "dynamodb": {
            "ApproximateCreationDateTime": micros / MICROS,
            **images,
            "SequenceNumber": str(micros),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }


def _content(data: Any) -> Mapping[str, Any]:
    try:
        content = json.loads(base64.b64decode(data, validate=True))
    except (ValueError, RecursionError) as error:
        raise Rejected("the record's data is no JSON in base64: a table's change is", reprlib.repr(error)) from None
    if not isinstance(content, Mapping):
        raise Rejected("the record's data is no object: a table's change is")
    return content


def _micros(created: Any, precision: Any) -> int:
    if precision not in _PRECISIONS:
        raise Rejected("ApproximateCreationDateTimePrecision is neither MICROSECOND nor MILLISECOND")
    micros = created * _PRECISIONS[precision] if type(created) is int else -1
    if not version.FIRST_TIME <= micros < version.LAST_TIME:
        raise Rejected("ApproximateCreationDateTime is no time in its precision")
    return micros


def _once(image: Mapping[str, Typed]) -> dict[str, Typed]:
    """An image with its binary values in base64 once, as a DynamoDB stream has them. What is no image stays."""
    if not isinstance(image, Mapping):
        return image
    return {name: _typed(typed) for name, typed in image.items()}


def _typed(typed: Any) -> Any:
    if not isinstance(typed, Mapping) or len(typed) != 1:
        return typed
    ((tag, content),) = typed.items()
    if tag == "B":
        return {"B": _text(content)}
    if tag == "BS" and isinstance(content, list):
        return {"BS": [_text(each) for each in content]}
    if tag == "M":
        return {"M": _once(content)}
    if tag == "L" and isinstance(content, list):
        return {"L": [_typed(each) for each in content]}
    return typed


def _text(spelled: Any) -> str:
    try:
        once = base64.b64decode(spelled, validate=True)
        base64.b64decode(once, validate=True)
        return once.decode("ascii")
    except (TypeError, ValueError) as error:
        raise Rejected("a binary value is not in base64 twice, as DynamoDB writes it", reprlib.repr(error)) from None
