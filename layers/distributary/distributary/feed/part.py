"""A part of a feed, given to its function until the deadline: what the function feed does with an event.

`{"plan": TASK}` is answered with the task's parts, `{"parts": [{"number": 0, "of": 100}, ...]}`; those of parked
objects also have the names that they are between, `after` and `until`. An event with a task
and one of these parts is answered with the event that goes on: with a cursor, and `more`. The last one is without task
and cursor: `{"part": ..., "more": false, "items": 1000, "outcomes": [{"status", "cause", "items"}, ...]}`, or
`"swept"`, as `consumer.sweep` answers it, in place of items and outcomes.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from distributary.consumer.aws import AwsError, Clients, classify
from distributary.consumer.deadline import Deadline
from distributary.consumer.settings import STREAM_DAYS
from distributary.dynamodb.read_budget import Pace
from distributary.errors import ConfigError, Unavailable
from distributary.feed.give import Giver
from distributary.feed.invoke import EVENT_KEYS, EVENT_RECORDS, Ended, Feed, deployed
from distributary.feed.redrive import Redrive
from distributary.feed.redriven import parts_of_parked, redriven
from distributary.feed.settings import FeedSettings, Target
from distributary.feed.snapshot import Table
from distributary.feed.sources import Archived, Export, Scan, Source, parts_of
from distributary.feed.swept import swept
from distributary.feed.task import Task
from distributary.readers.archive import Archive
from distributary.readers.manifest import Manifest, find
from distributary.readers.parked import Bucket
from distributary.readers.place import place
from distributary.stream.keys import table_of

RESERVE_SECONDS = 150.0
"""Of an invocation: what is under way at the deadline has to end, whatever the branch's function takes for it."""

INVOKE_SECONDS = 905.0
"""A function may take 15 minutes (https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html)."""

READ_SECONDS = 30.0
"""For a page of a scan or an export: nobody waits for a feed, and a try that is given up is made again."""

MOST_PARTS = 1000
"""Of an export or archive: more files share a part. The state machine passes all parts on in 256 KiB
(https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html)."""

MOST_CAUSES = 50
OTHERS = "other causes"
PAGE_SECONDS = 10.0
"""What a page takes at the rate that is asked for, at most."""


@dataclass(frozen=True, slots=True)
class Feeding:
    """The function's work; see the module."""

    settings: FeedSettings
    clients: Clients
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = lambda seconds: time.sleep(seconds)
    clock: Callable[[], float] = time.monotonic

    def answer(self, event: Any, deadline: Deadline) -> dict[str, Any]:
        """Raises ConfigError for what cannot succeed as it is, and Unavailable if nothing was done and it is to be
        tried again."""
        if not isinstance(event, Mapping) or not ("plan" in event or "part" in event):
            raise ConfigError("the event has neither 'plan' nor 'part': start the state machine, not this function")
        if "plan" in event:
            return {"parts": self._parts(Task.of(event["plan"]))}
        return self._part(event, Task.of(event["task"]), deadline)

    def _parts(self, task: Task) -> Sequence[Mapping[str, Any]]:
        if task.parked:
            self.settings.function(task.function)
            return parts_of_parked(self._bucket(), task.function)
        target = self.settings.target(task.function, task.table)
        if task.sweep:
            return _chosen(parts_of(task.segments, task.segments), task)
        source = self._source(task, target)
        if isinstance(source, Export):
            found = parts_of(len(source.manifest.files), MOST_PARTS)
            if task.first_fill:
                check_covered(source.manifest, target, self.now())
        elif isinstance(source, Archived):
            found = parts_of(len(source.objects()), MOST_PARTS)
        else:
            found = parts_of(task.segments, task.segments)
        return _chosen(found, task)

    def _source(self, task: Task, target: Target) -> Source:
        most = EVENT_RECORDS if task.first_fill else EVENT_KEYS
        limit = max(1, min(most, int(task.rate * PAGE_SECONDS)))
        region = target.stream.split(":")[3]
        if task.export:
            where = place(task.export, lambda: self.clients("s3", read_seconds=READ_SECONDS))
            manifest = find(where)
            check_table(manifest, target)
            if task.first_fill:
                check_remembered(manifest, target, self.now())
            return Export(where, manifest, task.keys, limit)
        if task.archive:
            if task.first_fill:
                raise ConfigError("an archive holds changes, not items: leave out the first fill")
            archive = Archive(place(task.archive, lambda: self.clients("s3", read_seconds=READ_SECONDS)), task.table)
            return Archived(archive, task.keys, task.begin, task.end, limit)
        return Scan(self.clients("dynamodb", region, read_seconds=READ_SECONDS), _table(task, target), limit)

    def _bucket(self) -> Bucket:
        s3 = self.clients("s3", read_seconds=READ_SECONDS)
        return Bucket(s3, self.settings.parking_bucket, self.settings.functions)

    def _redrive(self, task: Task, deadline: Deadline) -> Redrive:
        function = self.settings.function(task.function)
        invoke = deployed(self.clients("lambda", read_seconds=INVOKE_SECONDS), task.function, function.arn)

        def feed(_: str, table: str) -> Feed:
            return Feed(invoke, self.sleep, deadline, function.named(table))

        pace = Pace(task.rate, self.clock, self.sleep)
        return Redrive(
            self._bucket(), feed, lambda: datetime.fromtimestamp(self.now(), UTC), wait=pace.take, deadline=deadline
        )

    def _part(self, event: Mapping[str, Any], task: Task, deadline: Deadline) -> dict[str, Any]:
        if task.parked:
            return _answer(event, *redriven(event, task, self._redrive(task, deadline), deadline))
        target, part = self.settings.target(task.function, task.table), event["part"]
        client = self.clients("lambda", read_seconds=INVOKE_SECONDS)
        feed = Feed(deployed(client, task.function, target.function.arn), self.sleep, deadline, target.named)
        pace = Pace(task.rate, self.clock, self.sleep)
        if task.sweep:
            return swept(event, task, feed, pace, deadline)
        giver = Giver(feed, _table(task, target), task.only, self.now)
        give = giver.snapshots if task.first_fill else giver.reconcile
        cursor, ends = event.get("cursor"), Counter[Ended]()
        begun, more = cursor, True
        try:
            pages = self._source(task, target).pages(part["number"], part["of"], cursor, task.first_fill)
            for entries, after in pages:
                pace.take(len(entries))
                ends.update(_done(give(entries)))
                cursor, more = after, after is not None
                if not deadline.left():
                    break
        except Unavailable:
            if cursor == begun:
                raise
        except AwsError as error:
            if cursor == begun:
                raise classify(error, f"invoke {task.function}") from error
        return _answer(event, cursor, more, ends)


