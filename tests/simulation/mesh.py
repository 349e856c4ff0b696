"""One schedule of multi-active: applications edit in every region while each region's function carries its stream."""

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.consumer.reconcile import Reconcile, Reconciler
from distributary.consumer.ties import settling
from distributary.errors import DistributaryError
from distributary.replicate.declarations import MultiActive, check, greatest, last_writer
from distributary.replicate.factory import reconciler
from distributary.replicate.multi_active.conflicts import Conflicts
from distributary.replicate.multi_active.factory import between
from distributary.replicate.verify.recheck_queue import RecheckQueue
from distributary.replicate.verify.regions import comparator
from distributary.replicate.verify.table import Side
from distributary.replicate.verify.verifier import Verify
from distributary.stream import records as stream_records
from distributary.stream.change import REPLICA_VERSION
from tests.fakes import dynamodb
from tests.fakes.faults import Crash
from tests.fakes.s3 import S3
from tests.fakes.serial import Serial
from tests.fakes.streaming import Record
from tests.scheduler.choices import Choices, Seeded
from tests.scheduler.effects import Effect, Faults
from tests.scheduler.scheduler import Scheduler
from tests.simulation.regions import NAMES, Histories, Image, Regions, edit, request
from tests.simulation.schedules import KINDS

FOREVER = Deadline(float("inf"))
NOTHING: Any = None, None
"""Clients and source of a reconciler of several regions, which needs neither."""
RULES = {"at": last_writer("at", "seconds"), "priority": greatest(lambda item: item.get("priority"))}
RULES["second"] = last_writer()


class Services:
    """What a program's calls go to: the tables of all regions and S3."""

    def __init__(self, tables: Regions, s3: S3) -> None:
        self._tables, self._s3 = tables, s3

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._s3 if operation == "put_object" else self._tables, operation)


@dataclass
class Cut:
    """A region's view of the network: calls to tables of a region in `off` are refused."""

    client: Any
    off: set[str]

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            tables = arguments.get("RequestItems") or [arguments.get("TableName", "")]
            if any(table.split("@")[-1] in self.off for table in tables):
                raise copy.copy(dynamodb.THROTTLED)
            return getattr(self.client, operation)(**arguments)

        return call


