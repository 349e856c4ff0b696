"""Branches on a Kinesis data stream: records in disorder, more than once, and several of an item at one moment."""

from collections import defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any

from distributary.consumer.outcome import TIED, Status
from distributary.consumer.reconcile import Reconcile
from distributary.consumer.ties import settling
from distributary.derive import check
from distributary.stream.kinesis import plain
from distributary.stream.records import decode
from tests.fakes.kinesis import delivered, written
from tests.fakes.streaming import Record
from tests.scheduler.choices import Choices
from tests.scheduler.derive import DeriveWorld
from tests.scheduler.index import IndexWorld
from tests.scheduler.joined import JoinedWorld
from tests.scheduler.mirror import MirrorWorld
from tests.scheduler.world import SOURCE, Plan, World
from tests.simulation.merging import Merging
from tests.simulation.mesh import Mesh
from tests.simulation.regions import request
from tests.simulation.viewpool import pool

MOST = 2
"""Changes of an item of several regions at one moment."""

DISTANCE = 6
"""How many records a record is put off by, at most."""


class ByKinesis(World):
    """The table writes each change into a data stream as well, with the time of a coarse clock, and a shard brings it
    sooner or later. `records` stay those of the table's own stream: they say what is right."""

    def __init__(self, seed: int, choices: Choices, plan: Plan, *more: Any) -> None:
        super().__init__(seed, choices, plan, *more)
        self.tick = self.random.choice((1, 1_000, 1_000_000, 3_600_000_000))
        self.arrived: dict[int, list[Record]] = {}
        self.waiting: dict[int, list[Record]] = {}
        self.disorder = Random(f"disorder {seed}")
        self.tied = 0

    def carried(self, number: int) -> Sequence[Record]:
        """See `World`."""
        arrived, waiting = self.arrived.setdefault(number, []), self.waiting.setdefault(number, [])
        waiting += super().carried(number)[len(arrived) + len(waiting) :]
        while waiting and (self.written or len(waiting) > DISTANCE or self.disorder.random() < 0.5):
            arrived.append(waiting.pop(self.disorder.randrange(len(waiting))))
        return arrived

    def function(self, records: Sequence[Record]) -> int | None:
        """See `World`. What is redriven was parked as a stream's record."""
        event = [self._event(record) for record in records]
        changes = decode({"Records": event}, 0)
        branch = settling(self.branch(), lambda asked, _: self.reconcile(asked))
        ends = branch.apply(changes, self.deadline())
        self.tied += sum(end.metric == TIED.metric for end in ends)
        self.parked += [record for record, end in zip(records, ends, strict=True) if end.status is Status.PARKED]
        return next((at for at, end in enumerate(ends) if end.status is Status.FAILED), None)

    def request(self, record: Record) -> Reconcile:
        """See `World`."""
        asked = super().request(record)
        return Reconcile(asked.keys, self._micros(record), asked.removed, asked.expired)

    def _event(self, record: Record) -> Record:
        bare = {name: each for name, each in record.items() if name != "distributary"}
        by_kinesis = delivered(written(bare, SOURCE, self._micros(record)), self._place(bare))
        return {**plain(by_kinesis), "distributary": record["distributary"]} if bare != record else by_kinesis

    def _place(self, record: Record) -> int:
        return next(at for at, each in enumerate(self.records) if each["eventID"] == record["eventID"])

    def _micros(self, record: Record) -> int:
        """Never before that of the record before it."""
        times = [int(each["dynamodb"]["ApproximateCreationDateTime"] * 1_000_000) for each in self.records]
        last = max(times[: self._place(record) + 1])
        return last - last % self.tick


def _name(record: Record) -> str:
    name: str = record["dynamodb"]["Keys"]["id"]["S"]
    return name


class RegionsByKinesis(Mesh):
    """Each region's table writes its changes into a data stream. Those of one second have few times or many."""

    settles = True

    def __init__(self, seed: int, *arguments: Any, **more: Any) -> None:
        super().__init__(seed, *arguments, **more)
        self.clocks = {region: Random(f"clock {seed} {region}") for region in self.regions}
        self.apart = Random(f"apart {seed}").choice(((0,), (0, 0, 1), (0, 1, 1_000)))
        self.times: dict[str, list[int]] = {region: [] for region in self.regions}

    def event(self, region: str, at: int) -> Record:
        """See `Mesh`."""
        return delivered(written(super().event(region, at), SOURCE, self._micros(region, at)), at)

    def noted(self, region: str, at: int) -> Record:
        """See `Mesh`."""
        record = super().noted(region, at)
        number = f"{self._micros(region, at)}.{at:06}"
        return {**record, "dynamodb": {**record["dynamodb"], "SequenceNumber": number}}

    def request(self, region: str, at: int) -> Reconcile:
        """See `Mesh`."""
        return request(plain(self.event(region, at)))

    def _micros(self, region: str, at: int) -> int:
        """Never before the record before it; and at most `MOST` changes of an item have one time."""
        times, records = self.times[region], self.tables.records_of(region)
        for record in records[len(times) : at + 1]:
            second = int(record["dynamodb"]["ApproximateCreationDateTime"]) * 1_000_000
            found = max(second, times[-1] + self.clocks[region].choice(self.apart) if times else 0)
            alike = [n for n, time in enumerate(times) if time == found and _name(records[n]) == _name(record)]
            times.append(found + (len(alike) >= MOST))
        return times[at]

    def reconciled(self) -> list[tuple[str, int]]:
        """See `Mesh`; or they have the time of another."""
        made = defaultdict[Any, list[tuple[str, int]]](list)
        for region, times in self.times.items():
            for at, each in enumerate(times):
                made[region, _name(self.tables.records_of(region)[at]), each].append((region, at))
        tied = [place for places in made.values() if len(places) > 1 for place in places]
        return [*super().reconciled(), *tied]

    def _waiting(self, region: str) -> list[int]:
        waiting = super()._waiting(region)
        near, far = waiting[:DISTANCE], waiting[DISTANCE:]
        if self.clocks[region].random() < 0.3:
            self.clocks[region].shuffle(near)
        return near + far


class KinesisMesh(RegionsByKinesis):
    """Whole items, written to in every region."""


class KinesisMerging(RegionsByKinesis, Merging):
    """Items that are merged."""


class KinesisViews(ByKinesis, DeriveWorld):
    """Views that any item is taken by: what a view rejects, it keeps as it was, which no reconcile finds."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        names = {each.declared.name for each in self.pooled}
        self.oddities = False
        self.pooled = [each for each in pool(False, self.random.choice((1, 3))) if each.declared.name in names]
        self.views = check([each.declared for each in self.pooled])


class KinesisJoined(ByKinesis, JoinedWorld):
    """Joins of items that share a table."""


class KinesisIndex(ByKinesis, IndexWorld):
    """An OpenSearch index."""


class KinesisMirror(ByKinesis, MirrorWorld):
    """A mirror in another region."""
