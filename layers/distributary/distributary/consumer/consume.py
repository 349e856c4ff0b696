"""Lambda event in, partial batch response out: the only way in."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, Self

from distributary.consumer import outcome as outcomes
from distributary.consumer import replay, sweep
from distributary.consumer.aws import Clients, Later
from distributary.consumer.deadline import Context, Deadline
from distributary.consumer.outcome import Outcome, Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.reconcile import OURS, Reconciler, answer, is_command, requests, table_named
from distributary.consumer.settings import StreamSettings
from distributary.consumer.stack import in_one_piece
from distributary.consumer.streams import UNLISTED, Bind, Streams, bound_nowhere
from distributary.consumer.sweep import Rebuilder
from distributary.consumer.telemetry import Telemetry
from distributary.consumer.ties import settling
from distributary.errors import ConfigError, Rejected, Unavailable
from distributary.stream import records as stream_records
from distributary.stream.change import Change, Undecodable, Unlisted
from distributary.stream.stream_event import StreamEvent
from distributary.stream.struct import Struct

Entry = Change | Undecodable | Unlisted
Response = dict[str, Any]
"""`batchItemFailures` of a batch; of a command see `consumer.reconcile` and `consumer.sweep`."""


class Branch(Protocol):
    """What a function keeps in step with the source table, such as its derived tables."""

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """Returns one outcome per change, in order. Raises nothing for a bad change.

        Whatever was delivered, how often and in whatever order, the branch ends in the state that the newest change
        of each item determines. A change not reached before the deadline is failed.
        """


class Deployment(Struct, frozen=True):
    """A branch with what surrounds it in one function."""

    branch: Branch
    parking: Parking
    telemetry: Telemetry
    streams: Streams
    reconciler: Reconciler | None = None
    rebuilder: Rebuilder | None = None
    replays: bool = False

    @classmethod
    def of(
        cls,
        branch: Branch,
        settings: StreamSettings,
        clients: Clients,
        parallel: Parallel,
        telemetry: Telemetry,
        bind: Bind = bound_nowhere,
        reconciler: Reconciler | None = None,
        rebuilder: Rebuilder | None = None,
        replays: bool = False,
    ) -> Self:
        """With the parking bucket and the streams of the settings, bound in the sink by `bind`. A state branch has a
        `reconciler`, and perhaps a `rebuilder`; an event branch `replays` records."""
        parking = Parking(Later(partial(clients, "s3")), settings.parking_bucket, telemetry.branch, parallel)
        streams = Streams(settings.generation, settings.streams, bind, settings.own_streams)
        return cls(branch, parking, telemetry, streams, reconciler, rebuilder, replays)


def consume(event: Any, context: Context, deployed: Deployment) -> Response:
    """Decodes, applies, parks and counts a batch. Returns the first failed record in batch order.

    Lambda takes that record as its checkpoint, and delivers it and everything after it again
    (https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html).
    An event that is a command is answered with its outcomes; see `consumer.reconcile`.
    Raises ConfigError for an event that is neither.
    """
    return in_one_piece(_consumed, event, context, deployed)


def _consumed(event: Any, context: Context, deployed: Deployment) -> Response:
    deadline = Deadline.of(context)
    with deadline.governs():
        if is_command(event):
            return _command(event, deployed, deadline, context)
        return _batch(event, deployed, deadline, context)


def _batch(event: Any, deployed: Deployment, deadline: Deadline, context: Context) -> Response:
    if isinstance(event, StreamEvent) and event.decoded:
        deployed.telemetry.count("EventsDecoded")
    entries = stream_records.decode(event, deployed.streams.of_batch())
    ends = applied(entries, settling(deployed.branch, deployed.reconciler), deadline)
    ends = park(entries, ends, deployed.parking, deadline.into_reserve())
    deployed.telemetry.batch(context.aws_request_id, entries, ends, time.time())
    return response(entries, ends)


def _command(event: Any, deployed: Deployment, deadline: Deadline, context: Context) -> Response:
    """Nothing is parked: what a command could not do stays where the command found it. Nothing is written into a sink
    that belongs to another stream."""
    if replay.is_known(event[OURS]):
        return _replay(event[OURS], deployed, deadline, context)
    if sweep.is_known(event[OURS]):
        return _rebuilding(event[OURS], deployed, deadline)
    if deployed.reconciler is None:
        raise ConfigError(f"{deployed.telemetry.branch} does not reconcile items: derive, index and replicate do")
    asked = requests(event)
    try:
        deployed.streams.bind_own(asked[0].table if asked else "")
        ends = deployed.reconciler(asked, deadline)
    except Unavailable as error:
        ends = [outcomes.failed(error)] * len(asked)
    deployed.telemetry.commanded("Reconciled", context.aws_request_id, ends)
    return answer(ends)


def _replay(command: Any, deployed: Deployment, deadline: Deadline, context: Context) -> Response:
    if not deployed.replays:
        raise ConfigError(f"{deployed.telemetry.branch} replays no records: welcome and archive do")
    ends = applied(replay.entries(command, deployed.streams.of_batch()), deployed.branch, deadline)
    deployed.telemetry.commanded("Replayed", context.aws_request_id, ends)
    return answer(ends)


def _rebuilding(command: Any, deployed: Deployment, deadline: Deadline) -> Response:
    if deployed.rebuilder is None:
        raise ConfigError(f"{deployed.telemetry.branch} sweeps nothing")
    deployed.streams.bind_own(table_named(command))
    return sweep.answer(command, deployed.rebuilder, deadline)


def applied(entries: Sequence[Entry], branch: Branch, deadline: Deadline) -> list[Outcome]:
    """One outcome per entry: what the branch says of a change; what is no change is parked or fails."""
    changes = [entry for entry in entries if isinstance(entry, Change)]
    ends = branch.apply(changes, deadline) if changes else []
    if len(ends) != len(changes):
        raise AssertionError(f"{type(branch).__name__} answered {len(ends)} outcomes for {len(changes)} changes")
    if len(changes) == len(entries):
        return ends
    rest = iter(ends)
    return [next(rest) if isinstance(entry, Change) else _unread(entry) for entry in entries]


def _unread(entry: Undecodable | Unlisted) -> Outcome:
    if isinstance(entry, Unlisted):
        end = outcomes.failed(Unavailable(entry.cause))
        return end._replace(metric=UNLISTED) if entry.foreign else end
    return outcomes.parked(Rejected(entry.cause, entry.detail))


def park(entries: Sequence[Entry], ends: Sequence[Outcome], parking: Parking, deadline: Deadline) -> list[Outcome]:
    """The outcomes, with every change that could not be parked failed instead: it is never lost."""
    places = [i for i, end in enumerate(ends) if end.status is Status.PARKED]
    ends = list(ends)
    for i, error in zip(places, parking.park([(entries[i], ends[i]) for i in places], deadline), strict=True):
        if error is not None:
            ends[i] = outcomes.failed(error)
    return ends


def response(entries: Sequence[Entry], ends: Sequence[Outcome]) -> Response:
    """The partial batch response."""
    first = next((entry for entry, end in zip(entries, ends, strict=True) if end.status is Status.FAILED), None)
    return {"batchItemFailures": [] if first is None else [{"itemIdentifier": first.identifier}]}
