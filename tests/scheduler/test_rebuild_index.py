"""A rebuild of an index beside the stream: whatever comes between its calls, it ends as it is declared now."""

import pytest

from tests.scheduler.branches import index_rebuilt
from tests.scheduler.index_rebuilt import FORMERS, RebuiltIndex, deploy, rebuild
from tests.scheduler.race import delete, deleting, deliver, editing, live, neighbour, put, race, reconcile
from tests.scheduler.runs import deep, play, play_every, seeds

FILLED = [neighbour, put(10), deliver]


@pytest.mark.parametrize("was", FORMERS)
def test_a_rebuild_of_an_index_and_a_live_change_into_each_of_the_others_calls(was):
    play_every(race(RebuiltIndex, [*FILLED, put(50), deploy], [live, rebuild], was=was), deep(1))


@pytest.mark.parametrize("actor", [editing, deleting], ids=["edit", "delete"])
@pytest.mark.parametrize("was", FORMERS)
def test_a_rebuild_of_an_index_and_a_live_write_into_each_of_the_others_calls(was, actor):
    play_every(race(RebuiltIndex, [*FILLED, deploy], [actor, rebuild], was=was), deep(1))


@pytest.mark.parametrize("was", FORMERS)
def test_two_rebuilds_of_an_index_into_each_of_the_others_calls(was):
    play_every(race(RebuiltIndex, [*FILLED, delete, deploy], [rebuild, rebuild], was=was), deep(1))


@pytest.mark.parametrize("was", FORMERS)
def test_a_rebuild_of_an_index_and_a_redrive_into_each_of_the_others_calls(was):
    play_every(race(RebuiltIndex, [*FILLED, put(30), deploy], [reconcile, rebuild], was=was), deep(1))


def test_an_index_that_is_declared_anew_is_rebuilt_beside_the_stream_at_random():
    play(index_rebuilt, seeds(20))
