"""The archive of a table's changes: by hour, as delivered, so that a change may come more than once."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from distributary.errors import ConfigError
from distributary.readers.archive_layout import ENDING, HOUR, SECOND, data_prefix, hour_of
from distributary.readers.lines import fault_of, lines
from distributary.readers.place import Place
from distributary.stream import version as versions

_WHAT = "line of an archive"


class Position(NamedTuple):
    """Where a change is in its item's history: the sequence numbers of two generations cannot be compared."""

    generation: int
    sequence: int


class OneSource:
    """Sees to it that a generation's positions are of one kind: sequence numbers of the table's stream, or times of a
    Kinesis data stream. `instead`: what to do if they are not."""

    def __init__(self, instead: str) -> None:
        self._instead = instead
        self._found: dict[int, tuple[bool, str]] = {}

    def check(self, at: Position, where: str) -> None:
        """Of a change at a line. Raises ConfigError: which of two such changes came first is not known."""
        kind = versions.is_time(at.sequence)
        first, there = self._found.setdefault(at.generation, (kind, where))
        if kind is not first:
            raise ConfigError(
                f"{where} and {there}: generation {at.generation} has changes of the table's stream and of a Kinesis "
                f"data stream, so their order is not known: {self._instead}; raise Generation when the source changes"
            )


@dataclass(frozen=True, slots=True)
class ArchivedChange:
    """`expired`: a delete by time to live. `micros`: since the epoch."""

    at: Position
    micros: int
    kind: str
    keys: dict[str, Any]
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    stream: str
    expired: bool
    event: str = ""

    def record(self) -> dict[str, Any]:
        """As a stream delivers it.
        https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html"""
        body = {
            "ApproximateCreationDateTime": self.micros / SECOND,
            "Keys": self.keys,
            "SequenceNumber": str(self.at.sequence),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            **({"OldImage": self.old} if self.old is not None else {}),
            **({"NewImage": self.new} if self.new is not None else {}),
        }
        by_ttl = {"userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}}
        return {
            "eventID": self.event or str(self.at.sequence),
            "eventName": self.kind,
            "eventSource": "aws:dynamodb",
            "dynamodb": body,
            "eventSourceARN": self.stream,
            **(by_ttl if self.expired else {}),
        }


@dataclass(frozen=True, slots=True)
class Archive:
    """A table's archive in a folder or bucket."""

    place: Place
    table: str
    _found: list[tuple[int, str]] = field(default_factory=list)

    def objects(self, begin: int | None = None, end: int | None = None) -> list[str]:
        """The names of the objects that may hold changes from `begin` to before `end` (microseconds), by hour.

        Raises ConfigError if the archive holds nothing, or if the window is not within it: an hour before the first
        one was never archived.
        """
        hours = self._hours()
        if begin is not None:
            self.check_begun(begin)
        if begin is not None and begin >= hours[-1][0] + HOUR:
            raise ConfigError(
                f"the archive of {self.table} ends in the hour of {shown_time(hours[-1][0])}: begin earlier, or wait "
                f"until a change is archived"
            )
        first = None if begin is None else begin - begin % HOUR
        return [name for hour, name in hours if (first is None or hour >= first) and (end is None or hour < end)]

    def names_from(self, moment: int) -> list[str]:
        """Of the objects that may hold changes of this moment (microseconds) or later; none if nothing is archived."""
        return [name for hour, name in self._listed() if hour >= moment - moment % HOUR]

    def check_begun(self, moment: int) -> None:
        """Raises ConfigError for a moment (microseconds) before the first hour: what happened then is in no archive."""
        begun = self._hours()[0][0]
        if moment < begun:
            raise ConfigError(f"the archive of {self.table} begins at {shown_time(begun)}: begin there or later")

    def lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        """See `readers.lines`."""
        return lines(self.place, name)

    def read(self, name: str, number: int, line: bytes) -> ArchivedChange:
        """A line of an object. Raises ConfigError that names it if it is none of an archive."""
        try:
            found = json.loads(line)
            metadata, (at, micros) = found["Metadata"], placed(found)
            return ArchivedChange(
                at=at,
                micros=micros,
                kind=metadata["EventName"]["S"],
                keys=dict(found["Keys"]),
                old=found.get("OldImage"),
                new=found.get("NewImage"),
                stream=metadata["Stream"]["S"],
                expired="Expired" in metadata,
                event=metadata.get("EventID", {}).get("S", ""),
            )
        except MALFORMED as error:
            raise ConfigError(f"{self.place.shown(name)}:{number}: this is no {_WHAT}: {fault_of(error)}") from None

    def check(self, name: str, number: int, line: bytes) -> None:
        """Of a line that is passed over. Raises ConfigError that names it if it is no JSON."""
        try:
            msgspec.json.decode(line, type=msgspec.Raw)
        except msgspec.DecodeError as error:
            raise ConfigError(
                f"{self.place.shown(name)}:{number}: this is no {_WHAT}: it is no JSON: {error}"
            ) from None

    def changes(self) -> Iterator[ArchivedChange]:
        """Every change, as often as it was archived, in no order. Raises as `objects`, `lines` and `read` do."""
        for name in self.objects():
            for number, line in self.lines(name):
                yield self.read(name, number, line)

    def _listed(self) -> list[tuple[int, str]]:
        if not self._found:
            prefix = data_prefix(self.table)
            for name in self.place.names(prefix):
                hour = hour_of(name.removeprefix(prefix))
                if hour is not None and name.endswith(ENDING):
                    self._found.append((hour, name))
        return self._found

    def _hours(self) -> list[tuple[int, str]]:
        if not self._listed():
            raise ConfigError(
                f"{self.place.shown(data_prefix(self.table))}: there is no archive of {self.table}: correct the "
                f"address or the table's name"
            )
        return self._found


_IMAGES = {"INSERT": {"NewImage"}, "MODIFY": {"NewImage", "OldImage"}, "REMOVE": {"OldImage"}}
_NO_KIND = {"a known EventName"}

MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What `placed` raises for JSON that is no line of an archive."""


def placed(found: Any) -> tuple[Position, int]:
    """Where a line's change comes in its item's history, and when it was written (microseconds since the epoch)."""
    metadata = found["Metadata"]
    micros = int(metadata["WriteTimestampMicros"]["N"])
    at = Position(int(metadata["Generation"]["N"]), int(metadata["SequenceNumber"]["S"]))
    if not (type(found["Keys"]) is dict and found.keys() >= _IMAGES.get(metadata["EventName"]["S"], _NO_KIND)):
        raise ValueError("the images are not those of its EventName")
    return at, micros


def shown_time(micros: int) -> str:
    """As ISO 8601, UTC."""
    return datetime.fromtimestamp(micros / SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
