"""A part of what is parked is redriven, beside the stream, beside itself, and beside what is parked meanwhile."""

from datetime import UTC, datetime

import pytest

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import FOREVER
from distributary.consumer.parking import Parking
from distributary.consumer.reconcile import requests
from distributary.errors import Rejected
from distributary.feed.invoke import Feed
from distributary.feed.redrive import Redrive
from distributary.feed.redriven import parts_of_parked, redriven
from distributary.feed.settings import Function
from distributary.feed.task import Task
from distributary.readers.parked import Bucket
from distributary.stream.records import decode
from tests.fakes import s3
from tests.fakes.serial import Serial
from tests.fakes.streaming import arn_of
from tests.scheduler.derive import DeriveWorld
from tests.scheduler.index import IndexWorld
from tests.scheduler.mirror import MirrorWorld
from tests.scheduler.race import delete, deleting, deliver, editing, live, neighbour, put, race
from tests.scheduler.runs import deep, play_every
from tests.scheduler.world import SOURCE

TASK = Task(function="derive", parked=True)
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:derive"
WHY = outcomes.parked(Rejected("only numbers add up"))


class Parked:
    """A world with a parking bucket. Nothing of it is left once everything has been redriven for the last time."""

    def begin(self):
        self.kept = s3.Versioned("parking")
        self.s3 = self.scheduler.client(self.kept, s3)
        self.rejects = False
        super().begin()

    def check(self, when):
        redrive(self)
        assert self.kept.kept == {}, when
        super().check(when)

    def invoke(self, event):
        """The function, asked by a command."""
        asked = requests(event)
        ends = [WHY] * len(asked) if self.rejects else self.reconcile(asked)
        return {"outcomes": [{"status": end.status.value, "cause": end.cause} for end in ends]}


class Views(Parked, DeriveWorld):
    pass


class Documents(Parked, IndexWorld):
    pass


class Replica(Parked, MirrorWorld):
    pass


KINDS = {
    "sums": (Views, {"kinds": ("sums",)}),
    "moving": (Views, {"kinds": ("moving",)}),
    "index": (Documents, {}),
    "mirror": (Replica, {}),
}


def park(world, record=-1):
    """The function rejects a record, the newest if not told otherwise."""
    (entry,) = decode({"Records": [world.records[record]]}, 0)
    assert Parking(world.s3, "parking", "derive", Serial()).park([(entry, WHY)], FOREVER) == [None]


def redrive(world):
    """All parts, as the state machine has them done."""
    stream = arn_of(SOURCE)
    bucket = Bucket(world.s3, "parking", {"derive": Function(FUNCTION, {stream: 0}, {SOURCE: stream}, 7)})
    feed = Feed(world.invoke, world.scheduler.sleep)
    steps = Redrive(bucket, lambda *_: feed, lambda: datetime.fromtimestamp(world.scheduler.time(), UTC))
    for part in parts_of_parked(bucket, "derive"):
        event, more = {"part": part}, True
        while more:
            cursor, more, _ = redriven(event, TASK, steps, FOREVER)
            event = {**event, "cursor": cursor}


BEFORE = {
    "a change is parked": [neighbour, put(10), deliver, put(20), park, put(30)],
    "its only change is parked": [neighbour, put(10), park],
    "its delete is parked": [neighbour, put(10), deliver, delete, park],
    "two are parked": [neighbour, put(10), park, put(50), park],
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_redrive_and_a_live_change_into_each_of_the_others_calls(kind, before):
    world, more = KINDS[kind]
    play_every(race(world, BEFORE[before], [live, redrive], **more), deep(1))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("actor", [editing, deleting], ids=["edit", "delete"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_redrive_and_a_live_write_into_each_of_the_others_calls(kind, actor):
    world, more = KINDS[kind]
    play_every(race(world, [neighbour, put(10), deliver, put(20), park], [actor, redrive], **more), deep(1))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("kind", KINDS)
def test_two_redrives_of_one_part_into_each_of_the_others_calls(kind, before):
    """An invocation whose answer was lost may still run when its part is tried again."""
    world, more = KINDS[kind]
    play_every(race(world, [*BEFORE[before], park], [redrive, redrive], **more), deep(1))


def parking(world):
    """The stream delivers the newest change again, and it is rejected again."""
    park(world)


def rejecting(world):
    """The cause is still there."""
    world.rejects = True
    redrive(world)
    world.rejects = False


@pytest.mark.sampled(3)
@pytest.mark.parametrize("actor", [redrive, rejecting], ids=["succeeds", "fails again"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_redrive_loses_no_change_that_is_parked_into_its_calls(kind, actor):
    world, more = KINDS[kind]
    play_every(race(world, [neighbour, put(10), park], [parking, actor], **more), deep(1))
