"""A change as a line of the archive: the form of DynamoDB's incremental export, with more under Metadata."""

import json
from collections.abc import Mapping
from typing import Any

from distributary.errors import Rejected
from distributary.readers.archive_layout import SECOND
from distributary.stream import canonical
from distributary.stream import version as versions
from distributary.stream.change import Change, Image, Kind


def micros_of(change: Change) -> int:
    """When the change was made, in microseconds since the epoch; on a stream, whole seconds. Raises Rejected if the
    record does not say."""
    return round(change.creation_time() * SECOND)


def line(change: Change) -> bytes:
    """JSON with a line feed. Raises Rejected for what cannot be written so that each reader reads it back.

    The images are as received. `Keys` has one spelling, so that equal keys are equal text.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html
    """
    if change.kind is not Kind.INSERT and change.old is None:
        raise Rejected("the record has no OldImage: set the table's StreamViewType to NEW_AND_OLD_IMAGES")
    parts = [b'{"Metadata":', _text(_metadata(change)), b',"Keys":', key_text(change.keys.raw)]
    if change.old is not None:
        parts += [b',"OldImage":', _image(change.old)]
    if change.new is not None:
        parts += [b',"NewImage":', _image(change.new)]
    return b"".join([*parts, b"}\n"])


def key_text(keys: Mapping[str, Any]) -> bytes:
    """The one spelling of an item's keys (DynamoDB JSON). Raises Rejected for what is no key."""
    return _text(dict(sorted(canonical.image(keys).items())))


def _image(image: Image) -> bytes:
    text = image.compact()
    return _text(image.raw) if text is None else text


def _text(content: Any) -> bytes:
    try:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise Rejected(f"the change is no JSON text that can be archived: {type(error).__name__}", str(error)) from None


def _metadata(change: Change) -> Mapping[str, Any]:
    metadata = {
        "WriteTimestampMicros": {"N": str(micros_of(change))},
        "SequenceNumber": {"S": str(versions.position_of(change.version))},
        "Generation": {"N": str(versions.generation_of(change.version))},
        "EventID": {"S": change.event_id},
        "EventName": {"S": change.kind.value},
        "Stream": {"S": change.source},
    }
    return {**metadata, "Expired": {"BOOL": True}} if change.expired else metadata
