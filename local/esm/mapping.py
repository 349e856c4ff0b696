"""An event source mapping: a stream's shards, polled and delivered to one function."""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from local.errors import LocalError
from local.esm import destination
from local.esm.clock import Clock
from local.esm.destination import Client, Place
from local.esm.lane import Backoff, Checkpointed, Delivery, Invoke
from local.esm.poller import Polling, ShardPoller, Transform
from local.esm.settings import MappingSettings
from local.esm.shards import Shard, ShardReader, discover, permanent, readable
from local.esm.tally import Tally
from local.esm.watching import Nobody, Position, Watcher

_DISCOVERY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Stream:
    """A DynamoDB stream, and a client of `dynamodbstreams` that reads it; or a Kinesis data stream as a function's
    source, and a `DataStream`."""

    arn: str
    region: str
    client: Any


@dataclass(frozen=True, slots=True)
class Hooks:
    """What tests and the demo put between: `transform` changes records between poller and batches, `checkpointed` is
    called with the records that ended, by shard. `watcher`: see `Watcher`."""

    transform: Transform | None = None
    checkpointed: Checkpointed | None = None
    watcher: Watcher = field(default_factory=Nobody)


class Delivering(Protocol):
    """What delivers to one function: a mapping, or several."""

    @property
    def tally(self) -> Tally:
        """What was delivered."""

    @property
    def parts(self) -> tuple["EventSourceMapping", ...]:
        """The mappings, one for each stream."""

    def stop(self, seconds: float = 5.0) -> None:
        """See `EventSourceMapping`."""

    def drained(self, since: float, quiet_seconds: float = 1.0) -> bool:
        """See `EventSourceMapping`."""

    def check(self) -> None:
        """See `EventSourceMapping`."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The mappings of a function that reads several streams."""

    mappings: tuple["EventSourceMapping", ...]

    @property
    def tally(self) -> Tally:
        """Of all of them."""
        return Tally.joined([each.tally for each in self.mappings])

    @property
    def parts(self) -> tuple["EventSourceMapping", ...]:
        """All of them."""
        return self.mappings

    def stop(self, seconds: float = 5.0) -> None:
        """All of them."""
        for each in self.mappings:
            each.stop(seconds)

    def drained(self, since: float, quiet_seconds: float = 1.0) -> bool:
        """Whether all of them are."""
        return all(each.drained(since, quiet_seconds) for each in self.mappings)

    def check(self) -> None:
        """Raises LocalError if one of them broke down."""
        for each in self.mappings:
            each.check()


