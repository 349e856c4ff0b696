"""Regions that are all written to: records that were lost are made good by reconciling their keys, beside the stream,
beside the application, and beside each other; each into each of the other's calls."""

from functools import partial

import pytest

from distributary.replicate import by_attribute, last_writer
from distributary.replicate.multi_active.whole_items import Item
from tests.scheduler.branches import regions_reconciled
from tests.scheduler.runs import deep, play, play_every, seeds
from tests.scheduler.test_repairs_of_regions import (
    RULES,
    Race,
    a_delete_is_late,
    all_of_it,
    an_edit_is_late,
    an_edit_was_lost,
    both_edited,
    live,
    nothing_yet,
    repair,
    repair_there,
)
from tests.selection import cut, parts
from tests.simulation.merging import Merging
from tests.simulation.mesh import Mesh
from tests.simulation.regions import request
from tests.unit.edited_regions import EU, US

BY_SECOND = {"whole by second": last_writer(), "merged by second": by_attribute()}
EVERY_RULE = RULES | BY_SECOND


def reconcile(race, *places):
    """An operator redrives records, the newest if none is named, which were parked or lost."""
    records = race.world.tables.records_of(US)
    asked = [request(records[at]) for at in places or (race.newest,)]
    while any(end.status == "Failed" for end in race.world.reconcile(US, *asked)):
        race.scheduler.sleep(1.0)


class Lost(Race):
    """What the stream held before comes by a command alone, unless an actor delivers it."""

    def run(self):
        with self.scheduler.machine():
            self.before(self)
            self.newest = len(self.world.tables.records_of(US)) - 1
            self.world.carried[US] = self.newest + 1
            for actor in self.actors:
                self.scheduler.spawn(actor.__name__, lambda actor=actor: actor(self))
            self.scheduler.run()
            self.settle()
        found = [item and item["value"]["S"] for item in self.world.items()]
        assert found == [self.value] * 2, found


def race(rule, before, actors, value, _, choices):
    return Lost(EVERY_RULE[rule], before, actors, value, choices)


STORIES = {
    "its only change": (nothing_yet, "a"),
    "an edit": (an_edit_is_late, "b"),
    "an edit after one that nobody knows of": (an_edit_was_lost, "c"),
    "both edited": (both_edited, "c"),
    "a delete": (a_delete_is_late, None),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("beside", [live, all_of_it, repair, repair_there])
def test_a_reconcile_and_another_actor_into_each_of_the_others_calls(rule, story, beside):
    before, value = STORIES[story]
    play_every(partial(race, rule, before, [beside, reconcile], value), deep(1))


@pytest.mark.parametrize(
    ("rule", "story"), [(r, s) for r in EVERY_RULE for s in STORIES if r in RULES or s != "both edited"]
)
def test_two_reconciles_of_one_key_into_each_of_the_others_calls(rule, story):
    before, value = STORIES[story]
    play_every(partial(race, rule, before, [reconcile, reconcile], value), deep(1))


def editing(race):
    """The application edits the item, and the function hears of it."""
    race.world.put(US, 8, "new")
    race.carry(US, len(race.world.tables.records_of(US)) - 1)


def editing_there(race):
    race.world.put(EU, 8, "new")
    race.carry(EU, len(race.world.tables.records_of(EU)) - 1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("actor", [editing, editing_there])
def test_a_reconcile_and_a_live_write_into_each_of_the_others_calls(rule, story, actor):
    before, _ = STORIES[story]
    play_every(partial(race, rule, before, [actor, reconcile], "new"), deep(1))


def deleting(race):
    """The application deletes the item, and the function hears of it."""
    race.world.delete(US)
    race.carry(US, len(race.world.tables.records_of(US)) - 1)


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_a_reconcile_and_a_live_delete_into_each_of_the_others_calls(rule):
    play_every(partial(race, rule, an_edit_is_late, [deleting, reconcile], None), deep(1))


def one_time(race):
    """Only their positions tell these edits apart."""
    for value in "abc":
        race.world.put(US, 1, value)


def of_the_first(race):
    reconcile(race, 0)


def newer(race):
    """The application edits the item, nobody knows of that, and a reconcile of the first change sees it."""
    race.world.put(US, 1, "d")
    race.world.carried[US] += 1
    reconcile(race, 0)


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_a_reconcile_that_stalled_never_undoes_one_that_has_seen_a_newer_item(rule):
    play_every(partial(race, rule, one_time, [of_the_first, newer], "d"), deep(1))


@pytest.mark.parametrize("rule", RULES)
def test_a_record_that_comes_after_a_reconcile_never_undoes_what_it_saw(rule):
    """Its edit is older than the row that was read."""

    def of_the_third(race):
        reconcile(race, 2)
        race.deliver(US, race.world.tables.records_of(US)[1:2])

    play_every(partial(race, rule, one_time, [of_the_third], "c"), 0)


def gone(race):
    """An edit was lost, and the record of its item's delete is still to come."""
    nothing_yet(race)
    race.world.delete(US)


def of_the_edit(race):
    reconcile(race, 0)


def made_again(race):
    race.world.tables.clock += 2
    race.world.put(US, 3, "again")
    race.carry(US, 1)


@pytest.mark.parametrize("rule", RULES)
def test_a_reconcile_of_an_item_that_is_gone_spares_one_that_is_made_again(rule):
    play_every(partial(race, rule, gone, [made_again, of_the_edit], "again"), deep(1))


@pytest.mark.parametrize("rule", RULES)
def test_an_edit_of_an_item_that_is_gone_stays_so_in_every_order(rule):
    play_every(partial(race, rule, gone, [of_the_edit, of_the_edit], None), deep(1))


@pytest.mark.parametrize(("rule", "guard"), [("whole", "whole_items.Item"), ("merged", "merged._Item")])
def test_without_the_look_for_the_item_a_reconcile_brings_it_back(rule, guard, monkeypatch):
    monkeypatch.setattr(f"distributary.replicate.multi_active.{guard}._is_gone", lambda *_: False)
    with pytest.raises(AssertionError, match="replay with"):
        play_every(partial(race, rule, gone, [of_the_edit], None), 0)


def test_without_another_look_a_stalled_reconcile_undoes_a_newer_one(monkeypatch):
    """It would write what it had found at its first look."""
    known, first = Item._known, {}

    def once(item, *seen):
        found = yield from known(item, *seen)
        return first.setdefault(id(item), found)

    monkeypatch.setattr(Item, "_known", once)
    with pytest.raises(AssertionError, match="replay with"):
        play_every(partial(race, "whole", one_time, [of_the_first, newer], "d"), 1)


@parts(3)
def test_lost_changes_are_made_good_by_their_records_in_whole_items_at_random(part):
    play(partial(regions_reconciled, Mesh), cut(seeds(60), part))


@parts(3)
def test_lost_changes_are_made_good_by_their_records_in_merged_items_at_random(part):
    play(partial(regions_reconciled, Merging), cut(seeds(60), part))


def test_an_item_put_again_in_the_second_of_its_delete_is_not_taken_for_gone():
    """Another region's row had replaced it before its own record came, and the delete before it removed that row."""
    play(partial(regions_reconciled, Merging), [3_000_126])
