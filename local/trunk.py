"""The trunk on this machine: one mapping for several functions, and what feeds each what was deferred."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from distributary.consumer.aws import AwsError
from distributary.consumer.deadline import Deadline
from distributary.errors import DistributaryError
from distributary.feed.invoke import deployed
from distributary.trunk.factory import feeder
from distributary.trunk.feeder import Fed, Feeder
from distributary.trunk.settings import DeferredSettings
from local.aws import Aws
from local.build import TRUNK
from local.esm.mapping import EventSourceMapping, Hooks
from local.esm.tally import Tally
from local.lambda_client import LambdaClient
from local.stack import Stack

FEED_SECONDS = 2.0
"""Between two runs of the feeder. On AWS it is a minute."""


@dataclass(slots=True)
class Trunk:
    """The trunk's mapping, and a thread that feeds each of its branches: one that waits for a sink holds up no other.
    It is drained once nothing is deferred."""

    mapping: EventSourceMapping
    feeder: Feeder
    told: Callable[[str], None]
    parked: int = 0
    fed: Counter[str] = field(default_factory=Counter)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _said: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def attach(
        cls,
        stack: Stack,
        stream_arn: str,
        names: Sequence[str],
        told: Callable[[str], None],
        source: Aws | None = None,
        hooks: Hooks | None = None,
    ) -> "Trunk":
        """Reads the stream for these functions, and feeds them, from now on; `told` takes lines for the user."""
        stack.join(stream_arn, names)
        for name in names:
            stack.function(name, stream_arn)
        mapping = stack.attach(stream_arn, [TRUNK], source, hooks)[TRUNK]
        settings = DeferredSettings.load(stack.spec("deferred").environment)
        client = LambdaClient(stack.function)
        feeding = feeder(
            settings,
            lambda service, *_, **__: stack.aws.client(service),
            lambda branch, arn: deployed(client, branch, arn.removesuffix(":live")),
        )
        found = cls(mapping, feeding, told)
        found.feed(names)
        return found

    def feed(self, names: Sequence[str]) -> None:
        """Feeds these functions until it is stopped."""
        for name in names:
            thread = threading.Thread(target=self._feed, args=(name,), name=f"feeder-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def tally(self) -> Tally:
        """Of the mapping."""
        return self.mapping.tally

    @property
    def parts(self) -> tuple[EventSourceMapping, ...]:
        """Of the mapping."""
        return self.mapping.parts

    def stop(self, seconds: float = 5.0) -> None:
        """See `EventSourceMapping`."""
        self.mapping.stop(seconds)
        self._stopping.set()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def drained(self, since: float, quiet_seconds: float = 1.0) -> bool:
        """Whether the mapping is, and everything that was deferred was taken."""
        return self.mapping.drained(since, quiet_seconds) and not self.deferred()

    def deferred(self) -> bool:
        """Whether something is."""
        return any(True for branch in self.feeder.functions for _ in self.feeder.store.places(branch))

    def check(self) -> None:
        """See `EventSourceMapping`."""
        self.mapping.check()

    def _feed(self, branch: str) -> None:
        while not self._stopping.wait(FEED_SECONDS):
            try:
                self._note(self.feeder.run(branch, Deadline.of(_Context())))
            except (DistributaryError, *AwsError) as error:
                self._say(f"{branch}: deferred changes: {error}")

    def _note(self, fed: Fed) -> None:
        with self._lock:
            self.parked += fed.parked
            self.fed[fed.branch] += fed.done + fed.parked
        for cause, many in fed.left.items():
            self._say(f"{fed.branch}: deferred: left: {many}: {cause}")
        if fed.parked:
            self.told(f"{fed.branch}: deferred: parked: {fed.parked}")

    def _say(self, line: str) -> None:
        """Once: a run says it again and again."""
        with self._lock:
            new = line not in self._said
            self._said.add(line)
        if new:
            self.told(line)


class _Context:
    """The time that a run has."""

    aws_request_id = ""

    def get_remaining_time_in_millis(self) -> int:
        """See `Context`."""
        return 10_000


__all__ = ["TRUNK", "Trunk"]
