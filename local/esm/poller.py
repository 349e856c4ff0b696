"""A shard's poller: reads ahead, filters, and gives each record to its item's worker."""

import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.esm import data_stream, filters
from local.esm.destination import Place
from local.esm.lane import Delivery, PartitionWorker
from local.esm.progress import Progress, Ticket
from local.esm.records import Record, lambda_record
from local.esm.shards import ShardReader, missing, permanent
from local.esm.watching import Position

Transform = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Polling:
    """How a mapping's shards are read. Lambda polls four times a second."""

    region: str
    transform: Transform | None
    seconds: float = 0.25
    ahead: int = 2000


class ShardPoller:
    """Reads one shard until it ends or the mapping stops. Its workers keep the order of each item."""

    def __init__(self, reader: ShardReader, place: Place, delivery: Delivery, polling: Polling) -> None:
        self.place, self.progress = place, Progress()
        self._reader, self._delivery, self._polling = reader, delivery, polling
        self.workers = [
            PartitionWorker(delivery, place, self.progress) for _ in range(delivery.settings.parallelization)
        ]
        self._rewinds: list[str | None] = []
        self._lock = threading.Lock()
        self._quiet: tuple[float, float] | None = None
        self._missing = self._forgotten = self._ended = False

    def runs(self) -> list[Callable[[], None]]:
        """What wants a thread each."""
        return [self.run, *(worker.run for worker in self.workers)]

    def rewind(self, to: str | None) -> None:
        """Delivers everything after this sequence number again (None = from the oldest record)."""
        with self._lock:
            self._rewinds.append(to)
            self._quiet = None

    def forget(self) -> None:
        """The stream does not list the shard any more. If it cannot be read either, it ends here."""
        with self._lock:
            self._forgotten = self._missing

    def finished(self) -> bool:
        """Whether the shard is closed and everything in it is done."""
        with self._lock:
            return self._ended and not self._rewinds and self.progress.outstanding == 0

    def position(self) -> Position:
        """How far it is."""
        progress = self.progress
        shard, finished = self.place.shard_id, self.finished()
        return Position(shard, progress.checkpoint, progress.outstanding, progress.oldest, finished)

    def caught_up(self, since: float, seconds: float) -> bool:
        """Whether polls of an open shard found nothing for so long, the last of them after `since`, and nothing is in
        flight. A closed one has children, and is finished at some time instead."""
        with self._lock:
            if self._quiet is None or self.progress.outstanding:
                return False
            first, last = self._quiet
            return last >= since and last - first >= seconds

    def run(self) -> None:
        """Polls until the mapping stops."""
        failures = 0
        clock = self._delivery.clock
        while clock.running():
            began = clock.steady()
            try:
                self.poll()
                failures = 0
            except (BotoCoreError, ClientError) as error:
                if permanent(error) and not missing(error):
                    raise
                failures += 1
                clock.wait(self._delivery.backoff.after(failures))
            clock.wait(max(0.0, self._polling.seconds - (clock.steady() - began)))

    def poll(self) -> None:
        """One read. A rewind that comes meanwhile waits for the next. Raises what boto3 raises: what is missing may be
        the shard only, so the mapping's look at the stream decides what follows."""
        if self.progress.outstanding > self._polling.ahead:
            return
        self._apply_rewinds()
        gaps, began = self._reader.gaps, self._delivery.clock.steady()
        records = self._read()
        self._delivery.tally.add(read=len(records), gaps=self._reader.gaps - gaps)
        with self._lock:
            quiet = not (records or self._rewinds or self._reader.ended)
            self._quiet = (self._quiet[0] if self._quiet else began, began) if quiet else None
        if records:
            self._dispatch(records)
        with self._lock:
            self._ended = self._reader.ended

    def _apply_rewinds(self) -> None:
        with self._lock:
            for to in self._rewinds:
                self._reader.rewind(to)
                self.progress.rewind(to)
                self._ended = False
            self._rewinds.clear()

    def _read(self) -> list[dict[str, Any]]:
        if self._forgotten:
            self._reader.end()
            return []
        try:
            records = self._reader.read()
        except ClientError as error:
            self._missing = missing(error)
            raise
        self._missing = False
        return records

    def _event(self, record: Mapping[str, Any]) -> dict[str, Any]:
        if "Data" in record:
            place = self.place
            return data_stream.lambda_record(record, place.stream_arn, self._polling.region, place.shard_id)
        return lambda_record(record, self.place.stream_arn, self._polling.region)

    def _dispatch(self, records: list[dict[str, Any]]) -> None:
        events = [self._event(each) for each in records]
        if self._polling.transform:
            events = self._polling.transform(events)
        parts: list[list[tuple[Record, Ticket]]] = [[] for _ in self.workers]
        filtered, left_out = [], []
        for event in events:
            ticket = self.progress.read(_sequence(event), _created(event))
            if not filters.passes(data_stream.filterable(event), self._delivery.settings.patterns):
                filtered.append(ticket)
                left_out.append(event)
                continue
            record = Record.of(event)
            parts[zlib.crc32(record.item.encode()) % len(parts)].append((record, ticket))
        read = [record for part in parts for record, _ in part]
        self._delivery.watcher.read(self.place.shard_id, read, left_out)
        for worker, entries in zip(self.workers, parts, strict=True):
            if entries:
                worker.put(entries)
        self._delivery.tally.add(filtered=len(filtered))
        self.progress.finish(filtered)


def _sequence(event: Mapping[str, Any]) -> str:
    return str(event["kinesis"]["sequenceNumber"] if "kinesis" in event else event["dynamodb"]["SequenceNumber"])


def _created(event: Mapping[str, Any]) -> float:
    """In epoch seconds, 0 if it is not known."""
    if "kinesis" in event:
        return float(event["kinesis"]["approximateArrivalTimestamp"])
    return float(event["dynamodb"].get("ApproximateCreationDateTime") or 0)
