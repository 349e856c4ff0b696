"""Lambda event in, changes out."""

from collections.abc import Mapping
from typing import Any

from distributary.errors import ConfigError
from distributary.stream import dynamodb_stream
from distributary.stream.change import Change, Undecodable

_DECODERS = {dynamodb_stream.EVENT_SOURCE: dynamodb_stream.decode}


def decode(event: Any, generation: int) -> list[Change | Undecodable]:
    """One entry per record of the event, in order.

    Raises ConfigError if the event is none of a stream that this function can read: then nothing has been done.
    """
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        raise ConfigError("the event has no list 'Records': attach the function to a DynamoDB stream, or see events/")
    if not records:
        return []
    named = [
        str(record["eventSource"]) for record in records if isinstance(record, Mapping) and "eventSource" in record
    ]
    decoder = next((_DECODERS[source] for source in named if source in _DECODERS), None)
    if decoder is None:
        raise ConfigError(f"eventSource {named[:1]} is not supported; supported: {', '.join(_DECODERS)}")
    return [decoder(record, generation) for record in records]
