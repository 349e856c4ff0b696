"""A rebuild beside the stream: whatever comes between its calls, the views end as they are declared now."""

import pytest

from tests.scheduler.branches import BRANCHES
from tests.scheduler.race import delete, deleting, deliver, editing, live, neighbour, put, race, reconcile
from tests.scheduler.rebuilt import FORMERS, RebuiltWorld, deploy, rebuild
from tests.scheduler.rebuilt_index import FORMERS as INDEX_FORMERS
from tests.scheduler.rebuilt_index import RebuiltIndexWorld
from tests.scheduler.runs import deep, play, play_every, seeds

KINDS = ("sums", "newest", "moving", "fixed")
FEW = ["where", *(pytest.param(each, marks=pytest.mark.slow) for each in FORMERS if each != "where")]
FILLED = [neighbour, put(10), deliver]


@pytest.mark.parametrize("was", FEW)
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
