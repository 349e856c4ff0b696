"""Metrics and log lines of a batch. The metrics add up, and no log line contains an item's data."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from logging import DEBUG
from operator import attrgetter
from threading import Lock
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from distributary.consumer.outcome import Outcome, Status
from distributary.stream.change import Change, Origin, Undecodable, Unlisted

NAMED = 20
"""Of the changes with one cause, those whose ids the log has."""

LISTED = 1000
"""Ids in a line of LogLevel=DEBUG: a log event has at most 256 KB, and an id about 40 bytes
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html)."""

_DUE = {
    "derive": "`distributary doctor --derive`, which names what to run",
    "index": "`distributary rebuild index`",
}
"""What to do about rows or documents that were written under other declarations."""


def add_dimensions(metrics: EphemeralMetrics, branch: str, stack: str) -> None:
    """The dimensions that every metric of a function has, beside Powertools' own `service`."""
    metrics.add_dimension(name="branch", value=branch)
    if stack:
        metrics.add_dimension(name="stack", value=stack)


class Telemetry:
    """CloudWatch metrics (EMF) and structured logs of one branch.

    Per batch: Received, Applied, Superseded, Ignored, Parked, Failed and, if any is, Deferred (counts; Received is the
    sum of the rest) and Lag, the seconds from the oldest streamed change's creation to its outcome; and what outcomes
    name beside their status, or the branch itself counted. Dimensions: branch, service, and stack, so that two stacks
    of one account keep their metrics apart. A run outside a stack has no such dimension.
    """

    def __init__(self, branch: str, stack: str = "") -> None:
        self.branch, self._stack = branch, stack
        self._logger = Logger()
        self._metrics = EphemeralMetrics()
        self._lock = Lock()
        self._counted: Counter[str] = Counter()
        self._due_said = False

    def count(self, name: str) -> None:
        """Adds one to a metric of the branch's own, which is published with the batch. Safe to call from any thread."""
        with self._lock:
            self._counted[name] += 1

    def rebuild_due(self) -> None:
        """RebuildDue (count), and the first time in an environment a line that names the command."""
        self.count("RebuildDue")
        if not self._due_said:
            self._due_said = True
            cause = f"the declarations have changed: run {_DUE[self.branch]}"
            self._logger.warning("rebuild due", branch=self.branch, cause=cause)

    def batch(
        self, request_id: str, entries: Sequence[Change | Undecodable | Unlisted], ends: Sequence[Outcome], now: float
    ) -> None:
        """Counts a batch. Logs each parked change and each other cause, without any content of an item."""
        tally = Counter(ends)
        counts, metrics = _sums(tally, "status"), _sums(tally, "metric")
        add_dimensions(self._metrics, self.branch, self._stack)
        self._metrics.add_metric(name="Received", unit=MetricUnit.Count, value=len(ends))
        for status in Status:
            if status is Status.DEFERRED and not counts[status]:
                continue
            self._metrics.add_metric(name=status.value, unit=MetricUnit.Count, value=counts[status])
        for metric, many in sorted(metrics.items()):
            if metric:
                self._metrics.add_metric(name=metric, unit=MetricUnit.Count, value=many)
        for name, many in self._counted.items():
            self._metrics.add_metric(name=name, unit=MetricUnit.Count, value=many)
        self._counted.clear()
        if created := list(_creations(entries)):
            self._metrics.add_metric(name="Lag", unit=MetricUnit.Seconds, value=max(0.0, now - min(created)))
        self._metrics.flush_metrics()
        self._logger.set_correlation_id(request_id)
        if counts[Status.PARKED]:
            self._parked(entries, ends)
        if any(end.cause for end in tally):
            self._causes({end: many for end, many in tally.items() if end.status is not Status.PARKED}, entries, ends)
        if self._logger.log_level <= DEBUG:
            self._each(entries, ends)

    def _parked(self, entries: Sequence[Change | Undecodable | Unlisted], ends: Sequence[Outcome]) -> None:
        for entry, end in zip(entries, ends, strict=True):
            if end.status is Status.PARKED:
                self._logger.warning("parked", branch=self.branch, event_id=entry.event_id, cause=end.cause)

    def commanded(self, metric: str, request_id: str, ends: Sequence[Outcome]) -> None:
        """Reconciled or Replayed (count), the items or records of one command; and the causes of those that are not
        right. They are no changes that were received, so they add to no other metric."""
        add_dimensions(self._metrics, self.branch, self._stack)
        self._metrics.add_metric(name=metric, unit=MetricUnit.Count, value=len(ends))
        self._metrics.flush_metrics()
        self._logger.set_correlation_id(request_id)
        self._causes(Counter(ends), (), ())

    def fed(self, done: int, backlog: int, age: float, left: Sequence[Outcome] = ()) -> None:
        """Fed and DeferredBacklog (counts of changes) and DeferredAge (seconds since the oldest of these was made) of
        one run that feeds the branch what was deferred; and why some are left. They add to no other metric."""
        add_dimensions(self._metrics, self.branch, self._stack)
        self._metrics.add_metric(name="Fed", unit=MetricUnit.Count, value=done)
        self._metrics.add_metric(name="DeferredBacklog", unit=MetricUnit.Count, value=backlog)
        self._metrics.add_metric(name="DeferredAge", unit=MetricUnit.Seconds, value=age)
        self._metrics.flush_metrics()
        self._causes(Counter(left), (), ())

    def _causes(
        self,
        tally: Mapping[Outcome, int],
        entries: Sequence[Change | Undecodable | Unlisted],
        ends: Sequence[Outcome],
    ) -> None:
        """A line for each cause, with the ids of the first changes that have it: a command's entries have none."""
        first: defaultdict[tuple[Status, str], list[str]] = defaultdict(list)
        for entry, end in zip(entries, ends, strict=True):
            if end.cause and len(named := first[end.status, end.cause]) < NAMED:
                named.append(entry.event_id)
        for (status, cause), many in _sums(tally, "status", "cause").items():
            if cause:
                ids: dict[str, Any] = {"event_ids": told} if (told := first.get((status, cause))) else {}
                self._logger.warning(status.lower(), branch=self.branch, changes=many, cause=cause, **ids)

    def _each(self, entries: Sequence[Change | Undecodable | Unlisted], ends: Sequence[Outcome]) -> None:
        """With LogLevel=DEBUG, the ids of all changes by their outcomes: for a test environment. A line for each change
        would take longer than some changes do."""
        ids: defaultdict[Status, list[str]] = defaultdict(list)
        for entry, end in zip(entries, ends, strict=True):
            ids[end.status].append(entry.event_id)
        for status, of_status in ids.items():
            for at in range(0, len(of_status), LISTED):
                some = of_status[at : at + LISTED]
                self._logger.debug("changes", branch=self.branch, outcome=status.value, event_ids=some)

    def purge(self, counts: Mapping[str, int]) -> None:
        """Purged and PurgeConflicts (counts) of one run over all indexes, with the same dimensions as a batch."""
        add_dimensions(self._metrics, self.branch, self._stack)
        for name, value in counts.items():
            self._metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
        self._metrics.flush_metrics()


def _sums(tally: Mapping[Outcome, int], *names: str) -> Counter[Any]:
    """How many outcomes have each value of these fields."""
    sums: Counter[Any] = Counter()
    of = attrgetter(*names)
    for end, many in tally.items():
        sums[of(end)] += many
    return sums


def _creations(entries: Iterable[Change | Undecodable | Unlisted]) -> Iterator[float]:
    """When the streamed changes were made."""
    for each in entries:
        if isinstance(each, Change) and each.created is not None and each.origin is Origin.STREAM:
            yield each.created
