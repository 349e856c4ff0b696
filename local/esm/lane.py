"""A worker of a shard: one batch at a time, each ended before the next begins."""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from distributary.consumer.partial_response import first_failure
from local.esm import batches, destination
from local.esm.batches import Batch, Decision
from local.esm.clock import Clock
from local.esm.destination import Client, Discard, Place
from local.esm.progress import Progress, Ticket
from local.esm.records import Record, event_of
from local.esm.settings import MappingSettings
from local.esm.tally import Tally
from local.esm.watching import Delivered, Nobody, Watcher
from local.runtime_api import Answer, Throttled

DESTINATION_ATTEMPTS = 10
"""How often a destination is tried. AWS documents no number, only that the mapping goes on and counts
DestinationDeliveryFailures: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"""

Checkpointed = Callable[[str, Sequence[Mapping[str, Any]]], None]


class Invoke(Protocol):
    """Runs a function once."""

    def __call__(self, payload: bytes) -> Answer:
        """An error of the function is an answer, too. Throttled if the function could not be invoked."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before a retry, doubled each time."""

    first: float = 0.2
    most: float = 5.0

    def after(self, retries: int) -> float:
        """The wait before the next attempt."""
        return min(self.most, self.first * 2 ** min(retries, 16))


@dataclass(frozen=True, slots=True)
class Delivery:
    """What all workers of a mapping share."""

    invoke: Invoke
    settings: MappingSettings
    clients: Client
    tally: Tally
    clock: Clock
    backoff: Backoff
    checkpointed: Checkpointed | None
    watcher: Watcher = field(default_factory=Nobody)


class PartitionWorker:
    """Takes records in order, makes batches of them, and delivers each until it is done or discarded."""

    def __init__(self, delivery: Delivery, place: Place, progress: Progress) -> None:
        self._delivery, self._place, self._progress = delivery, place, progress
        self._waiting: deque[tuple[Record, Ticket]] = deque()
        self._changed = threading.Condition()
        self._since = 0.0

    def put(self, entries: Sequence[tuple[Record, Ticket]]) -> None:
        """Records to deliver, behind those that wait."""
        with self._changed:
            if not self._waiting:
                self._since = self._delivery.clock.steady()
            self._waiting.extend(entries)
            self._changed.notify()

    def waiting(self) -> bool:
        """Whether there are records whose delivery has not begun."""
        with self._changed:
            return bool(self._waiting)

    def run(self) -> None:
        """Delivers until the mapping stops."""
        while self._delivery.clock.running():
            self.step()

    def step(self) -> None:
        """Delivers the next batch, or waits a moment for one."""
        entries = self._take()
        if entries:
            self._deliver(entries)

    def _take(self) -> list[tuple[Record, Ticket]]:
        """The next batch; empty after a short wait without one."""
        with self._changed:
            waited = self._delivery.clock.steady() - self._since
            sizes = [len(record.encoded) for record, _ in self._waiting]
            count = batches.ready(sizes, waited, self._delivery.settings) if sizes else 0
            if count == 0:
                left = self._delivery.settings.window - waited if sizes else 0.1
                self._changed.wait(min(max(left, 0.001), 0.1))
                return []
            self._since = self._delivery.clock.steady()
            return [self._waiting.popleft() for _ in range(count)]

    def _deliver(self, entries: Sequence[tuple[Record, Ticket]]) -> None:
        """Records end in the order in which they came, so their tickets do."""
        tickets = deque(ticket for _, ticket in entries)
        work = deque([Batch(tuple(record for record, _ in entries))])
        while work and self._delivery.clock.running():
            old, batch = batches.expired(work.popleft(), self._delivery.clock.wall(), self._delivery.settings)
            if old:
                gone = Discard(old, batches.TOO_OLD, batch.invocations, "", None)
                self._end(Decision(discarded=old), gone, tickets)
            if batch.records:
                work.extendleft(reversed(self._attempt(batch, tickets)))

    def _attempt(self, batch: Batch, tickets: deque[Ticket]) -> tuple[Batch, ...]:
        """Invokes once, ends what ended, and waits before what comes again without having moved on.

        A function that cannot be invoked is tried again until the records are too old, and that uses up no retry:
        https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
        """
        began = self._delivery.clock.wall()
        try:
            answer = self._delivery.invoke(event_of(batch.records))
        except Throttled:
            self._delivery.tally.add(throttled=1)
            self._delivery.clock.wait(self._delivery.backoff.after(batch.throttles))
            return (replace(batch, throttles=batch.throttles + 1),)
        failed_at = self._failed_at(batch, answer)
        decision = batches.decide(batch, failed_at, self._delivery.settings)
        self._delivery.tally.add(
            invocations=1,
            delivered=len(batch.records),
            errors=int(answer.function_error is not None),
            retried=int(decision.retried),
            bisected=int(decision.bisected),
        )
        ended = self._delivery.clock.wall()
        self._delivery.watcher.delivered(Delivered(self._place.shard_id, batch, answer, decision, began, ended))
        discard = Discard(
            decision.discarded, batches.EXHAUSTED, batch.invocations + 1, answer.request_id, answer.function_error
        )
        self._end(decision, discard, tickets)
        if decision.again and not decision.done:
            self._delivery.clock.wait(self._delivery.backoff.after(batch.retries))
        return decision.again

    def _failed_at(self, batch: Batch, answer: Answer) -> int | None:
        if answer.function_error is not None:
            return 0
        if not self._delivery.settings.reports_failures:
            return None
        return first_failure([record.identifier for record in batch.records], answer.payload)

    def _end(self, decision: Decision, discard: Discard, tickets: deque[Ticket]) -> None:
        ended = list(decision.done)
        if decision.discarded:
            if not self._discarded(discard):
                decision = replace(decision, discarded=())
            ended.extend(decision.discarded)
        finished = [tickets.popleft() for _ in ended]
        self._delivery.tally.checkpointed(decision.done)
        if ended and self._delivery.checkpointed:
            self._delivery.checkpointed(self._place.shard_id, [record.event for record in ended])
        self._delivery.watcher.ended(self._place.shard_id, decision.done, decision.discarded)
        self._progress.finish(finished)

    def _discarded(self, discard: Discard) -> bool:
        """Hands over what is given up. After so many refusals the shard goes on, and the tally names what no
        destination took. False if the mapping stops first: then nothing was given up."""
        error = self._send(discard)
        if error and not self._delivery.clock.running():
            return False
        if error:
            first, last = discard.records[0].identifier, discard.records[-1].identifier
            where = f"shard {self._place.shard_id}, records {first} to {last}"
            cause = " ".join(str(error).split())
            self._delivery.tally.refused(
                len(discard.records), f"{where}: {self._delivery.settings.on_failure} refused them: {cause}"
            )
        self._delivery.tally.add(discarded=len(discard.records))
        return True

    def _send(self, discard: Discard) -> Exception | None:
        """Tries the destination; its last error, if none of the attempts succeeded."""
        arn, error = self._delivery.settings.on_failure, None
        for attempt in range(DESTINATION_ATTEMPTS if arn else 0):
            try:
                destination.send(str(arn), discard, self._place, self._delivery.clients)
            except (BotoCoreError, ClientError) as refused:
                error = refused
                self._delivery.tally.add(destination_errors=1)
                if not self._delivery.clock.wait(self._delivery.backoff.after(attempt)):
                    return error
            else:
                return None
        return error
