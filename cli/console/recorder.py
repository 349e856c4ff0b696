"""Writes what mappings and functions do into the history: what the console knows of a change, it knows from here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cli.console.history import History
from distributary.stream import kinesis
from local.esm.records import Record
from local.esm.watching import Delivered


class Recorder:
    """Takes the lines of functions' logs, and gives each mapping its watcher. With LogLevel=DEBUG a function's log has
    the ids of all changes, by their outcomes."""

    def __init__(self, history: History) -> None:
        self.history = history

    def watcher(self, function: str) -> "MappingWatcher":
        """Of the mapping of one function."""
        return MappingWatcher(self.history, function)

    def line(self, line: str) -> bool:
        """Whether the line was for us alone: they would fill the log files."""
        if '"event_id' not in line:
            return False
        try:
            entry = json.loads(line)
            branch, message = str(entry["branch"]), str(entry["message"])
            if message == "changes":
                self.history.noted(branch, [str(each) for each in entry["event_ids"]], str(entry["outcome"]))
                return True
            events = [entry["event_id"]] if "event_id" in entry else entry["event_ids"]
            self.history.caused(branch, [str(each) for each in events], message.capitalize(), str(entry["cause"]))
        except (ValueError, LookupError, TypeError, AttributeError):
            return False
        return False


class MappingWatcher:
    """See `local.esm.watching.Watcher`."""

    def __init__(self, history: History, function: str) -> None:
        self._history, self._function = history, function

    def read(self, shard: str, records: Sequence[Record], filtered: Sequence[Mapping[str, Any]]) -> None:
        """See `Watcher`."""
        for record in records:
            event = _plain(record.event)
            encoded = record.encoded if event is record.event else None
            self._history.read(self._function, shard, event, encoded, False)
        for event in filtered:
            self._history.read(self._function, shard, _plain(event), None, True)

    def delivered(self, delivered: Delivered) -> None:
        """See `Watcher`."""
        decision, answer = delivered.decision, delivered.answer
        self._history.delivered(self._function, _events(delivered.batch.records), delivered.began, delivered.ended)
        if decision.again:
            why = answer.error() if answer.function_error else "the function reported a failure"
            records = [record for batch in decision.again for record in batch.records]
            self._history.again(self._function, _events(records), decision.bisected, why)

    def ended(self, _: str, done: Sequence[Record], discarded: Sequence[Record]) -> None:
        """See `Watcher`."""
        self._history.ended(self._function, _events(done), "done")
        self._history.ended(self._function, _events(discarded), "discarded")


def _events(records: Sequence[Record]) -> list[str]:
    return [str(_plain(record.event).get("eventID", "")) for record in records]


def _plain(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """As a table's own stream has it: functions' logs name a change of a data stream by the id that it has there."""
    found: Mapping[str, Any] = kinesis.plain(event) if "kinesis" in event else event
    return found
