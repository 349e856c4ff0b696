"""One reader for several branches: a batch is decoded once, and given to each of them."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from distributary.consumer import outcome as outcomes
from distributary.consumer.consume import Branch, Entry, Response, applied, park, response
from distributary.consumer.deadline import Context, Deadline
from distributary.consumer.outcome import IGNORED, Outcome, Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.reconcile import is_command
from distributary.consumer.stack import in_one_piece
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.errors import ConfigError, DistributaryError, ForeignStream, Rejected, Unavailable
from distributary.stream import records as stream_records
from distributary.stream.change import Change, Kind, Origin, Unlisted
from distributary.stream.keys import item_digest, table_of
from distributary.stream.stream_event import StreamEvent
from distributary.stream.struct import Struct
from distributary.trunk.breaker import Breakers, Row, Seen, State
from distributary.trunk.deferred import Deferral

DEFERRED = Outcome(Status.DEFERRED)
PAUSED = Outcome(Status.DEFERRED, "the branch is paused: `distributary resume` gives it these changes")
OPEN = Outcome(Status.DEFERRED, "the branch keeps failing: it gets these changes once it answers")

_TAKEN = (Status.APPLIED, Status.SUPERSEDED)
"""What only a branch whose sink answered says."""


class Always(Struct, frozen=True):
    """A branch of which each change is deferred, for its own function to take at its own pace: those of these kinds."""

    kinds: frozenset[Kind]

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:  # noqa: ARG002
        """See `consume.Branch`."""
        return [
            DEFERRED if change.origin is Origin.STREAM and change.kind in self.kinds else IGNORED for change in changes
        ]


class Untried(Struct, frozen=True):
    """A branch that is not called."""

    end: Outcome

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:  # noqa: ARG002
        """See `consume.Branch`."""
        return [self.end] * len(changes)


@dataclass(frozen=True, slots=True)
class Limb:
    """A branch of the trunk. `after` in seconds: so long it is tried at a batch, and a change that fails and is older
    is deferred, so that it holds up no other branch. `streams` binds the stream in the branch's own sink."""

    branch: Branch
    parking: Parking
    telemetry: Telemetry
    streams: Streams
    deferral: Deferral
    after: float
    now: Callable[[], float] = time.time

    @property
    def name(self) -> str:
        """Of the branch."""
        return self.telemetry.branch

    def deliver(self, entries: Sequence[Entry], row: Row, breakers: Breakers, deadline: Deadline) -> list[Outcome]:
        """One outcome per entry, in order. Raises nothing: whatever the branch raises, its changes fail."""
        if isinstance(self.branch, Always):
            ends = applied(entries, self.branch, deadline)
        elif row.defers:
            ends = applied(entries, Untried(PAUSED if row.state is State.PAUSED else OPEN), deadline)
        else:
            ends = self._called(entries, deadline.within(self.after))
            row = breakers.note(self.name, row, _seen(entries, ends))
            ends = [self._late(entry, end, row) for entry, end in zip(entries, ends, strict=True)]
        reserve = deadline.into_reserve()
        return park(entries, self.deferral.keep(entries, ends, reserve), self.parking, reserve)

    def _called(self, entries: Sequence[Entry], deadline: Deadline) -> list[Outcome]:
        with deadline.governs():
            return _tried(self._of_own_stream(entries), self.branch, deadline)

    def _of_own_stream(self, entries: Sequence[Entry]) -> list[Entry]:
        """Changes of a stream that the branch's sink has bound otherwise, or cannot be asked about, are unlisted."""
        of = self.streams.of_batch()
        return [_bound(entry, of) if isinstance(entry, Change) else entry for entry in entries]

    def _late(self, entry: Entry, end: Outcome, row: Row) -> Outcome:
        """A failed change is deferred if its branch's breaker has just opened, or if it has waited long enough."""
        if end.status is not Status.FAILED or not isinstance(entry, Change):
            return end
        waited = float("inf") if entry.created is None else self.now() - entry.created
        return end._replace(status=Status.DEFERRED) if row.defers or waited > self.after else end


