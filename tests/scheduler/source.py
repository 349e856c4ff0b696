"""The event source mapping that delivers a source table's stream, and the service behind the scheduler."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.fakes import dynamodb
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.streaming import Record
from tests.scheduler.scheduler import Scheduler

PATIENCE = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0

Image = dict[str, Any]


class Shard:
    """An event source mapping on one shard: in order, from its checkpoint on, until the shard is closed and done.

    `function` processes a batch and says at which of its records it failed, if at one. An invocation that takes too
    long is given up and its batch delivered again, while the first one goes on as a zombie: at most `zombies` times.
    Nothing more befalls a zombie: what fails in it, nobody repeats, so that is a late effect (see `effects.late`).
    `rewinds` times the shard is read again from an earlier record on, and records are delivered twice within a batch.
    Of the records for which `loses` says so, Lambda gives up: they are never delivered.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        records: Callable[[], Sequence[Record]],
        function: Callable[[Sequence[Record]], int | None],
        random: Random,
        closed: Callable[[], bool],
        zombies: int = 1,
        rewinds: int = 1,
        loses: Callable[[Record], bool] = lambda record: False,
    ) -> None:
        self._scheduler, self._records, self._function, self._random = scheduler, records, function, random
        self._closed, self._zombies, self._rewinds, self._loses = closed, zombies, rewinds, loses
        self._at = self._invocations = 0
        self._pause = FIRST_PAUSE
        self.lost: list[Record] = []
        self.finished = False

    def run(self) -> None:
        """The actor's program."""
        while True:
            self._scheduler.wait(lambda: self._at < len(self._records()) or self._closed())
            records = self._records()
            if self._at >= len(records):
                self.finished = True
                return
            batch = list(records[self._at : self._at + self._random.choice((1, 1, 3, 10))])
            self._at += self._delivered(batch)
            if self._rewinds and self._at and self._random.random() < 0.15:
                self._rewinds -= 1
                self._at = self._random.randrange(self._at)

    @property
    def behind(self) -> Sequence[Record]:
        """The records before the checkpoint."""
        return self._records()[: self._at]

    def _delivered(self, batch: list[Record]) -> int:
        """How many records the checkpoint moves on by."""
        kept = [record for record in batch if not self._given_up(record)]
        given = kept + self._random.choices(kept, k=1) if kept and self._random.random() < 0.2 else kept
        self._invocations += 1
        name = f"live {self._invocations}"
        invocation = self._scheduler.spawn(name, lambda: self._function(given))
        patience = PATIENCE if self._zombies and self._random.random() < 0.3 else None
        if not self._scheduler.wait(lambda: invocation.ended, patience):
            self._zombies -= 1
            invocation.become_zombie()
            return 0
        if not invocation.crashed and invocation.result is None:
            self._pause = FIRST_PAUSE
            return len(batch)
        self._scheduler.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return 0 if invocation.crashed else batch.index(given[invocation.result])

    def _given_up(self, record: Record) -> bool:
        if record not in self.lost and self._loses(record):
            self.lost.append(record)
        return record in self.lost


def client(scheduler: Scheduler, service: DynamoDB) -> Any:
    """The service, behind the scheduler."""
    return scheduler.client(service, dynamodb)
