"""A branch in the trunk: its sink is down for up to 30 hours, for every item or for one; an operator pauses it, and a
feeder gives it what was deferred."""

import json
from collections.abc import Callable, Sequence
from random import Random
from types import SimpleNamespace
from typing import Any, ClassVar

from distributary.consumer.consume import applied
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.reconcile import OURS, answer, requests
from distributary.consumer.replay import entries as replayed
from distributary.consumer.replay import is_known as is_replay
from distributary.consumer.streams import Streams
from distributary.derive import check
from distributary.errors import Unavailable
from distributary.feed.invoke import Feed
from distributary.feed.settings import Function
from distributary.stream.change import Kind
from distributary.stream.records import decode
from distributary.trunk.breaker import Breakers, State
from distributary.trunk.deferred import Deferral, Store
from distributary.trunk.feeder import ONCE, RUN_SECONDS, Feeder
from distributary.trunk.trunk import Always, Limb
from tests.fakes import dynamodb, opensearch, s3
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.s3 import S3
from tests.fakes.streaming import Record, arn_of
from tests.scheduler.archive import ArchiveWorld
from tests.scheduler.choices import Choices
from tests.scheduler.derive import DeriveWorld
from tests.scheduler.index import IndexWorld
from tests.scheduler.mirror import MirrorWorld
from tests.scheduler.scheduler import Actor
from tests.scheduler.source import client
from tests.scheduler.welcome import WelcomeWorld
from tests.scheduler.world import SOURCE, Plan, World
from tests.simulation.viewpool import pool

AFTER = 60.0
HOUR = 3600.0
OUTAGES = (5.0, 90.0, 900.0, 6 * HOUR, 30 * HOUR)
PAUSES = (0.0, 0.0, 0.0, 1.0, 30.0, 900.0, 5 * HOUR)
"""Between two writes of the application."""

ENVIRONMENTS = 2
OVERLAPPING = 3
"""Runs of the feeder: one begins each minute, and its timeout is three."""
LAST_RUNS = 40


class Sink:
    """A service that refuses every call that is `of_sink` while its world is `down`."""

    def __init__(self, service: Any, errors: Any, down: Callable[[], bool], of_sink: Callable[[Any], bool]) -> None:
        self._service, self._errors, self._down, self._of_sink = service, errors, down, of_sink

    def __getattr__(self, operation: str) -> Any:
        found = getattr(self._service, operation)
        if not callable(found):
            return Sink(found, self._errors, self._down, self._of_sink)

        def call(**arguments: Any) -> Any:
            if self._down() and self._of_sink(arguments):
                errors = self._errors if operation in _KNOWN else getattr(self._errors, "READS", self._errors)
                raise errors.BROKEN
            return found(**arguments)

        return call


_KNOWN = {"put_item", "delete_item", "update_item", "transact_write_items", "bulk", "put_object", "get_many"}


def beyond_the_source(arguments: Any) -> bool:
    """Whether a call of DynamoDB is about another table than the source."""
    named = {arguments.get("TableName", SOURCE), *arguments.get("RequestItems", ())}
    named |= {each["TableName"] for action in arguments.get("TransactItems", ()) for each in action.values()}
    return named != {SOURCE}