class Mesh:
    """Everything that one seed brings about; `choices` are the seed's unless others are given. `repairs` are operators
    that each run `verify replica --repair` at any time; `kinds` is what befalls calls. If it `loses`, Lambda gives up
    records, and their keys are reconciled."""

    settles = False
    """Whether functions reconcile what two records do not tell in which order it was made."""

    def __init__(
        self,
        seed: int,
        choices: Choices | None = None,
        repairs: int = 0,
        kinds: tuple[Effect, ...] = KINDS,
        edits: int = 8,
        regions: int | None = None,
        loses: bool = False,
    ) -> None:
        self.repairs, self.kinds, self.loses = repairs, kinds, Random(f"loses {seed}") if loses else None
        self.seed, self.random = seed, Random(seed)
        random = self.random
        self.regions = NAMES[: regions or random.choice((2, 2, 3))]
        self.declared, self.histories = self._ruled()
        check(self.declared)
        self.tables, self.s3 = Regions(self.regions, random), S3("parking")
        self.scheduler = Scheduler(choices or Seeded(seed), seed=seed, turning=random.choice((0.1, 0.5, 0.9)))
        self.client = self.scheduler.client(Services(self.tables, self.s3), dynamodb)
        self.carried: dict[str, set[int]] = {region: set() for region in self.regions}
        self.kept: set[tuple[str, int]] = set()
        self.lost: dict[str, set[int]] = {region: set() for region in self.regions}
        self.redriven: dict[str, set[int]] = {region: set() for region in self.regions}
        self.skew = {region: random.choice((0, 0, 1, -1, 300, -300)) for region in self.regions}
        self.edits = random.randint(1, edits)
        self.items = [f"i{n}" for n in range(random.randint(1, 2))]
        cut = random.sample(self.regions, 2) if random.random() < 0.4 else None
        self.off = {region: {cut[1]} if cut and cut[0] == region else set() for region in self.regions}
        self.conflicts = 0
        self.repeating = random.random() < 0.5
        self.delivered: set[tuple[str, int]] = set()
        self.repeats = 0
        self.in_order = True

    def run(self) -> None:
        """Plays it; fails unless all regions hold what the rule says, and no more was written than it takes."""
        many = self.random.choice((4, 12)) if self.repeating else 0
        self.scheduler.faults = Faults(many, kinds=self.kinds, tears=True)
        programs = [self._application(region) for region in self.regions]
        programs += [self._function(region) for region in self.regions for _ in range(1 + self.repeating)]
        redrivers = [self._redriver(region) for region in self.regions if self.loses]
        self.scheduler.play(*programs, *redrivers, *[self._repair] * self.repairs)
        for region in self.regions:
            self.off[region].clear()
        left = many - len(self.scheduler.faults.had)
        self.scheduler.faults = Faults(min(left, 3), kinds=self.kinds, tears=True)
        while any(self._waiting(region) or self._left(region) for region in self.regions):
            self.scheduler.play(*(self._drain(region) for region in self.regions))
            self.scheduler.play(*(self._redriver(region) for region in self.regions if self._left(region)))
        self.scheduler.faults = Faults(tears=True)
        for _ in range(2 if self.loses or self.repairs or self.settles else 0):
            # A copy whose position was not known, or its tombstone, gets it by the edit's record that comes again; and
            # what another region has of the tombstone, by the delete's record after that.
            self.scheduler.play(*(self._again(region) for region in self.regions))
        written = self.tables.writes
        self.scheduler.play(*(self._again(region) for region in self.regions))
        self._settled(written)

    def _ruled(self) -> tuple[MultiActive, Any]:
        """The declaration, and who tells what it means."""
        by = self.random.choice(("at", "at", "priority", "second"))
        deletes = self.random.choice(("lose", "win")) if by == "at" else "lose"
        declared = MultiActive(regions=self.regions, rule=RULES[by], deletes=deletes)
        return declared, Histories(self.regions, by, deletes)

    def branch(self, region: str, client: Any) -> Any:
        """As app.py puts it together."""
        regions = sorted(self.regions, key=lambda name: name != region)
        tables = {each: (f"items@{each}", f"tombstones@{each}") for each in regions}
        conflicts = Conflicts(client, "parking", self.declared.rule.name, self._count)
        clients = dict.fromkeys(regions, client)
        return between(
            self.declared, clients, tables, 7, REPLICA_VERSION, conflicts, Serial(), lambda: 0.0, lambda _: None
        )

    def event(self, region: str, at: int) -> Record:
        """A record of a region's table, as its function gets it."""
        return self.tables.records_of(region)[at]

    def noted(self, region: str, at: int) -> Record:
        """What the applications' histories are told of a record: its number says when it was made in its region."""
        return self.tables.records_of(region)[at]

    def request(self, region: str, at: int) -> Reconcile:
        """What a redrive asks for, of a record that was given up."""
        return request(self.tables.records_of(region)[at])

    def _reconciler(self, region: str) -> Reconciler:
        return reconciler(self._reaching(region), *NOTHING, 0)

    def _settling(self, region: str) -> Any:
        return settling(self._reaching(region), self._reconciler(region))

    def _reaching(self, region: str) -> Any:
        return self.branch(region, Cut(self.client, self.off[region]))

    def _count(self) -> None:
        self.conflicts += 1

    def _edit(self, client: Any, region: str, name: str) -> None:
        edit(client, self.tables, region, name, self.random, self.skew[region])

    def _application(self, region: str) -> Callable[[], None]:
        def program() -> None:
            for _ in range(self.edits):
                self._edit(_Own(self, region), region, self.random.choice(self.items))
                self.tables.clock += self.random.choice((0, 0, 1, 2))

        return program

    def _repair(self) -> None:
        """An operator's command; a service that does not answer ends it."""
        home, *others = self.random.sample(self.regions, len(self.regions))
        for other in others:
            sides = (Side(self.client, f"items@{region}", name=region) for region in (home, other))
            mending = partial(self.branch(home, self.client).reconcile, deadline=FOREVER)
            looked = comparator(*sides, ("id",), REPLICA_VERSION)
            with suppress(DistributaryError, Crash):
                Verify(looked, RecheckQueue(1.0), Serial(), mending, Serial()).scan(range(1), 1)

    def _waiting(self, region: str) -> list[int]:
        if self.loses is not None:
            self._lose(region, self.loses)
        return [at for at in range(len(self.tables.records_of(region))) if at not in self.carried[region]]

    def _lose(self, region: str, random: Random) -> None:
        """Some records that come are given up, by an invocation that may have done part of its work."""
        for at in range(len(self.tables.records_of(region))):
            if at not in self.carried[region] and (region, at) not in self.kept:
                if random.random() < 0.3:
                    self.lost[region].add(at)
                    self.carried[region].add(at)
                    self.in_order = False
                else:
                    self.kept.add((region, at))

    def _left(self, region: str) -> list[int]:
        return sorted(self.lost[region] - self.redriven[region])

    def _redriver(self, region: str) -> Callable[[], None]:
        """Some commands, each for some of the records that were given up."""

        def program() -> None:
            for _ in range(4):
                left = self._left(region)
                self._redrive(region, self.random.sample(left, self.random.randint(1, len(left))) if left else [])

        return program

    def _redrive(self, region: str, places: list[int]) -> None:
        if not places:
            self.scheduler.pause()
            return
        asked = [self.request(region, at) for at in places]
        try:
            ends = self._reconciler(region)(asked, FOREVER)
        except Crash:
            return
        assert not [end for end in ends if end.status is Status.PARKED]
        self.redriven[region] |= {at for at, end in zip(places, ends, strict=True) if end.status is not Status.FAILED}

    def _function(self, region: str) -> Callable[[], None]:
        """Some batches of what there is: in order, or repeated, or shuffled, or from earlier on."""

        def program() -> None:
            for _ in range(self.edits * 2):
                known = len(self.tables.records_of(region))
                waiting = self._waiting(region)
                batch = waiting[: self.random.choice((1, 3, 10))]
                if self.repeating and known and self.random.random() < 0.3:
                    batch = batch + self.random.choices(range(known), k=2)
                if self.random.random() < 0.2:
                    self.random.shuffle(batch)
                self._deliver(region, batch)

        return program

    def _drain(self, region: str) -> Callable[[], None]:
        def program() -> None:
            while waiting := self._waiting(region):
                self._deliver(region, waiting[: self.random.choice((1, 3, 10))])

        return program

    def _again(self, region: str) -> Callable[[], None]:
        """A rewind to the beginning."""

        def program() -> None:
            every = range(len(self.tables.records_of(region)))
            self._deliver(region, [at for at in every if at not in self.lost[region]])

        return program

    def _deliver(self, region: str, places: list[int]) -> None:
        records = [self.event(region, at) for at in places]
        if not records:
            self.scheduler.pause()
            return
        self.in_order &= all(set(range(at)) <= self.carried[region] | set(places[:n]) for n, at in enumerate(places))
        self.repeats += sum((region, at) in self.delivered for at in places)
        self.delivered |= {(region, at) for at in places}
        changes = stream_records.decode({"Records": records}, 0)
        try:
            ends = self._settling(region).apply(changes, FOREVER)
        except Crash:
            self.carried[region] -= {*places}
            return
        assert not [end for end in ends if end.status is Status.PARKED]
        failed = {at for at, end in zip(places, ends, strict=True) if end.status is Status.FAILED}
        self.carried[region] = (self.carried[region] | {*places}) - failed

    def _settled(self, written: int) -> None:
        """An edit is written once in each other region, and at home if it tells no time; a deletion is a tombstone and
        at most one delete in each region. A record that is delivered again may write again only while a losing edit has
        undone what it wrote."""
        right = self._right()
        said = f"seed {self.seed}"
        for region in self.regions:
            stands = self.tables.items(region)
            assert stands == self.tables.items(self.regions[0]), f"{said}: {region} differs"
            for name, allowed in right.items():
                assert stands.get(name) in allowed, (
                    f"{said}: {region} {name}\n  {stands.get(name)}\n  right\n  {allowed}"
                )
        assert self.tables.writes == written, f"{said}: a rewind wrote {self.tables.writes - written} times"
        edits, deletions = self.histories.edits, self.histories.deletions
        assert self.repairs or self.loses or written <= self._bound(edits, deletions), (
            f"{said}: {written} writes, {edits} edits, {deletions} deletions"
        )

    def _right(self) -> dict[str, tuple[Image | None, ...]]:
        """An edit that is redriven when its item is gone stays so, also where the rule would prefer it to what its
        application put in its place and then deleted. By time that cannot be."""
        right: dict[str, tuple[Image | None, ...]] = self.histories.right(self.in_order)
        if self.declared.rule is not RULES["priority"]:
            return right
        lost = {self.tables.records_of(region)[at]["dynamodb"]["Keys"]["id"]["S"] for region, at in self.reconciled()}
        return {name: (*allowed, None) if name in lost else allowed for name, allowed in right.items()}

    def reconciled(self) -> list[tuple[str, int]]:
        """The records of items that functions or commands reconciled: they were given up."""
        return [(region, at) for region in self.regions for at in self.lost[region]]

    def _bound(self, edits: int, deletions: int) -> int:
        many = len(self.regions)
        places = many - 1 + self.declared.rule.by_stream
        return (edits + self.repeats) * places + deletions * 2 * many


class _Own:
    """The application's client: what it did is noted, and nothing befalls it."""

    def __init__(self, mesh: Mesh, region: str) -> None:
        self._mesh, self._region = mesh, region

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> None:
            mesh = self._mesh
            mesh.scheduler.pause()
            tables = mesh.tables
            before = len(tables.records_of(self._region))
            tables.application = True
            getattr(tables, operation)(**arguments)
            tables.application = False
            for at in range(before, len(tables.records_of(self._region))):
                mesh.histories.note(self._region, mesh.noted(self._region, at))

        return call