class Trunk(Struct, frozen=True):
    """The branches side by side. `streams` names the generation of the stream that all of them read."""

    limbs: tuple[Limb, ...]
    streams: Streams
    breakers: Breakers
    parallel: Parallel


def distribute(event: Any, context: Context, trunk: Trunk) -> Response:
    """Gives a batch to every branch, counts for each, and answers the first record that failed in any of them.

    Raises ConfigError for a command, and for what is no batch.
    """
    return in_one_piece(_distributed, event, context, trunk)


def _distributed(event: Any, context: Context, trunk: Trunk) -> Response:
    if is_command(event):
        raise ConfigError("the trunk takes no commands: give them to the function of the branch")
    deadline = Deadline.of(context)
    with deadline.governs():
        decoded = isinstance(event, StreamEvent) and event.decoded
        entries = stream_records.decode(event, trunk.streams.of_batch())
        ends = _delivered(entries, trunk, deadline)
        for limb, own in zip(trunk.limbs, ends, strict=True):
            if decoded:
                limb.telemetry.count("EventsDecoded")
            limb.telemetry.batch(context.aws_request_id, entries, own, time.time())
        return response(entries, [_first_failed(each) for each in zip(*ends, strict=True)])


def _delivered(entries: Sequence[Entry], trunk: Trunk, deadline: Deadline) -> list[list[Outcome]]:
    """By limb. One that was not reached before the deadline has failed."""
    rows = trunk.breakers.known()

    def deliver(limb: Limb) -> list[Outcome]:
        return limb.deliver(entries, rows[limb.name], trunk.breakers, deadline)

    found = trunk.parallel.run(deliver, trunk.limbs, deadline)
    return [each if isinstance(each, list) else [outcomes.failed(each)] * len(entries) for each in found]


def _first_failed(ends: Sequence[Outcome]) -> Outcome:
    return next((end for end in ends if end.status is Status.FAILED), ends[0])


def _tried(entries: Sequence[Entry], branch: Branch, deadline: Deadline) -> list[Outcome]:
    """What the branch raises fails the change that it is raised at, found by halves, and no other branch's changes."""
    try:
        return applied(entries, branch, deadline)
    except Exception as error:  # noqa: BLE001  (of one branch: the others go on)
        if len(entries) <= 1 or not deadline.left():
            return [outcomes.failed(_named(error))] * len(entries)
    half = len(entries) // 2
    return _tried(entries[:half], branch, deadline) + _tried(entries[half:], branch, deadline)


def _named(error: Exception) -> DistributaryError:
    """Safe to log: the text of any other error may quote an item."""
    if isinstance(error, DistributaryError):
        return error
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return Unavailable(f"the branch raised {type(error).__name__} at {PurePath(frame.filename).name}:{frame.lineno}")


def _bound(change: Change, of: Callable[[str], int]) -> Entry:
    try:
        of(change.source)
    except DistributaryError as error:
        foreign = isinstance(error, ForeignStream)
        return Unlisted(change.event_id, change.identifier, change.record, str(error), foreign)
    return change


def _seen(entries: Sequence[Entry], ends: Sequence[Outcome]) -> Seen:
    """Of an item that fails, the sink has said nothing: an older change of the same batch is superseded without it."""
    changes = [(entry, end) for entry, end in zip(entries, ends, strict=True) if isinstance(entry, Change)]
    failing = frozenset(_item(change) for change, end in changes if end.status is Status.FAILED)
    taken = (change for change, end in changes if end.status in _TAKEN)
    return Seen(any(not failing or _item(change) not in failing for change in taken), failing)


def _item(change: Change) -> str:
    try:
        return item_digest(table_of(change.source), change.keys.raw)
    except Rejected:
        return change.event_id