class Trunked(World):
    """Beside everybody of a world: outages, pauses, and the feeder. Every invocation of the stream is the trunk's."""

    name: ClassVar[str]

    def __init__(self, seed: int, choices: Choices, plan: Plan, **more: Any) -> None:
        super().__init__(seed, choices, plan, **more)
        self.kept, self.rows = S3("deferred"), DynamoDB({"breakers": {"id": "S"}})
        self.parking = S3("parking")
        self.down, self.disturbed = False, 2
        self.of_one_item = Random(f"outage {seed}").random() < 0.4
        self.store = Store(self.scheduler.client(self.kept, s3), "deferred")
        self.environments: list[Breakers] = [self.breakers() for _ in range(ENVIRONMENTS)]
        self.put_down()

    def put_down(self) -> None:
        """Puts the outage between the branch and its sink."""
        sink = Sink(self.service, dynamodb, self.refuses, self.is_out)
        self.dynamodb = client(self.scheduler, sink)

    def refuses(self) -> bool:
        """Whether the sink is down for the actor that calls. A zombie never meets an outage: nobody would repeat what
        fails in it; see `source.Mapping`."""
        actor = self.scheduler.current
        return self.down and not (actor is not None and actor.spared)

    def is_out(self, arguments: Any) -> bool:
        """Whether an outage is of this call: of every one that is not about the source, or only of those that are about
        the first item."""
        return beyond_the_source(arguments) and (not self.of_one_item or self.names[0] in repr(arguments))

    def breakers(self) -> Breakers:
        """As an environment that begins now knows them."""
        return Breakers(self.scheduler.client(self.rows, dynamodb), "breakers", (self.name,), AFTER)

    def limb(self) -> Limb:
        """The branch in an invocation."""
        telemetry: Any = SimpleNamespace(branch=self.name)
        return Limb(self.trunks(), self.parks(), telemetry, Streams(0), Deferral(self.store, self.name), AFTER)

    def trunks(self) -> Any:
        """The branch as the trunk has it."""
        return self.branch()

    def parks(self, _: str = "") -> Parking:
        """The branch's part of the parking bucket."""
        return Parking(self.scheduler.client(self.parking, s3), "parking", self.name, Parallel(1))

    def function(self, records: Sequence[Record]) -> int | None:
        """See `World`. Of the two environments either may be the one, whatever it knows of the breaker."""
        breakers = self.environments[Random(f"{self.seed} {len(self.scheduler.trace)}").randrange(ENVIRONMENTS)]
        changes = decode({"Records": list(records)}, 0)
        ends = self.limb().deliver(changes, breakers.known()[self.name], breakers, self.deadline())
        self.parked += [record for record, end in zip(records, ends, strict=True) if end.status is Status.PARKED]
        return next((at for at, end in enumerate(ends) if end.status is Status.FAILED), None)

    def actors(self) -> list[tuple[str, Any]]:
        """See `World`."""
        return [*super().actors(), ("outages", self.outages), ("pauses", self.pauses), ("feeder", self.feeding)]

    def edit(self, random: Random, name: str) -> None:
        """See `World`. Some time passes before."""
        self.scheduler.sleep(random.choice(PAUSES))
        super().edit(random, name)

    def outages(self) -> None:
        """Once or twice, at any time."""
        random = Random(f"outages {self.seed}")
        for _ in range(random.randint(1, 2)):
            self.scheduler.sleep(random.choice(PAUSES))
            self.down = True
            self.scheduler.sleep(random.choice(OUTAGES))
            self.down = False
        self.disturbed -= 1

    def pauses(self) -> None:
        """An operator pauses the branch, and resumes it, in every second world."""
        random = Random(f"pauses {self.seed}")
        for _ in range(random.randint(0, 1)):
            self.scheduler.sleep(random.choice(PAUSES))
            self.commanded(lambda: self.breakers().pause(self.name))
            self.scheduler.sleep(random.choice(OUTAGES))
            self.commanded(lambda: self.breakers().resume(self.name))
        self.disturbed -= 1

    def commanded(self, command: Callable[[], Any]) -> None:
        """Until it is through."""

        def tried() -> bool:
            try:
                command()
            except Unavailable:
                return False
            return True

        while True:
            run = self.scheduler.spawn("command", tried)
            self.scheduler.wait(lambda ended=run: ended.ended)
            if not run.crashed and run.result:
                return
            self.scheduler.sleep(1.0)

    def feeding(self) -> None:
        """The scheduled function, until there is nothing to do any more. Runs may overlap, but only as many as begin
        within the function's timeout: with so many, no time passes until one ends."""
        random, runs = Random(f"feeder {self.seed}"), list[Actor]()
        while not self.settled():
            if not self.disturbed and self.rests():
                self.commanded(lambda: self.breakers().resume(self.name))
            runs = [each for each in runs if not each.ended]
            if len(runs) == OVERLAPPING:
                self.scheduler.wait(lambda those=tuple(runs): any(each.ended for each in those))
                continue
            runs.append(self.scheduler.spawn("feeder", self.run_of_feeder))
            self.scheduler.wait(self.settled, random.choice((60.0, 60.0, HOUR)))

    def rests(self) -> bool:
        """Whether the branch is paused: after the last resume, by a request for a pause that was given up and took
        effect late. The operator sees it in the status, and resumes once more."""
        row = self.rows.state["breakers"].get((self.name,))
        return row is not None and row["state"] == {"S": State.PAUSED}

    def settled(self) -> bool:
        """Whether nothing comes any more, and all that came was given."""
        through = self.written and all(each.finished for each in self.mappings)
        return through and not self.disturbed and not self.kept.state

    def run_of_feeder(self) -> bool:
        """One run; whether the bucket answered."""
        try:
            self.feeder().run(self.name, Deadline(self.scheduler.monotonic() + RUN_SECONDS))
        except Unavailable:
            return False
        return True

    def feeder(self) -> Feeder:
        """As its function's new environment builds it."""
        stream = arn_of(SOURCE)
        function = Function("arn:aws:lambda:eu-west-1:123456789012:function:f", {stream: 0}, {SOURCE: stream}, 7)
        feed = Feed(self.invoke, self.scheduler.sleep, ONCE)
        return Feeder(self.store, {self.name: function}, lambda *_: feed, self.parks, self.breakers())

    def invoke(self, event: Any) -> Any:
        """The branch's own function, another process, is given a command."""

        def commanded() -> Any:
            try:
                return self.replay(event[OURS]) if is_replay(event[OURS]) else answer(self.reconcile(requests(event)))
            except Unavailable as error:
                return error

        invocation = self.scheduler.spawn("fed", commanded)
        self.scheduler.wait(lambda: invocation.ended)
        if invocation.crashed or isinstance(invocation.result, Unavailable):
            raise Unavailable("the function ended in an error")
        return invocation.result

    def replay(self, command: Any) -> Any:
        """Of an event branch."""
        return answer(applied(replayed(command, lambda _: 0), self.branch(), self.deadline()))

    def check(self, when: str) -> None:
        """What is deferred is fed before; all of it is taken, and the breaker ends closed or on trial."""
        for _ in range(LAST_RUNS):
            if not self.kept.state and self.breakers().read()[self.name].state is not State.OPEN:
                break
            self.scheduler.spawn("last feeder", self.run_of_feeder, spared=True)
            self.scheduler.run()
            self.scheduler.sleep(61.0)
        assert not self.kept.state, f"{when}: left in the bucket: {list(self.kept.state)}"
        super().check(when)


