"""A source table, a branch on its stream, and everybody who may be at work on either at once."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome, Status
from distributary.consumer.reconcile import Reconcile
from distributary.errors import DistributaryError, Unavailable
from distributary.stream import version as versions
from distributary.stream.records import decode
from tests.fakes.streaming import Record, Streaming, arn_of, streams
from tests.scheduler.choices import Choices
from tests.scheduler.effects import Faults
from tests.scheduler.scheduler import Scheduler
from tests.scheduler.source import Image, Shard, client

SOURCE = "source"
INVOCATION_SECONDS = 27.0


@dataclass(frozen=True)
class Plan:
    """What a world is made of. `edits` of the application, on so many `items`; `repairs` run beside the stream, each a
    whole `verify --repair`; `redrives` are records delivered out of their order; if it `loses`, Lambda gives up records
    for good. Then every item is made anew at the end, so that state branches have what they need: an update that makes
    no difference to a view mends nothing in it. Or, if it `reconciles`, the keys of what was lost are reconciled. See
    `Scheduler` for `coarse`. A `hasty` verification looks again at once, and so takes for wrong what is merely late."""

    items: int = 3
    edits: int = 8
    repairs: int = 0
    redrives: int = 2
    zombies: int = 1
    rewinds: int = 1
    loses: bool = False
    reconciles: bool = False
    shards: int = 2
    faults: Faults | None = None
    coarse: bool = False
    hasty: bool = False


class World:
    """One schedule of one branch. A subclass says how the branch is built, verified, and what is right downstream."""

    schemas: ClassVar[dict[str, dict[str, str]]] = {}

    def __init__(self, seed: int, choices: Choices, plan: Plan) -> None:
        self.seed, self.plan, self.random = seed, plan, Random(f"world {seed}")
        self.scheduler = Scheduler(choices, plan.faults, seed, self.random.choice((0.1, 0.3, 0.6)), plan.coarse)
        stream = streams({SOURCE: arn_of(SOURCE)}, self.random)
        self.service = Streaming({SOURCE: {"id": "S"}, **self.schemas}, stream)
        self.service.now = lambda: self.scheduler.time()
        self.dynamodb = client(self.scheduler, self.service)
        self.pause = 0.0 if plan.hasty else 10.0
        self.names = [f"i{at}" for at in range(plan.items)]
        self.written, self.settled_from = False, 0
        self.held: dict[str, Image] = {}
        self.parked: list[Record] = []
        self.mappings: list[Shard] = []

    @property
    def records(self) -> Sequence[Record]:
        """The source's stream."""
        return self.service.records(SOURCE)

    def run(self) -> None:
        """Plays it. Fails unless what is downstream is right once all is quiet, and again once everything has been
        delivered again in any order."""
        with self.scheduler.machine():
            self.begin()
            for each in self.actors():
                self.scheduler.spawn(*each)
            self.scheduler.run()
            self.scheduler.faults = Faults()
            self.check("once all was quiet")
            again = self.random.sample(self.records, len(self.records))
            self.scheduler.spawn("again", lambda: self.function([r for r in again if r not in self.lost]))
            self.scheduler.run()
            self.check("once everything came again")

    def actors(self) -> list[tuple[str, Any]]:
        """Everybody, by name."""
        plan = self.plan
        self.mappings = [self._shard(number) for number in range(plan.shards)]
        found: list[tuple[str, Any]] = [("application", self.application)]
        found += [(f"mapping {number}", each.run) for number, each in enumerate(self.mappings)]
        found += [(f"repair {number}", self.repairer) for number in range(plan.repairs)]
        found += [("operator", self.operator)] if plan.redrives else []
        return found + ([("redriver", self.redriver)] if plan.reconciles else [])

    @property
    def lost(self) -> list[Record]:
        """Those that Lambda gave up."""
        return [record for each in self.mappings for record in each.lost]

    def begin(self) -> None:
        """What is there before anybody acts."""

    def branch(self) -> Any:
        """As a function's new environment builds it, over this world's clients."""
        raise NotImplementedError

    def verify(self, repair: bool) -> Any:
        """One whole verification; its report."""
        raise NotImplementedError

    def reconcile(self, requests: Sequence[Reconcile]) -> list[Outcome]:
        """The function asked to set these keys right."""
        raise NotImplementedError

    def request(self, record: Record) -> Reconcile:
        """What a redrive asks for the record's item."""
        body, gone, expired = record["dynamodb"], record["eventName"] == "REMOVE", "userIdentity" in record
        return Reconcile(body["Keys"], versions.of(0, int(body["SequenceNumber"])), gone and not expired, expired)

    def check(self, when: str) -> None:
        """Fails unless what is downstream is what the source determines."""
        raise NotImplementedError

    def may_lose(self, record: Record) -> bool:
        """Whether Lambda may give up the record."""
        return True

    def image(self, random: Random) -> Image:
        """An item, without its key."""
        return {"name": {"S": random.choice("xyz")}, "total": {"N": str(random.randrange(4))}}

    def function(self, records: Sequence[Record]) -> int | None:
        """One invocation; the place of the first record that failed."""
        changes = decode({"Records": list(records)}, 0)
        ends = self.branch().apply(changes, self.deadline())
        self.parked += [record for record, end in zip(records, ends, strict=True) if end.status is Status.PARKED]
        return next((at for at, end in enumerate(ends) if end.status is Status.FAILED), None)

    def deadline(self) -> Deadline:
        """Of an invocation that begins now. For a zombie it never comes: nobody would repeat what is left undone."""

        def clock() -> float:
            actor = self.scheduler.current
            return began if actor is not None and actor.spared else self.scheduler.monotonic()

        began = self.scheduler.monotonic()
        return Deadline(began + INVOCATION_SECONDS, clock=clock)

    def application(self) -> None:
        """Writes at any time whatever it likes."""
        random = Random(f"application {self.seed}")
        for _ in range(random.randint(1, self.plan.edits)):
            self.edit(random, random.choice(self.names))
        again = self.plan.loses and not self.plan.reconciles
        self.settled_from = len(self.records) if again else 0
        if again:
            for at, name in enumerate(self.names):
                if (name,) in self.service.state[SOURCE]:
                    World.delete(self, name)
                self.put(name, {**self.image(random), "last": {"N": str(at)}})
                if random.random() < 0.4:
                    self.delete(name)
        self.written = True

    def edit(self, random: Random, name: str) -> None:
        """One write: an item put anew, or changed in one attribute, or deleted."""
        stood = self.service.state[SOURCE].get((name,))
        fresh = self.image(random)
        if stood and random.random() < 0.25:
            self.delete(name)
        elif stood and random.random() < 0.4:
            changed = random.choice(sorted(fresh))
            self.put(name, {**stood, changed: fresh[changed]})
        else:
            self.put(name, fresh)

    def put(self, name: str, image: Image) -> None:
        """A put of the application."""
        self.write("put_item", Item={**image, "id": {"S": name}})

    def delete(self, name: str) -> None:
        """A delete of the application."""
        self.write("delete_item", Key={"id": {"S": name}})

    def write(self, operation: str, **arguments: Any) -> None:
        """A call of the application, which nothing befalls."""
        with self.scheduler.sparing():
            getattr(self.dynamodb, operation)(TableName=SOURCE, **arguments)

    def repairer(self) -> None:
        """An operator's `verify --repair`, at any time; a service that does not answer ends it."""
        self.scheduler.wait(lambda: bool(self.records))
        with suppress(DistributaryError):
            self.verify(repair=True)

    def redriver(self) -> None:
        """Reconciles the keys of what was lost, at any time after it, until nothing is left."""
        random, done = Random(f"redriver {self.seed}"), list[Record]()

        def left() -> list[Record]:
            return [record for record in self.lost if record not in done]

        while True:
            self.scheduler.wait(lambda: bool(left()) or all(each.finished for each in self.mappings))
            if not left():
                return
            chosen = random.sample(left(), random.randint(1, len(left())))
            if self._reconciled([self.request(record) for record in chosen]):
                done += chosen
            else:
                self.scheduler.sleep(1.0)

    def _reconciled(self, requests: Sequence[Reconcile]) -> bool:
        """Whether the function said that all of it is done."""

        def asked() -> bool:
            try:
                return not any(end.status is Status.FAILED for end in self.reconcile(requests))
            except Unavailable:
                return False

        invocation = self.scheduler.spawn("reconcile", asked)
        self.scheduler.wait(lambda: invocation.ended)
        return not invocation.crashed and bool(invocation.result)

    def operator(self) -> None:
        """Redrives records out of their order."""
        random = Random(f"operator {self.seed}")
        for _ in range(random.randint(1, self.plan.redrives)):
            self.scheduler.wait(lambda: self.written or bool(self.records))
            if not self.records:
                return
            record = {**random.choice(self.records), "distributary": {"origin": "redrive"}}
            while not self._redriven(record):
                self.scheduler.sleep(1.0)

    def _redriven(self, record: Record) -> bool:
        """Whether it came through; it stays parked until it has."""
        invocation = self.scheduler.spawn("redrive", lambda: self.function([record]))
        self.scheduler.wait(lambda: invocation.ended)
        return not invocation.crashed and invocation.result is None

    def carried(self, number: int) -> Sequence[Record]:
        """What a shard holds by now, in its order: those of its items."""
        own = {name for at, name in enumerate(self.names) if at % self.plan.shards == number}
        return [record for record in self.records if record["dynamodb"]["Keys"]["id"]["S"] in own]

    def _shard(self, number: int) -> Shard:
        """Items are spread over the shards by name."""
        plan, random = self.plan, Random(f"shard {number} {self.seed}")

        def records() -> Sequence[Record]:
            return self.carried(number)

        def loses(record: Record) -> bool:
            open_ = not self.settled_from or record in self.records[: self.settled_from]
            return plan.loses and open_ and self.may_lose(record) and random.random() < 0.3

        return Shard(
            self.scheduler, records, self.function, random, lambda: self.written, plan.zombies, plan.rewinds, loses
        )


