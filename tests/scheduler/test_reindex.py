"""Readers of an index move beside the stream: what the old index has seen is never undone in the new one."""

import pytest

from distributary.index.opensearch.schema import apply
from tests.scheduler.race import delete, deliver, put, race
from tests.scheduler.reindex import INDEXES, ReindexWorld
from tests.scheduler.runs import deep, play_every


def start(world):
    """An operator's `reindex start`, with the deployment that it asks for."""
    list(world.reindex().start(2))


def late(world):
    """An invocation that Lambda has given up begins only after both generations are written to."""
    world.scheduler.wait(lambda: world.both_from is not None)
    deliver(world, 0)


def changed(world):
    put(20)(world)
    deliver(world)


def removed(world):
    delete(world)
    deliver(world)


def made_again(world):
    removed(world)
    changed(world)


@pytest.mark.parametrize("newer", [changed, removed, made_again])
def test_a_fill_and_an_older_change_into_each_of_the_others_calls(newer):
    """The newer change went to the old index alone."""
    play_every(race(ReindexWorld, [put(10), deliver, newer], [late, start]), deep(1))


@pytest.mark.parametrize("newer", [changed, removed])
def test_a_fill_and_an_older_change_before_and_behind_it(newer):
    def before(world):
        apply(world.engine, INDEXES[1], 1)
        world.both_from = world.scheduler.time()
        deliver(world, 0)
        start(world)

    def behind(world):
        start(world)
        deliver(world, 0)

    for order in (before, behind):
        play_every(race(ReindexWorld, [put(10), deliver, newer], [order]), 0)