def _chosen(found: Sequence[Mapping[str, int]], task: Task) -> Sequence[Mapping[str, int]]:
    return [each for each in found if not task.numbers or each["number"] in task.numbers]


def _table(task: Task, target: Target) -> Table:
    return Table(target.table, task.keys, target.stream, target.stream.split(":")[3])


def _done(ends: Sequence[Ended]) -> Sequence[Ended]:
    """Raises Unavailable if some failed: the page is not passed over, and nothing of it is counted."""
    for end in ends:
        if end.status == "Failed":
            raise Unavailable(f"the function keeps failing items: {end.cause or 'see its log'}")
    return ends


def _answer(event: Mapping[str, Any], cursor: Any, more: bool, ends: Counter[Ended]) -> dict[str, Any]:
    for each in event.get("outcomes", []):
        ends[Ended(each["status"], each["cause"])] += each["items"]
    counted = Counter[Ended]()
    for end, items in ends.most_common():
        counted[end if len(counted) < MOST_CAUSES else Ended(end.status, OTHERS)] += items
    outcomes = [{"status": end.status, "cause": end.cause, "items": items} for end, items in counted.items()]
    answer = {"part": event["part"], "more": more, "items": counted.total(), "outcomes": outcomes}
    return {**answer, "task": event["task"], "cursor": cursor} if more else answer


def check_table(manifest: Manifest, target: Target) -> None:
    """Raises ConfigError for an export of another table."""
    exported = manifest.summary.get("tableArn")
    if exported != target.source:
        raise ConfigError(f"the export is of {exported}, and the function reads {table_of(target.source)}")


def check_covered(manifest: Manifest, target: Target, now: float) -> None:
    """Raises ConfigError if changes that were made since a full export may be missing in the stream: whoever reads all
    of it has to meet each of them. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html"""
    at = _time_of(manifest)
    enabled = datetime.fromisoformat(target.stream.rpartition("/")[2]).replace(tzinfo=UTC)
    oldest = datetime.fromtimestamp(now, UTC) - timedelta(days=STREAM_DAYS)
    if at < max(enabled, oldest):
        raise ConfigError(
            f"the export shows the table at {at.isoformat()}, and the stream's changes begin at "
            f"{max(enabled, oldest).isoformat(timespec='seconds')}: export the table again, or leave out the first fill"
        )


def check_remembered(manifest: Manifest, target: Target, now: float) -> None:
    """Raises ConfigError if deletes since a full export may be forgotten: an item that is given now would stay."""
    if _time_of(manifest) < datetime.fromtimestamp(now, UTC) - timedelta(days=target.function.days):
        raise ConfigError(
            f"the export is older than {target.function.days} days, for which deletes are remembered: export the table "
            "again, or leave out the first fill"
        )


def _time_of(manifest: Manifest) -> datetime:
    if manifest.incremental:
        raise ConfigError("an incremental export holds changes, not all items: leave out the first fill")
    try:
        return datetime.fromisoformat(manifest.summary["exportTime"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        raise ConfigError("the export's manifest-summary.json has no exportTime") from None
