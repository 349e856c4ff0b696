"""Markers of deletions and their purge, beside writes that come late."""

from contextlib import suppress
from functools import partial

import pytest

from distributary.consumer.deadline import Deadline
from distributary.errors import Unavailable
from distributary.index.opensearch import purge as purging
from tests.scheduler.effects import Faults, late
from tests.scheduler.index import INDEX, IndexWorld
from tests.scheduler.race import deleting, deliver, editing, put, race, repair
from tests.scheduler.runs import deep, play_every


class Marked(IndexWorld):
    """An index whose markers are purged."""

    def check(self, when):
        """Once all was quiet: what is delivered again after the purge is the horizon's to bound."""
        if when == "once all was quiet":
            super().check(when)


def purge(world, days):
    """As the purge function calls it; a service that does not answer ends it until the next day."""
    before = world.scheduler.time() - days * purging.DAY_SECONDS
    with suppress(Unavailable):
        purging.purge(world.search, INDEX.write_alias(0), before, Deadline(world.scheduler.monotonic() + 20))


def purge_beyond_the_horizon(world):
    purge(world, 8.0)


def purge_at_once(world):
    """As if the horizon had passed."""
    purge(world, -1.0)


def lived(world):
    """The item comes and goes, and the function hears of both."""
    put(10)(world)
    deliver(world)
    deleting(world)


@pytest.mark.parametrize("live", [lived, deleting, editing])
def test_a_purge_beside_writes_that_take_effect_late_brings_nothing_back(live):
    before = [] if live is lived else [put(10), deliver]
    play_every(race(Marked, before, [live, purge_beyond_the_horizon], Faults(1, kinds=(late,))), deep(2))


def test_a_purge_never_takes_a_document_that_came_back_to_life():
    """Not even if its request takes effect late, after the item was put anew."""
    play_every(race(Marked, [put(10), deliver, deleting], [editing, purge_at_once], Faults(1, kinds=(late,))), deep(2))


def test_a_purge_that_looked_at_no_sequence_number_would_take_it(monkeypatch):
    monkeypatch.setattr("tests.fakes.opensearch.OpenSearch._writes_since", lambda *_: False)
    with pytest.raises(AssertionError, match="replay with"):
        play_every(race(Marked, [put(10), deliver, deleting], [editing, purge_at_once]), 1)


def test_a_write_later_than_its_markers_purge_is_the_bound_and_repaired():
    """MarkerDays must be longer than any request can be late: beyond it nothing remembers the delete."""
    made = partial(race, Marked, [], faults=Faults(1, kinds=(late,)))
    with pytest.raises(AssertionError, match="replay with"):
        play_every(made(actors=[lived, purge_at_once]), 2)

    def lives_on(world):
        put(10)(world)
        deliver(world)
        world.delete("i0")

    play_every(race(Marked, [lives_on, purge_at_once], [repair]), 0)
