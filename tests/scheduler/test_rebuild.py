"""A rebuild beside the stream: whatever comes between its calls, the views end as they are declared now."""

import pytest

from tests.scheduler.branches import BRANCHES
from tests.scheduler.race import delete, deleting, deliver, editing, live, neighbour, put, race, reconcile
from tests.scheduler.rebuilt import FORMERS, RebuiltWorld, deploy, rebuild
from tests.scheduler.rebuilt_index import FORMERS as INDEX_FORMERS
from tests.scheduler.rebuilt_index import RebuiltIndexWorld
from tests.scheduler.rebuilt_joins import FORMERS as JOIN_FORMERS
from tests.scheduler.rebuilt_joins import RebuiltJoins
from tests.scheduler.runs import deep, play, play_every, seeds

KINDS = ("sums", "newest", "moving", "fixed")
FILLED = [neighbour, put(10), deliver]


def mostly_slow(first, every):
    """`make test` takes the first alone."""
    return [first, *(pytest.param(each, marks=pytest.mark.slow) for each in every if each != first)]


@pytest.mark.parametrize("was", mostly_slow("where", FORMERS))
@pytest.mark.parametrize("kind", KINDS)
def test_a_rebuild_and_a_live_change_into_each_of_the_others_calls(kind, was):
    before = [*FILLED, put(50), deploy]
    play_every(race(RebuiltWorld, before, [live, rebuild], kinds=(kind,), was=was), deep(1))


@pytest.mark.slow
@pytest.mark.parametrize("actor", [editing, deleting], ids=["edit", "delete"])
@pytest.mark.parametrize("was", ["name", "key"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_rebuild_and_a_live_write_into_each_of_the_others_calls(kind, was, actor):
    play_every(race(RebuiltWorld, [*FILLED, deploy], [actor, rebuild], kinds=(kind,), was=was), deep(1))


def test_views_that_are_declared_anew_are_rebuilt_beside_the_stream_at_random():
    play(BRANCHES["derive-rebuilt"], seeds(20))


@pytest.mark.parametrize("was", INDEX_FORMERS)
def test_a_rebuild_of_an_index_and_a_live_change_into_each_of_the_others_calls(was):
    play_every(race(RebuiltIndexWorld, [*FILLED, put(50), deploy], [live, rebuild], was=was), deep(1))


@pytest.mark.parametrize("actor", [editing, deleting], ids=["edit", "delete"])
@pytest.mark.parametrize("was", INDEX_FORMERS)
def test_a_rebuild_of_an_index_and_a_live_write_into_each_others_calls(was, actor):
    play_every(race(RebuiltIndexWorld, [*FILLED, deploy], [actor, rebuild], was=was), deep(1))


@pytest.mark.parametrize("was", INDEX_FORMERS)
def test_a_rebuild_of_an_index_and_an_item_made_again_after_a_lost_delete(was):
    play_every(race(RebuiltIndexWorld, [*FILLED, delete, deploy], [editing, rebuild], was=was), deep(1))


@pytest.mark.parametrize("was", INDEX_FORMERS)
def test_two_rebuilds_of_an_index_into_each_of_the_others_calls(was):
    """The delete of an item is lost."""
    play_every(race(RebuiltIndexWorld, [*FILLED, delete, deploy], [rebuild, rebuild], was=was), deep(1))


@pytest.mark.parametrize("was", INDEX_FORMERS)
def test_a_rebuild_of_an_index_and_a_redrive_into_each_of_the_others_calls(was):
    play_every(race(RebuiltIndexWorld, [*FILLED, put(30), deploy], [reconcile, rebuild], was=was), deep(1))


def test_an_index_that_is_declared_anew_is_rebuilt_beside_the_stream_at_random():
    play(BRANCHES["index-rebuilt"], seeds(40))


@pytest.mark.slow
@pytest.mark.parametrize("was", FORMERS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_rebuilds_into_each_of_the_others_calls(kind, was):
    before = [*FILLED, delete, deploy]
    play_every(race(RebuiltWorld, before, [rebuild, rebuild], kinds=(kind,), was=was), deep(1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_rebuild_and_a_redrive_into_each_of_the_others_calls(kind):
    before = [*FILLED, put(30), deploy]
    play_every(race(RebuiltWorld, before, [reconcile, rebuild], kinds=(kind,), was="name"), deep(1))


JOINS = ("left", "owned", "country")


def side(id, /, **values):
    """The application puts an item of either side of a join; nobody delivers it."""

    def step(world):
        world.put(id, {each: {"S": value} for each, value in values.items()})

    return step


def edited(id, /, **values):
    """The application puts it, and the function hears of it."""

    def step(world):
        side(id, **values)(world)
        deliver(world)

    return step


ORDER = {"buyer": "c0", "total": "1", "status": "open"}
JOINED = [edited("c0", name="x", country="uk"), edited("o0", **ORDER), edited("c1", name="y", country="fr")]
SIDES = {
    "left edited": edited("o0", **ORDER | {"total": "2"}),
    "left moved": edited("o0", **ORDER | {"buyer": "c1"}),
    "right edited": edited("c0", name="z", country="fr"),
}


@pytest.mark.parametrize("changed", mostly_slow("right edited", SIDES))
@pytest.mark.parametrize("was", mostly_slow("kind", JOIN_FORMERS))
@pytest.mark.parametrize("kind", JOINS)
def test_a_rebuild_of_a_join_and_a_write_into_each_of_the_others_calls(kind, was, changed):
    play_every(race(RebuiltJoins, [*JOINED, deploy], [SIDES[changed], rebuild], kinds=(kind,), was=was), deep(1))


def test_a_join_that_needs_no_subscriptions_any_more_leaves_none():
    """The ledger's row names a subscription until the row and it are written anew."""
    before = [*JOINED, deploy, SIDES["left edited"]]
    play_every(race(RebuiltJoins, before, [rebuild], kinds=("owned",), was="kind"), deep(0))


def test_joins_that_are_declared_anew_are_rebuilt_beside_the_stream_at_random():
    play(BRANCHES["derive-joined-rebuilt"], seeds(40))
