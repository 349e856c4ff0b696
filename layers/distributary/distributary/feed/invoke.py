"""A function that is invoked with a command or with records, until it has dealt with all of them."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from distributary.consumer.backoff import backoff
from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.partial_response import first_failure
from distributary.consumer.replay import LATE
from distributary.errors import ConfigError, Unavailable
from distributary.feed.snapshot import Snapshot

TRIES = 6
"""What fails so often has failed; it stays where it is."""

TOO_OLD = f"{LATE}; --even-if-old sends it"
"""What such a record ends as: it stays where it is."""

EVENT_BYTES = 4_000_000
"""Of one event: Lambda takes 6 MB (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""

EVENT_RECORDS = 500
"""Of one event: what a function does well within its timeout."""

EVENT_KEYS = 100
"""Of one command: what a function does well within its timeout."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one entry: a status of `outcome.Status`, and why."""

    status: str
    cause: str = ""

    @property
    def done(self) -> bool:
        """Whether the branch is as it should be; otherwise the entry is parked or has failed."""
        return self.status in ("Applied", "Superseded", "Ignored")


def cause_of(ends: Sequence[Ended]) -> str:
    """Why the last of them that is not done is not; empty if all are."""
    return next((end.cause or end.status for end in reversed(ends) if not end.done), "")


class Invoke(Protocol):
    """Gives a function an event."""

    def __call__(self, event: Mapping[str, Any]) -> Any:
        """Its answer. Raises Unavailable if it raised, with its error."""


def deployed(client: Any, branch: str, arn: str) -> Invoke:
    """Invokes a branch's function on AWS with a client of Lambda, and waits for it."""

    def invoke(event: Mapping[str, Any]) -> Any:
        answer = client.invoke(FunctionName=arn, Payload=body_of(event))
        payload = json.loads(answer["Payload"].read() or b"null")
        if answer.get("FunctionError"):
            kind, message = payload.get("errorType", "error"), payload.get("errorMessage", "see its log")
            if kind == "ConfigError":
                raise ConfigError(f"{branch}: {message}")
            raise Unavailable(f"{branch}: {kind}: {message}")
        return payload

    return invoke


def body_of(event: Mapping[str, Any]) -> bytes:
    """An event as Lambda takes it. The records of a first fill are text already; what was parked may hold what msgspec
    does not write, or not write alike."""
    if "Records" in event:
        return msgspec.json.encode(event)
    return json.dumps(event, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Feed:
    """Commands for one function. `table` is named in those that are about items, if the function reads several. `sleep`
    in seconds. Nothing is tried again after the deadline."""

    invoke: Invoke
    sleep: Callable[[float], None] = lambda seconds: time.sleep(seconds)
    deadline: Deadline = FOREVER
    table: str = ""

    def reconcile(self, entries: Sequence[Mapping[str, Any]], **more: Any) -> list[Ended]:
        """One end per entry, in order; see `consumer.reconcile`. What fails is asked again. Raises Unavailable if the
        function does not answer, and ConfigError if it refuses the command."""
        ends = [Ended("Failed", "not reached")] * len(entries)
        left = list(range(len(entries)))
        for tried in range(TRIES):
            places = iter(left)
            for batch in packed([entries[each] for each in left], EVENT_KEYS):
                for end in self._asked(batch, more):
                    ends[next(places)] = end
            left = [place for place in left if ends[place].status == "Failed"]
            if not left or tried == TRIES - 1 or not self.deadline.left():
                return ends
            backoff(self.deadline, tried, first=1.0, longest=30.0, sleep=self.sleep)
        return ends

    def replay(self, records: Sequence[Mapping[str, Any]], even_if_old: bool) -> list[Ended]:
        """One end per record, in order; see `consumer.replay`. A record that fails may have been sent for all that is
        known, so it is not tried again here. Raises as `reconcile` does."""
        answer = self.invoke({"distributary": {"replay": list(records), "even_if_old": even_if_old}})
        ends = _ends(answer, len(records))
        return [Ended("Parked", TOO_OLD) if end.cause == LATE else end for end in ends]

    def _asked(self, entries: Sequence[Mapping[str, Any]], more: Mapping[str, Any]) -> list[Ended]:
        answer = self.invoke({"distributary": {"reconcile": list(entries), **self._named, **more}})
        return _ends(answer, len(entries))

    @property
    def _named(self) -> Mapping[str, str]:
        return {"table": self.table} if self.table else {}

    def ask(self, command: Mapping[str, Any], answered: str, tries: int = TRIES) -> dict[str, Any]:
        """What a function answers to another command under this name; see `consumer.sweep`. Raises as `reconcile`."""
        for tried in range(tries):
            try:
                answer = self.invoke({"distributary": {**command, **self._named}})
                break
            except Unavailable:
                if tried == tries - 1:
                    raise
                backoff(FOREVER, tried, first=1.0, longest=30.0, sleep=self.sleep)
        found = answer.get(answered) if isinstance(answer, Mapping) else None
        if not isinstance(found, dict):
            raise ConfigError("the function does not know the command: deploy the version of this command")
        return found

    def deliver(self, snapshots: Sequence[Snapshot]) -> int:
        """Items as a stream delivers its records, until the function has dealt with all of them; how many it has when
        it fails one for good."""
        done, tried = 0, 0
        while done < len(snapshots):
            left = snapshots[done:]
            answer = self.invoke({"Records": [msgspec.Raw(each.text) for each in left]})
            at = first_failure([each.event_id for each in left], answer)
            if at is None:
                return len(snapshots)
            done, tried = done + at, 0 if at else tried + 1
            if tried == TRIES or not self.deadline.left():
                return done
            backoff(self.deadline, tried, first=1.0, longest=30.0, sleep=self.sleep)
        return done


def _weight(record: Any) -> int:
    """Bytes of its JSON, with spaces or without. A record that was parked may hold what msgspec does not write, such as
    a number of 30 digits."""
    try:
        return len(msgspec.json.encode(record))
    except (TypeError, ValueError, RecursionError):
        return len(json.dumps(record, ensure_ascii=False).encode(errors="backslashreplace"))


def packed(
    records: Sequence[Any], most: int = EVENT_RECORDS, weight: Callable[[Any], int] = _weight
) -> Iterator[list[Any]]:
    """What Lambda takes in one event. `weight`: bytes of a record."""
    batch: list[Any] = []
    size = 0
    for record in records:
        many = weight(record)
        if batch and (size + many > EVENT_BYTES or len(batch) == most):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += many
    if batch:
        yield batch


def _ends(answer: Any, many: int) -> list[Ended]:
    ends = answer.get("outcomes") if isinstance(answer, Mapping) else None
    if not isinstance(ends, list) or len(ends) != many:
        raise ConfigError("the function does not know the command: deploy the version of this command")
    return [Ended(each["status"], each.get("cause", "")) for each in ends]