class TrunkedViews(Trunked, DeriveWorld):
    """No view keeps what TTL takes: that needs the item, which a reconcile reads too late. And none meets an item that
    it cannot take: what it would show meanwhile depends on when the item is read."""

    name = "derive"

    def __init__(self, seed: int, choices: Choices, plan: Plan, **more: Any) -> None:
        super().__init__(seed, choices, plan, **more)
        names = {each.declared.name for each in self.pooled}
        self.pooled = [each for each in pool(False, self.random.choice((1, 3))) if each.declared.name in names]
        self.views = check([each.declared for each in self.pooled])
        self.oddities = False

    def delete(self, name: str) -> None:
        """By the application or by TTL."""
        if Random(f"{len(self.records)} {self.seed}").random() < 0.4:
            self.scheduler.pause()
            self.service.expire(TableName=SOURCE, Key={"id": {"S": name}})
        else:
            super().delete(name)


class TrunkedMirror(Trunked, MirrorWorld):
    """See `Trunked`."""

    name = "replicate"


class TrunkedIndex(Trunked, IndexWorld):
    """See `Trunked`."""

    name = "index"

    def put_down(self) -> None:
        """See `Trunked`."""
        sink = Sink(self.engine, opensearch, self.refuses, lambda _: True)
        self.search = self.scheduler.client(sink, opensearch)


class TrunkedArchive(Trunked, ArchiveWorld):
    """Its own bucket is down, not the one of what is deferred."""

    name = "archive"

    def put_down(self) -> None:
        """See `Trunked`."""
        sink = Sink(self.s3, s3, self.refuses, lambda _: True)
        self.bucket = self.scheduler.client(sink, s3)


class TrunkedWelcome(Trunked, WelcomeWorld):
    """The trunk defers every insert, and the function sends. A message that is too old by then is parked."""

    name = "welcome"

    def trunks(self) -> Any:
        """See `Trunked`."""
        return Always(frozenset({Kind.INSERT}))

    def check(self, when: str) -> None:
        """See `WelcomeWorld`. What the feeder parked, because it is too old by now, is among the parked."""
        self.parked += [json.loads(body)["record"] for body in self.parking.state.values()]
        super().check(when)