class EventSourceMapping:
    """Delivers a stream to a function until it is stopped. Its checkpoints live as long as it does."""

    def __init__(
        self,
        stream: Stream,
        function_arn: str,
        invoke: Invoke,
        settings: MappingSettings,
        clients: Client,
        hooks: Hooks,
        backoff: Backoff,
        clock: Clock | None = None,
    ) -> None:
        """`clients` makes boto3 clients for the OnFailure destination, by service name."""
        destination.check(settings.on_failure)
        self.id = str(uuid.uuid4())
        self.tally = Tally()
        self._stream, self._function_arn, self._settings = stream, function_arn, settings
        self._clock = clock or Clock()
        self._delivery = Delivery(
            invoke, settings, clients, self.tally, self._clock, backoff, hooks.checkpointed, hooks.watcher
        )
        self._polling = Polling(stream.region, hooks.transform)
        self._lock = threading.Lock()
        self._pollers: dict[str, ShardPoller] = {}
        self._finished: set[str] = set()
        self._known: list[Shard] | None = None
        self._threads: list[threading.Thread] = []
        self._fault: BaseException | None = None

    @property
    def parts(self) -> tuple["EventSourceMapping", ...]:
        """Itself."""
        return (self,)

    def start(self) -> None:
        """Begins to deliver. LocalError if the stream cannot be read."""
        try:
            self._discover()
        except (BotoCoreError, ClientError) as error:
            self._clock.stopping.set()
            raise LocalError(f"the stream {self._stream.arn} cannot be read: {' '.join(str(error).split())}") from error
        self._thread(self._supervise, "supervisor")

    def stop(self, seconds: float = 5.0) -> None:
        """Begins nothing more, and waits for what is under way."""
        self._clock.stopping.set()
        until = time.monotonic() + seconds
        for thread in list(self._threads):
            thread.join(max(0.0, until - time.monotonic()))

    @property
    def stream_arn(self) -> str:
        """Of the stream that it delivers."""
        return self._stream.arn

    def shards(self) -> list[str]:
        """The shards that are being read, or were."""
        with self._lock:
            return list(self._pollers)

    def checkpoints(self) -> dict[str, str | None]:
        """The last sequence number of each shard up to which everything ended; None before the first."""
        with self._lock:
            return {shard_id: poller.progress.checkpoint for shard_id, poller in self._pollers.items()}

    def positions(self) -> list[Position]:
        """How far each shard is."""
        with self._lock:
            return [poller.position() for poller in self._pollers.values()]

    def outstanding(self) -> int:
        """How many records were read and have not ended."""
        with self._lock:
            return sum(poller.progress.outstanding for poller in self._pollers.values())

    def rewind(self, shard_id: str, to: str | None = None) -> None:
        """Delivers what follows this sequence number again, as after a crash of Lambda's poller; None = all of it."""
        with self._lock:
            self._pollers[shard_id].rewind(to)

    def drained(self, since: float, quiet_seconds: float = 1.0) -> bool:
        """Whether everything that was in the stream at `since` (time.monotonic()) was read and has ended.

        AWS never says so. It is taken for granted when polls have found nothing for `quiet_seconds`, the last of them
        after `since`, and nothing is in flight. A shard that has ended has children: they are known only to a look at
        the stream that began after its end. Raises LocalError if the mapping broke down.
        """
        self.check()
        with self._lock:
            known = {shard.shard_id for shard in self._known or ()}
            return known <= self._finished | self._pollers.keys() and all(
                (shard_id in self._finished and poller.finished()) or poller.caught_up(since, quiet_seconds)
                for shard_id, poller in self._pollers.items()
            )

    def check(self) -> None:
        """LocalError if a thread of the mapping ended by an error."""
        if self._fault is not None:
            cause = " ".join(f"{type(self._fault).__name__}: {self._fault}".split())
            raise LocalError(f"the mapping of {self._function_arn} broke down: {cause}") from self._fault

    def _supervise(self) -> None:
        """Finds new shards, and begins each when its parent is done."""
        while self._clock.wait(_DISCOVERY_SECONDS):
            try:
                self._discover()
            except (BotoCoreError, ClientError) as error:
                if permanent(error):
                    raise

    def _discover(self) -> None:
        ended = self._ended()
        shards = discover(self._stream.client, self._stream.arn)
        with self._lock:
            first = self._known is None
            self._known = shards
            self._finished |= ended & self._ended()
            self._forget_unlisted()
            if first and self._settings.starting_position == "LATEST":
                self._finished |= {shard.shard_id for shard in shards if not shard.open}
            fresh = [s for s in readable(shards, self._finished, self._pollers) if s.shard_id not in self._pollers]
            for shard in fresh:
                self._pollers[shard.shard_id] = self._poller(shard, first)
            started = [self._pollers[shard.shard_id] for shard in fresh]
        for poller in started:
            for run in poller.runs():
                self._thread(run, poller.place.shard_id)

    def _ended(self) -> set[str]:
        return {shard_id for shard_id, poller in list(self._pollers.items()) if poller.finished()}

    def _forget_unlisted(self) -> None:
        listed = {shard.shard_id for shard in self._known or ()}
        for shard_id, poller in self._pollers.items():
            if shard_id not in listed:
                poller.forget()

    def _poller(self, shard: Shard, first: bool) -> ShardPoller:
        """A shard that appears later is read whole: only what was there before the mapping may be skipped."""
        position = self._settings.starting_position if first else "TRIM_HORIZON"
        reader = ShardReader(self._stream.client, self._stream.arn, shard.shard_id, position)
        place = Place(self.id, self._function_arn, self._stream.arn, shard.shard_id)
        return ShardPoller(reader, place, self._delivery, self._polling)

    def _thread(self, run: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=self._guarded, args=(run,), daemon=True, name=f"mapping-{name}")
        self._threads.append(thread)
        thread.start()

    def _guarded(self, run: Callable[[], None]) -> None:
        """No thread ends in silence: its error stops the mapping and is raised by whoever asks for it."""
        try:
            run()
        except Exception as error:  # noqa: BLE001
            self._fault = error
            self._clock.stopping.set()
