"""An item's life, and the item as it was at a moment. Used by a command only: no branch imports it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from distributary.archive.line import key_text
from distributary.archive.tied import in_order
from distributary.errors import ConfigError
from distributary.readers.archive import Archive, ArchivedChange, OneSource, Position
from distributary.stream.codec import Typed
from distributary.verify.progress import Progress, silent

_BY_TIME = "look at the item's changes by WriteTimestampMicros, with Athena"


class State(StrEnum):
    """What is known of an item at a moment."""

    EXISTS = "exists"
    ABSENT = "does not exist"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Event:
    """A change of the item. `attributes`: those that differ between its images."""

    at: Position
    micros: int
    kind: str
    expired: bool
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Life:
    """`item` is the item at the moment if it exists then. `events` are all that the archive holds, oldest first."""

    state: State
    item: Mapping[str, Any] | None
    events: tuple[Event, ...]


def life(archive: Archive, keys: Mapping[str, Typed], moment: int, progress: Progress = silent) -> Life:
    """Of the item with these keys (DynamoDB JSON), at a moment in microseconds since the epoch.

    A stream's times are whole seconds: changes of the moment's own second are included. Changes from a Kinesis data
    stream may have one position: then their images tell the order. Before the first archived change, an item is what
    that change's old image says. All of the archive is read. Raises ConfigError for keys that are none, a moment before
    the archive begins, a damaged object or line; Unavailable where S3 breaks off.
    """
    archive.check_begun(moment)
    events: dict[tuple[Position, str], Event] = {}
    before, after = _Edge(latest=True), _Edge(latest=False)
    for change in _changes(archive, keys, progress):
        events[change.at, change.event] = _event(change)
        (before if change.micros <= moment else after).add(change)
    ordered = tuple(events[at] for at in sorted(events))
    if not before.changes and not after.changes:
        return Life(State.UNKNOWN, None, ordered)
    item = before.ordered()[-1].new if before.changes else after.ordered()[0].old
    return Life(State.ABSENT if item is None else State.EXISTS, item, ordered)


@dataclass(frozen=True, slots=True)
class _Edge:
    """The changes at the `latest` position, or else at the earliest one, by event id."""

    latest: bool
    changes: dict[str, ArchivedChange] = field(default_factory=dict)

    def add(self, change: ArchivedChange) -> None:
        """If it is there, or beyond."""
        held = next(iter(self.changes.values()), change)
        if change.at != held.at and (change.at > held.at) is not self.latest:
            return
        if change.at != held.at:
            self.changes.clear()
        self.changes[change.event] = change

    def ordered(self) -> list[ArchivedChange]:
        """As their images tell."""
        return in_order(list(self.changes.values()), lambda each: (each.old, each.new), lambda each: each.event)


def _changes(archive: Archive, keys: Mapping[str, Typed], progress: Progress) -> Iterator[ArchivedChange]:
    """A line is only read as a change if it may be of the item, or is the first of its object: most are of others."""
    text = key_text(keys)
    wanted, sought, source = json.loads(text), b'"Keys":' + text, OneSource(_BY_TIME)
    for name in archive.objects():
        for number, line in archive.lines(name):
            if number > 1 and sought not in line:
                archive.check(name, number, line)
                continue
            change = archive.read(name, number, line)
            own, given = _shape(change.keys), _shape(wanted)
            if own != given:
                where = f"{archive.place.shown(name)}:{number}"
                raise ConfigError(f"--key: the key of {archive.table} is {own}, and {given} was given; see {where}")
            if change.keys == wanted:
                source.check(change.at, f"{archive.place.shown(name)}:{number}")
                yield change
        progress("objects", 1)


def _shape(keys: Mapping[str, Typed]) -> str:
    """For people: `pk (S), sk (N)`, whatever the order they were given in."""
    return ", ".join(f"{name} ({next(iter(keys[name]))})" for name in sorted(keys))


def _event(change: ArchivedChange) -> Event:
    old, new = change.old or {}, change.new or {}
    differ = tuple(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))
    return Event(change.at, change.micros, change.kind, change.expired, differ)
