"""Changes that were lost are made good by reconciling their keys, beside the stream and beside each other."""

from functools import partial

import pytest

from distributary.consumer.outcome import Status
from tests.scheduler.branches import reconciled
from tests.scheduler.derive import DeriveWorld
from tests.scheduler.derive import KeepingWorld as KeepingViews
from tests.scheduler.effects import SAFE, Faults, late
from tests.scheduler.index import IndexWorld
from tests.scheduler.mirror import KeepingWorld as KeepingMirror
from tests.scheduler.mirror import MirrorWorld
from tests.scheduler.race import delete, deleting, deliver, editing, live, neighbour, put, race, reconcile, repair
from tests.scheduler.runs import deep, play, play_every, seeds
from tests.selection import cut, parts

KINDS = {
    "sums": (DeriveWorld, {"kinds": ("sums",)}),
    "latest": (DeriveWorld, {"kinds": ("newest",)}),
    "moving": (DeriveWorld, {"kinds": ("moving",)}),
    "fixed": (DeriveWorld, {"kinds": ("fixed",)}),
    "index": (IndexWorld, {}),
    "mirror": (MirrorWorld, {}),
}
BEFORE = {
    "a change was lost": [neighbour, put(10), deliver, put(20), put(30)],
    "a change is late": [neighbour, put(10), deliver, put(50)],
    "its only change is late": [neighbour, put(10)],
    "its delete was lost": [neighbour, put(10), deliver, delete],
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_reconcile_and_a_live_change_into_each_of_the_others_calls(kind, before):
    world, more = KINDS[kind]
    play_every(race(world, BEFORE[before], [live, reconcile], **more), deep(1))


@pytest.mark.parametrize("actor", [editing, deleting], ids=["edit", "delete"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_reconcile_and_a_live_write_into_each_of_the_others_calls(kind, actor):
    world, more = KINDS[kind]
    play_every(race(world, [neighbour, put(10), deliver, put(20)], [actor, reconcile], **more), deep(1))


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("kind", KINDS)
def test_two_reconciles_of_one_key_into_each_of_the_others_calls(kind, before):
    world, more = KINDS[kind]
    play_every(race(world, BEFORE[before], [reconcile, reconcile], **more), deep(1))


def again(world):
    """The application makes the item again, its change is lost, and a reconcile sees it."""
    put(30)(world)
    reconcile(world)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reconcile_of_a_deleted_item_spares_what_another_one_has_made(kind):
    world, more = KINDS[kind]
    play_every(race(world, [put(10), deliver, delete], [reconcile, again], **more), deep(1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_reconcile_of_an_item_without_a_row_spares_what_another_one_has_made(kind):
    world, more = KINDS[kind]
    play_every(race(world, [put(10), delete], [reconcile, again], **more), deep(1))


@pytest.mark.parametrize("kind", KINDS)
def test_an_older_change_that_comes_after_a_reconcile_brings_nothing_back(kind):
    world, more = KINDS[kind]

    def then_the_first(world):
        reconcile(world)
        deliver(world, 0)

    play_every(race(world, [put(10), delete], [then_the_first], **more), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_between_two_that_left_the_item_the_same_is_not_undone(kind):
    """Nothing differs when the newest of three is reconciled; the one before it comes after that."""
    world, more = KINDS[kind]

    def then_the_second(world):
        reconcile(world)
        deliver(world, 1)

    play_every(race(world, [put(10), deliver, put(50), put(10)], [then_the_second], **more), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reconcile_that_stalled_never_undoes_one_that_has_seen_a_newer_item(kind):
    """Both stand for the first change, since nobody knows of the second."""
    world, more = KINDS[kind]

    def the_first(world):
        reconcile(world, 0)

    def newer(world):
        put(50)(world)
        reconcile(world, 0)

    play_every(race(world, [put(10)], [the_first, newer], **more), deep(1))


def test_nor_does_one_of_an_index_that_dies_after_its_write(monkeypatch):
    """Each looks once, so that neither sees what its write has done."""
    monkeypatch.setattr("distributary.index.reconcile.LOOKS", 1)

    def the_first(world):
        world.reconcile([world.request(world.records[0])])

    def newer(world):
        put(50)(world)
        the_first(world)

    play_every(race(IndexWorld, [put(10)], [the_first, newer]), deep(1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_tombstone_that_came_late_takes_no_row_of_a_newer_item(kind):
    """Both stand for the delete. The second sees the item made again; then the first change comes once more."""
    world, more = KINDS[kind]

    def then_the_first(world):
        reconcile(world, 1)
        deliver(world, 0)

    def made_again(world):
        put(30)(world)
        reconcile(world, 1)

    play_every(race(world, [put(10), delete], [then_the_first, made_again], **more), deep(1))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", KINDS)
def test_a_write_that_takes_effect_after_its_changes_reconcile_is_superseded(kind):
    """Its client gave it up, Lambda gave the change up, and its key was reconciled meanwhile; the item is there. A row
    that `verify` finds would be left where the item is gone: see test_late_effects.py."""
    world, more = KINDS[kind]

    def given_up(world):
        world.function([world.records[-2]])
        asked = [world.request(world.records[-2])]
        while world.reconcile(asked)[0].status is Status.FAILED:
            world.scheduler.sleep(1.0)

    before = [neighbour, put(10), deliver, put(20), put(30)]
    play_every(race(world, before, [given_up], Faults(1, kinds=(late,)), **more), deep(2))


@parts(3)
def test_lost_changes_are_made_good_by_their_keys_in_views_at_random(part):
    play(partial(reconciled, DeriveWorld, SAFE), cut(seeds(150), part))


@parts(3)
def test_lost_changes_are_made_good_by_their_keys_in_an_index_at_random(part):
    play(partial(reconciled, IndexWorld, (*SAFE, late)), cut(seeds(150), part))


@parts(3)
def test_lost_changes_are_made_good_by_their_keys_in_a_mirror_at_random(part):
    play(partial(reconciled, MirrorWorld, SAFE), cut(seeds(100), part))


@pytest.mark.parametrize("world", [KeepingMirror, KeepingViews], ids=["mirror", "views"])
@parts(3)
def test_what_ttl_took_is_kept_beside_reconciles_and_repairs_at_random(world, part):
    play(partial(reconciled, world, SAFE), cut(seeds(80), part))


def expiring(world):
    """TTL takes the item, and the function hears of it."""
    world.service.expire(TableName="source", Key={"id": {"S": "i0"}})
    deliver(world)


@pytest.mark.parametrize("actor", [reconcile, repair], ids=["reconcile", "repair"])
@pytest.mark.parametrize("world", [KeepingMirror, KeepingViews], ids=["mirror", "views"])
def test_a_delete_by_ttl_beside_a_reconcile_or_a_sweep_leaves_what_is_kept(world, actor):
    """Each into each of the other's calls; the reconcile is asked for the put."""

    def first(world):
        reconcile(world, 0) if actor is reconcile else repair(world)

    kinds = {"kinds": ("fixed", "moving")} if world is KeepingViews else {}
    play_every(race(world, [put(10), deliver], [expiring, first], **kinds), deep(1))
