"""A shard's poller: reads ahead, filters, and gives each record to its item's lane."""

import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.esm import filters
from local.esm.destination import Place
from local.esm.lane import Delivery, PartitionWorker
from local.esm.progress import Progress, Ticket
from local.esm.records import Record, lambda_record
from local.esm.shards import ShardReader, permanent

Transform = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Polling:
    """How a mapping's shards are read. Lambda polls four times a second."""

    region: str
    transform: Transform | None
    seconds: float = 0.25
    ahead: int = 2000


class ShardPoller:
    """Reads one shard until it ends or the mapping stops. Its lanes keep the order of each item."""

    def __init__(self, reader: ShardReader, place: Place, delivery: Delivery, polling: Polling) -> None:
        self.place, self.progress = place, Progress()
        self._reader, self._delivery, self._polling = reader, delivery, polling
        self._lanes = [
            PartitionWorker(delivery, place, self.progress) for _ in range(delivery.settings.parallelization)
        ]
        self._rewinds: list[str | None] = []
        self._lock = threading.Lock()
        self._quiet: tuple[float, float] | None = None

    def runs(self) -> list[Callable[[], None]]:
        """What wants a thread each."""
        return [self.run, *(lane.run for lane in self._lanes)]

    def rewind(self, to: str | None) -> None:
        """Delivers everything after this sequence number again (None = from the oldest record)."""
        with self._lock:
            self._rewinds.append(to)
            self._quiet = None

    def finished(self) -> bool:
        """Whether the shard is closed and everything in it is done."""
        with self._lock:
            return self._reader.ended and not self._rewinds and self.progress.outstanding == 0

    def caught_up(self, since: float, seconds: float) -> bool:
        """Whether polls found nothing for so long, the last of them after `since`, and nothing is in flight."""
        with self._lock:
            if self._quiet is None or self.progress.outstanding:
                return False
            first, last = self._quiet
            return last >= since and last - first >= seconds

    def run(self) -> None:
        """Polls until the mapping stops."""
        failures = 0
        while not self._delivery.stopping.is_set():
            began = time.monotonic()
            try:
                self._poll()
                failures = 0
            except (BotoCoreError, ClientError) as error:
                if permanent(error):
                    raise
                failures += 1
                self._delivery.stopping.wait(self._delivery.backoff.after(failures))
            self._delivery.stopping.wait(max(0.0, self._polling.seconds - (time.monotonic() - began)))

    def _poll(self) -> None:
        """One read. A rewind that comes meanwhile waits for the next."""
        if self.progress.outstanding > self._polling.ahead:
            return
        with self._lock:
            for to in self._rewinds:
                self._reader.rewind(to)
                self.progress.rewind(to)
            self._rewinds.clear()
        gaps, began = self._reader.gaps, time.monotonic()
        records = self._reader.read()
        self._delivery.tally.add(read=len(records), gaps=self._reader.gaps - gaps)
        with self._lock:
            quiet = not records and not self._rewinds
            self._quiet = (self._quiet[0] if self._quiet else began, began) if quiet else None
        if records:
            self._dispatch(records)

    def _dispatch(self, records: list[dict[str, Any]]) -> None:
        events = [lambda_record(each, self.place.stream_arn, self._polling.region) for each in records]
        if self._polling.transform:
            events = self._polling.transform(events)
        lanes: list[list[tuple[Record, Ticket]]] = [[] for _ in self._lanes]
        filtered = []
        for event in events:
            ticket = self.progress.read(_sequence(event))
            if not filters.passes(event, self._delivery.settings.patterns):
                filtered.append(ticket)
                continue
            record = Record.of(event)
            lanes[zlib.crc32(record.item.encode()) % len(lanes)].append((record, ticket))
        for lane, entries in zip(self._lanes, lanes, strict=True):
            if entries:
                lane.put(entries)
        self._delivery.tally.add(filtered=len(filtered))
        self.progress.finish(filtered)


def _sequence(event: Mapping[str, Any]) -> str:
    return str(event["dynamodb"]["SequenceNumber"])
