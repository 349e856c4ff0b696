"""Lambda event in, changes out."""

from collections.abc import Callable, Mapping
from typing import Any

from distributary.errors import ConfigError
from distributary.stream import dynamodb_stream, kinesis, sliced
from distributary.stream.change import Change, Undecodable, Unlisted
from distributary.stream.dynamodb_stream import GenerationOf
from distributary.stream.stream_event import Record, StreamEvent

Decoder = Callable[[Any, GenerationOf], Change | Undecodable | Unlisted]
_DECODERS: dict[str, Decoder] = {
    dynamodb_stream.EVENT_SOURCE: dynamodb_stream.decode,
    kinesis.EVENT_SOURCE: kinesis.decode,
}


def decode(event: Any, generation: int | GenerationOf) -> list[Change | Undecodable | Unlisted]:
    """One entry per record of the event, in order; `generation` is that of its stream, or tells it by the ARN.

    Raises ConfigError if the event is none of a stream that this function can read: then nothing has been done.
    """
    unread = event.unread() if isinstance(event, StreamEvent) else None
    if unread is not None:
        return _of_slices(event, unread, generation)
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        raise ConfigError("the event has no list 'Records': attach the function to a DynamoDB stream, or see events/")
    if not records:
        return []
    named = [
        str(record["eventSource"]) for record in records if isinstance(record, Mapping) and "eventSource" in record
    ]
    usual = next((_DECODERS[source] for source in named if source in _DECODERS), None)
    if usual is None:
        raise ConfigError(f"eventSource {named[:1]} is not supported; supported: {', '.join(_DECODERS)}")
    generation_of = _by_stream(generation)
    return [_decoder(record, usual)(record, generation_of) for record in records]


def _decoder(record: Any, usual: Decoder) -> Decoder:
    """By the record's own source; what names none that is known is judged as the others are."""
    source = record.get("eventSource") if isinstance(record, Mapping) else None
    return _DECODERS.get(source, usual) if isinstance(source, str) else usual


def _of_slices(
    event: StreamEvent, records: list[Record], generation: int | GenerationOf
) -> list[Change | Undecodable | Unlisted]:
    """What is no change by its slices is decoded as a whole, so that one place says why."""
    generation_of = _by_stream(generation)
    changes = sliced.changes(records, generation_of, event)
    return [
        dynamodb_stream.decode(event.record(place), generation_of) if change is None else change
        for place, change in enumerate(changes)
    ]


def _by_stream(generation: int | GenerationOf) -> GenerationOf:
    return generation if callable(generation) else lambda _: generation
