"""The change or the item that is looked for, and a step that was found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from distributary.errors import Rejected
from distributary.stream.codec import Typed
from distributary.stream.keys import identity, item_digest, table_of
from distributary.stream.kinesis import plain
from distributary.verify.report import printable


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to a change. `where`: a branch, or the table. Nothing of the item but its key."""

    time: datetime
    where: str
    what: str
    event: str
    said: str
    found_in: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "time": self.time.isoformat(),
            "where": self.where,
            "what": self.what,
            "event": self.event,
            "said": self.said,
            "found_in": self.found_in,
        }

    def line(self) -> str:
        """For people, on one line whatever a cause holds."""
        said = f": {self.said}" if self.said else ""
        return printable(f"{self.time:%Y-%m-%dT%H:%M:%SZ}  {self.where:<10} {self.what}{said}  [{self.found_in}]")


@dataclass(frozen=True, slots=True)
class Sought:
    """An event's id, or the key of an item of one of these tables (DynamoDB JSON). `records`: of the changes found so
    far, by event id."""

    event: str
    keys: Mapping[str, Typed] | None
    tables: tuple[str, ...]
    since: datetime
    records: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def digests(self) -> set[str]:
        """What the names of the item's objects hold."""
        return {item_digest(table, self.keys) for table in self.tables} if self.keys is not None else set()

    def is_it(self, record: Any) -> bool:
        """Whether a record as a stream delivers it is sought; it is then kept."""
        if not isinstance(record, Mapping):
            return False
        record = plain(record)
        event = str(record.get("eventID", ""))
        if self.event == event or self._is_of_item(record):
            self.records.setdefault(event, record)
            return True
        return False

    def _is_of_item(self, record: Mapping[str, Any]) -> bool:
        if self.keys is None:
            return False
        try:
            table, keys = table_of(record.get("eventSourceARN", "")), record["dynamodb"]["Keys"]
            return table in self.tables and identity(keys) == identity(self.keys)
        except (AttributeError, LookupError, TypeError, ValueError, Rejected):
            return False

    @property
    def events(self) -> list[str]:
        """Ids of the events that are known to be sought."""
        return [self.event] if self.event else list(self.records)


def at(seconds: float) -> datetime:
    """Of seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)
