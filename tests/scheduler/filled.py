"""Branches that are empty when the stream begins: a first fill gives them what the table held before, beside it."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from distributary.derive import check
from distributary.dynamodb.table_reader import pages
from distributary.errors import Unavailable
from local.backfill import Table, snapshot_record
from tests.scheduler.choices import Choices
from tests.scheduler.derive import DeriveWorld
from tests.scheduler.index import IndexWorld
from tests.scheduler.mirror import MirrorWorld
from tests.scheduler.source import PATIENCE, Record
from tests.scheduler.world import SOURCE, Plan, World

TABLE = Table(SOURCE, ("id",), f"arn:aws:dynamodb:eu-west-1:123456789012:table/{SOURCE}/stream/1", "eu-west-1")


class Filled(World):
    """Items were written while no function was attached, so no record of them comes. An operator runs
    `distributary backfill --first-fill` at any time, and again after a crash of the command."""

    def begin(self) -> None:
        """See `World`."""
        super().begin()
        random = Random(f"held {self.seed}")
        for name in self.names:
            if random.random() < 0.8:
                self.put(name, self.image(random))
        attach(self)

    def actors(self) -> list[tuple[str, Any]]:
        """See `World`."""
        return [*super().actors(), ("filler", self.filler)]

    def filler(self) -> None:
        """Runs the command until it is done."""
        random = Random(f"filler {self.seed}")
        self.scheduler.wait(lambda: self.written or random.random() < 0.5)
        while True:
            command = self.scheduler.spawn("fill", lambda: self._filled(random))
            self.scheduler.wait(lambda ended=command: ended.ended)
            if not command.crashed and command.result:
                return
            self.scheduler.sleep(1.0)

    def fill(self) -> None:
        """The command, where nothing fails."""
        assert self._filled(Random(0))

    def _filled(self, random: Random) -> bool:
        """A page is given until all of it is through, as it was read, however long ago that was."""
        try:
            for page in pages(self.dynamodb, SOURCE, 0, 1):
                records = [snapshot_record(item, TABLE, self.scheduler.time(), True) for item in page]
                while records:
                    records = records[self._given(records, random) :]
        except Unavailable:
            return False
        return True

    def _given(self, records: Sequence[Record], random: Random) -> int:
        """How many of them an invocation took. One that takes too long is given up, and goes on."""
        invocation = self.scheduler.spawn("fill live", lambda: self.function(records))
        patience = PATIENCE if random.random() < 0.2 else None
        if not self.scheduler.wait(lambda: invocation.ended, patience):
            invocation.become_zombie()
            return 0
        if not invocation.crashed and invocation.result is None:
            return len(records)
        self.scheduler.sleep(1.0)
        return 0 if invocation.crashed else invocation.result


class FilledViews(Filled, DeriveWorld):
    """No view keeps what TTL deletes leave: of an item that TTL has deleted before the fill came to it, there is
    nothing to keep."""

    def __init__(self, seed: int, choices: Choices, plan: Plan, kinds: tuple[str, ...] = ()) -> None:
        super().__init__(seed, choices, plan, kinds)
        self.pooled = [replace(p, declared=replace(p.declared, on_expiry="remove")) for p in self.pooled]
        self.views = check([each.declared for each in self.pooled])
        self.oddities = False


class FilledIndex(Filled, IndexWorld):
    """Also of items that the index is not about."""


class FilledMirror(Filled, MirrorWorld):
    """All of the source's items."""


def attach(world: World) -> None:
    """The function gets the stream from here on."""
    world.held = {name: dict(item) for (name,), item in world.service.state[SOURCE].items()}
    world.records.clear()


def fill(world: Filled) -> None:
    """An operator's `distributary backfill --first-fill`."""
    world.fill()
