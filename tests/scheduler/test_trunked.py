"""The trunk's branch, its feeder and its operator at one item, each between the calls of the others."""

import pytest

from distributary.trunk.breaker import CLOSED, Row, State
from tests.scheduler.branches import BRANCHES
from tests.scheduler.race import delete as deletes
from tests.scheduler.race import deleting, deliver, editing, live, neighbour, put, race
from tests.scheduler.runs import deep, play, play_every, seeds
from tests.scheduler.trunked import TrunkedIndex, TrunkedMirror, TrunkedViews, TrunkedWelcome
from tests.selection import cut, parts

KINDS = {
    "sums": (TrunkedViews, {"kinds": ("sums",)}),
    "moving": (TrunkedViews, {"kinds": ("moving",)}),
    "index": (TrunkedIndex, {}),
    "mirror": (TrunkedMirror, {}),
}


def state(world, wanted):
    """Whatever the row was."""
    breakers = world.breakers()
    row = breakers.read()[world.name]
    if row.state is not wanted:
        assert breakers.move(world.name, row, CLOSED if wanted is State.CLOSED else Row(wanted, 1.0))
    world.environments = [world.breakers() for _ in world.environments]


def defer(world):
    """The newest change comes while the breaker is open."""
    state(world, State.OPEN)
    deliver(world)
    state(world, State.CLOSED)


def opened(world):
    """Nobody has tried the branch since."""
    state(world, State.OPEN)


def feed(world):
    """A run, until one gets through."""
    while not world.run_of_feeder():
        world.scheduler.sleep(1.0)


def deferring(world):
    """The newest change comes again, and is deferred again, whatever becomes of the breaker."""
    world.breakers().pause(world.name)
    world.environments = [world.breakers() for _ in world.environments]
    deliver(world)
    world.breakers().resume(world.name)


BEFORE = {
    "a change is deferred": [neighbour, put(10), deliver, put(20), defer, put(30)],
    "its only change is deferred": [neighbour, put(10), defer],
    "its delete is deferred": [neighbour, put(10), deliver, deletes, defer],
    "two are deferred": [neighbour, put(10), defer, put(50), defer],
    "the branch is not called": [neighbour, put(10), deliver, put(20), defer, put(30), opened],
}
LONG = "the branch is not called"
"""Of two runs of the feeder, those that have the most orders."""

TWICE = [each for each in BEFORE if each != LONG]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("kind", KINDS)
def test_feeding_and_a_live_change_into_each_of_the_others_calls(kind, before):
    world, more = KINDS[kind]
    play_every(race(world, BEFORE[before], [live, feed], **more), deep(1))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("actor", [editing, deleting], ids=["edit", "delete"])
@pytest.mark.parametrize("kind", KINDS)
def test_feeding_and_a_live_write_into_each_of_the_others_calls(kind, actor):
    world, more = KINDS[kind]
    play_every(race(world, [neighbour, put(10), deliver, put(20), defer], [actor, feed], **more), deep(1))


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "before", [pytest.param(each, marks=pytest.mark.slow if each == LONG else ()) for each in BEFORE]
)
@pytest.mark.parametrize("kind", KINDS)
def test_two_runs_of_the_feeder_into_each_of_the_others_calls(kind, before):
    """One that takes long is still at work when the next begins."""
    world, more = KINDS[kind]
    play_every(race(world, BEFORE[before], [feed, feed], **more), deep(1))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", KINDS)
def test_feeding_loses_no_change_that_is_deferred_into_its_calls(kind):
    world, more = KINDS[kind]
    play_every(race(world, [neighbour, put(10), defer], [deferring, feed], **more), deep(1))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", ["sums", "index", "mirror"])
def test_an_operator_pauses_and_resumes_into_the_calls_of_trunk_and_feeder(kind):
    def pausing(world):
        world.breakers().pause(world.name)
        world.breakers().resume(world.name)

    world, more = KINDS[kind]
    before = BEFORE["a change is deferred"]
    for actors in ([pausing, feed], [pausing, live]):
        play_every(race(world, before, actors, **more), deep(1))


@pytest.mark.sampled(3)
def test_a_message_is_sent_once_whoever_defers_and_feeds_at_once():
    before = [put(10), deliver]
    for actors in ([feed, feed], [live, feed]):
        play_every(race(TrunkedWelcome, before, actors), deep(1))


def defer_both(world):
    """The newest changes of both items, in one batch."""
    state(world, State.OPEN)
    assert world.function(world.records[-2:]) is None
    state(world, State.CLOSED)


def half(world):
    """A run while the sink takes only one of the items."""
    world.of_one_item = world.down = True
    feed(world)
    world.down = False


@pytest.mark.sampled(3)
@pytest.mark.parametrize("actor", [feed, deferring])
def test_what_a_run_leaves_of_an_object_is_given_by_another(actor):
    before = [put(10, "i1"), put(20), defer_both]
    play_every(race(TrunkedMirror, before, [half, actor]), deep(1))


SAMPLE = {"derive": 40, "index": 60, "mirror": 60, "archive": 60, "welcome": 60}


@parts(4)
@pytest.mark.parametrize("branch", SAMPLE)
def test_whatever_happens_a_branch_in_the_trunk_ends_where_its_source_is(branch, part):
    play(BRANCHES[f"{branch}-trunked"], cut(seeds(SAMPLE[branch]), part))
