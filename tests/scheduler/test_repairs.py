"""A repair beside the stream and beside another repair: each into each of the other's calls, and at random."""

from functools import partial

import pytest

from distributary.dynamodb.steps import Call
from distributary.dynamodb.versioned_table import Register
from tests.scheduler.branches import repaired
from tests.scheduler.derive import DeriveWorld
from tests.scheduler.index import IndexWorld
from tests.scheduler.mirror import MirrorWorld
from tests.scheduler.race import delete, deleting, deliver, editing, live, neighbour, put, race, repair
from tests.scheduler.runs import deep, play, play_every, seeds
from tests.selection import cut, parts
from tests.simulation.merging import Merging
from tests.simulation.mesh import Mesh

BEFORE = {
    "a change was lost": [neighbour, put(10), deliver, put(20), put(30)],
    "a change is late": [neighbour, put(10), deliver, put(50)],
    "its only change is late": [neighbour, put(10)],
}
KINDS = {
    "sums": (DeriveWorld, {"kinds": ("sums",)}),
    "latest": (DeriveWorld, {"kinds": ("newest",)}),
    "top": (DeriveWorld, {"kinds": ("best",)}),
    "ranked": (DeriveWorld, {"kinds": ("ranked",)}),
    "moving": (DeriveWorld, {"kinds": ("moving",)}),
    "fixed": (DeriveWorld, {"kinds": ("fixed",)}),
    "index": (IndexWorld, {}),
    "mirror": (MirrorWorld, {}),
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_repair_and_a_live_change_into_each_of_the_others_calls(kind, before):
    world, more = KINDS[kind]
    play_every(race(world, BEFORE[before], [live, repair], **more), deep(1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_repair_and_a_live_edit_into_each_of_the_others_calls(kind):
    world, more = KINDS[kind]
    play_every(race(world, [neighbour, put(10), deliver, put(20)], [editing, repair], **more), deep(1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_repair_and_a_live_delete_into_each_of_the_others_calls(kind):
    world, more = KINDS[kind]
    play_every(race(world, [put(10)], [deleting, repair], **more), deep(1))


@pytest.mark.parametrize("kind", KINDS)
def test_two_repairs_and_a_live_change_into_each_of_the_others_calls(kind):
    world, more = KINDS[kind]
    play_every(race(world, BEFORE["a change is late"], [live, repair, repair], **more), deep(0))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", KINDS)
def test_a_repair_that_stalled_never_undoes_one_that_has_seen_a_newer_item(kind):
    world, more = KINDS[kind]

    def newer(world):
        put(30)(world)
        repair(world)

    play_every(race(world, [put(10), deliver, put(20)], [repair, newer], **more), deep(1))


def again(world):
    """The application makes the item again, nobody hears of it, and a repair sees it."""
    put(30)(world)
    repair(world)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", KINDS)
def test_a_repair_of_a_dead_row_never_takes_one_that_another_repair_has_kept(kind):
    """The delete is lost as well: one repair sees no item, the other sees it."""
    world, more = KINDS[kind]
    play_every(race(world, [put(10), deliver, delete], [repair, again], **more), deep(1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fixed", "mirror"])
def test_nor_one_that_the_other_repair_is_about_to_settle(kind):
    """It takes two interferences: the other repair has put the row, and has not looked at its tombstone yet."""
    world, more = KINDS[kind]
    play_every(race(world, [put(10), deliver, delete], [repair, again], **more), deep(2))


def unconditionally(register, operation, what, version, **arguments):
    yield Call(register.client, operation, {"TableName": register.table, **arguments})
    return True


def test_without_its_condition_a_repair_of_a_mirror_would_undo_the_stream(monkeypatch):
    """So that the enumeration is known to find what it is there to find."""
    monkeypatch.setattr(Register, "_as_seen", unconditionally)
    monkeypatch.setattr("distributary.replicate.verify.repair.TRIES", 1)
    monkeypatch.setattr("distributary.replicate.reconcile.LOOKS", 1)
    with pytest.raises(AssertionError, match="replay with"):
        play_every(race(MirrorWorld, [put(10), deliver, put(20)], [editing, repair]), 1)


@parts(3)
def test_repairs_beside_the_stream_leave_views_right_at_random(part):
    play(partial(repaired, partial(DeriveWorld, kinds=("spread",)), ()), cut(seeds(80), part))


@parts(3)
def test_repairs_beside_the_streams_leave_regions_right_at_random(part):
    play(lambda seed, choices: Mesh(seed, choices, repairs=1), cut(seeds(60), part))


@parts(3)
def test_repairs_beside_the_streams_leave_merged_regions_right_at_random(part):
    play(lambda seed, choices: Merging(seed, choices, repairs=1, kinds=(), edits=3, regions=2), cut(seeds(100), part))


def test_a_repair_takes_nothing_that_a_row_shows_for_its_regions_own_write():
    """Once these seeds ended with values of another region that it had replaced, or with a tag that it had removed."""
    play(lambda seed, choices: Merging(seed, choices, repairs=1), (94, 395, 544))
