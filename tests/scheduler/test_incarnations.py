"""Broken groups and members, built anew beside the stream: whatever comes between any two calls, all is right."""

import pytest

from tests.scheduler.branches import broken
from tests.scheduler.broken import DAMAGE, BrokenWorld, damaged, mend, mend_whoever_dies
from tests.scheduler.effects import Faults, crash_after, crash_before
from tests.scheduler.race import deleting, deliver, editing, live, neighbour, put, race
from tests.scheduler.runs import deep, play, play_every, seeds

KINDS = ("sums", "newest", "best", "spread")
FILLED = [neighbour, put(10), deliver]
MANY = [each if each == "more" else pytest.param(each, marks=pytest.mark.slow) for each in DAMAGE]


@pytest.mark.parametrize("damage", MANY)
@pytest.mark.parametrize("kind", KINDS)
def test_a_builder_and_a_live_change_into_each_of_the_others_calls(kind, damage):
    before = [*FILLED, damaged(damage), put(50)]
    reads = damage in ("more", "foreign")
    play_every(race(BrokenWorld, before, [live, mend], kinds=(kind,), reads=reads), deep(1))


@pytest.mark.slow
@pytest.mark.parametrize("actor", [editing, deleting], ids=["edit", "delete"])
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_builder_and_a_live_write_into_each_of_the_others_calls(kind, damage, actor):
    play_every(race(BrokenWorld, [*FILLED, damaged(damage)], [actor, mend], kinds=(kind,)), deep(1))


@pytest.mark.parametrize("damage", [pytest.param(each, marks=pytest.mark.slow) for each in DAMAGE])
@pytest.mark.parametrize("kind", KINDS)
def test_two_builders_into_each_of_the_others_calls(kind, damage):
    play_every(race(BrokenWorld, [*FILLED, damaged(damage)], [mend, mend], kinds=(kind,)), deep(1))


@pytest.mark.parametrize("damage", MANY)
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_builder_that_dies_between_any_two_calls_leaves_is_ended(kind, damage):
    faults = Faults(1, 1.0, (crash_before, crash_after))
    play_every(race(BrokenWorld, [*FILLED, damaged(damage)], [mend_whoever_dies], faults, kinds=(kind,)), deep(1))


def test_groups_that_are_broken_at_any_time_are_built_anew_at_random():
    play(broken, seeds(30))