class Expiring(World):
    """Items are often deleted, by the application or by TTL. Only deletes are lost, and only the application's if there
    are repairs: what TTL took while nobody heard of it, nothing can keep. Of TTL's, only those whose item was written
    before by an invocation that did not fold the two, and none is redriven before what came earlier in its shard is
    done: what a reconcile does not see, it cannot keep either."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.alone: list[Record] = []

    @property
    def lost(self) -> list[Record]:
        """See `World`."""
        return [record for each in self.mappings for record in each.lost if record in each.behind]

    def edit(self, random: Random, name: str) -> None:
        """See `World`."""
        if (name,) in self.service.state[SOURCE] and random.random() < 0.4:
            self.delete(name)
        else:
            super().edit(random, name)

    def delete(self, name: str) -> None:
        """By the application or by TTL."""
        if Random(f"{len(self.records)} {self.seed}").random() < 0.6:
            self.scheduler.pause()
            self.service.expire(TableName=SOURCE, Key={"id": {"S": name}})
        else:
            super().delete(name)

    def function(self, records: Sequence[Record]) -> int | None:
        """See `World`."""
        failed = super().function(records)
        last = {_name(record): record for record in records}
        self.alone += [record for record in records[:failed] if last[_name(record)] == record]
        return failed

    def may_lose(self, record: Record) -> bool:
        """See `World`."""
        if record["eventName"] != "REMOVE" or "userIdentity" not in record:
            return record["eventName"] == "REMOVE"
        before = [each for each in self.records[: self.records.index(record)] if _name(each) == _name(record)]
        return not self.plan.repairs and before[-1] in self.alone


def _name(record: Record) -> str:
    return str(record["dynamodb"]["Keys"]["id"]["S"])
