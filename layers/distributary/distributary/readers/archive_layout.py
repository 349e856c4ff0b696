"""Where an archive's objects are: below the table's name, as an incremental export's data, by date and hour."""

import hashlib
from datetime import UTC, datetime

from distributary.stream.keys import bounded, escape

SECOND = 1_000_000
"""Microseconds."""

HOUR = 3600 * SECOND
ENDING = ".json.gz"
_TABLE_BYTES = 256


def data_prefix(table: str) -> str:
    """What all objects of a table's archive begin with."""
    return f"{bounded(escape(table), _TABLE_BYTES)}/AWSDynamoDB/data/"


def hour_prefix(hour: int) -> str:
    """Of an hour, as microseconds since the epoch at its start; below `data_prefix`."""
    return datetime.fromtimestamp(hour // SECOND, UTC).strftime("day=%Y-%m-%d/hour=%H/")


def hour_of(name: str) -> int | None:
    """The start of the hour that an object's name (below `data_prefix`) says, or None if it is no archive's name."""
    try:
        found = datetime.strptime("/".join(name.split("/")[:2]), "day=%Y-%m-%d/hour=%H").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(found.timestamp()) * SECOND


def object_name(first: int, last: int, body: bytes) -> str:
    """Of an object that holds the changes from sequence number `first` to `last`.

    A batch that is delivered again as it was is the same object. A batch that was cut anew is another one: the digest
    keeps it from replacing an object that holds more.
    """
    return f"{first}-{last}-{hashlib.sha256(body).hexdigest()[:12]}{ENDING}"
