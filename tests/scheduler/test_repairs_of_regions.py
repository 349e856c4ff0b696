"""Regions that are all written to: a repair beside the stream, each into each of the other's calls."""

from functools import partial

import pytest

from distributary.consumer.outcome import Status
from distributary.dynamodb.steps import Call
from distributary.replicate import by_attribute, last_writer
from distributary.stream.records import decode
from tests.scheduler.runs import deep, play_every
from tests.scheduler.scheduler import Scheduler
from tests.unit.edited_regions import EU, FOREVER, US
from tests.unit.edited_regions import World as Edited

KEY = {"id": {"S": "x"}}
RULES = {"whole": last_writer("at", "seconds"), "merged": by_attribute("at", "seconds")}


class Race:
    """What was done before, then actors beside each other. All regions end with `value`; None is no item."""

    def __init__(self, rule, before, actors, value, choices):
        self.scheduler, self.value = Scheduler(choices, None, coarse=True), value
        self.world = Edited(rule, wrap=self.scheduler.client)
        self.before, self.actors = before, actors

    @classmethod
    def of(cls, rule, story, beside, _, choices):
        """A repair beside another actor."""
        before, value = STORIES[story]
        return cls(RULES[rule], before, [beside, repair], value, choices)

    def run(self):
        with self.scheduler.machine():
            self.before(self)
            self.newest = len(self.world.tables.records_of(US)) - 1
            for actor in self.actors:
                self.scheduler.spawn(actor.__name__, lambda actor=actor: actor(self))
            self.scheduler.run()
            self.settle()
        found = [item and item["value"]["S"] for item in self.world.items()]
        assert found == [self.value] * 2, found

    def carry(self, region, since):
        while Status.FAILED in self.world.carry(region, since):
            self.scheduler.sleep(1.0)

    def deliver(self, region, records):
        while any(end.status is Status.FAILED for end in self._apply(region, records)):
            self.scheduler.sleep(1.0)

    def _apply(self, region, records):
        return self.world.branch(region).apply(decode({"Records": records}, 0), FOREVER)

    def settle(self):
        self.world.settle()


def nothing_yet(race):
    race.world.put(US, 1, "a")


def an_edit_is_late(race):
    race.world.put(US, 1, "a")
    race.world.settle()
    race.world.put(US, 2, "b")


def an_edit_was_lost(race):
    an_edit_is_late(race)
    race.world.put(US, 3, "c")


def both_edited(race):
    an_edit_is_late(race)
    race.world.put(EU, 3, "c")


def a_delete_is_late(race):
    race.world.put(US, 1, "a")
    race.world.settle()
    race.world.delete(US)


def live(race):
    """The newest record of the stream, and what comes after it."""
    race.carry(US, race.newest)


def all_of_it(race):
    """Everything again, in order."""
    race.carry(US, 0)


def repair(race):
    race.world.branch(EU).reconcile(KEY, FOREVER)


def repair_there(race):
    race.world.branch(US).reconcile(KEY, FOREVER)


STORIES = {
    "nothing yet": (nothing_yet, "a"),
    "an edit is late": (an_edit_is_late, "b"),
    "an edit was lost": (an_edit_was_lost, "c"),
    "both edited": (both_edited, "c"),
    "a delete is late": (a_delete_is_late, None),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("beside", [live, all_of_it, repair_there])
def test_a_repair_and_another_actor_into_each_of_the_others_calls(rule, story, beside):
    play_every(partial(Race.of, rule, story, beside), deep(1))


def made_and_deleted(race):
    race.world.put(US, 1, "a")
    race.world.delete(US)


def earliest(race):
    """The first record alone, as a function that died before delivers it."""
    race.deliver(US, race.world.tables.records_of(US)[:1])


def a_copy_without_its_record(race):
    """A repair has copied an edit whose record has not come."""
    race.world.put(US, 1, "a")
    repair(race)


def deleting_there(race):
    """The other region's application deletes the copy, and its function hears of that."""
    race.world.delete(EU)
    race.carry(EU, 0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("beside", [live, repair_there])
def test_a_delete_of_a_copy_and_another_actor_into_each_of_the_others_calls(rule, beside):
    actors = [beside, deleting_there]
    play_every(lambda _, choices: Race(RULES[rule], a_copy_without_its_record, actors, None, choices), deep(1))


def newest_there(race):
    race.carry(EU, len(race.world.tables.records_of(EU)) - 1)


def of_one_time(race):
    """Only its record would tell the next edit from it: the digest of this one is greater."""
    race.world.put(US, 1, "c")
    race.world.carried[US] = 1


def edit_that_is_repaired(race):
    race.world.put(US, 1, "d")
    race.world.carried[US] = 2
    repair(race)


@pytest.mark.parametrize("rule", RULES)
def test_a_repair_that_stalled_never_undoes_one_that_has_seen_a_newer_item(rule):
    """Their records are lost."""
    play_every(partial(crossing, rule, of_one_time, [repair, edit_that_is_repaired], "d"), deep(1))


CROSSING = {
    "a put and a later delete": (made_and_deleted, [earliest, live], None),
    "both edited": (both_edited, [live, newest_there], "c"),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("story", CROSSING)
def test_two_functions_into_each_of_the_others_calls(rule, story):
    before, actors, value = CROSSING[story]
    play_every(partial(crossing, rule, before, actors, value), deep(1))


def crossing(rule, before, actors, value, _, choices):
    return Race(RULES[rule], before, actors, value, choices)


def kept_whatever_was_seen(rows, id, content, _, __):
    item = {"id": {"S": id}, **content, "format": {"N": "1"}}
    yield Call(rows.client, "put_item", {"TableName": rows.beside, "Item": item})
    return True


def not_looked_for(_):
    yield from ()


GUARDS = {
    "whole": ("whole_items.Replica.tombstone", not_looked_for, "a put and a later delete"),
    "merged": ("conditional_rows.Rows.keep", kept_whatever_was_seen, "both edited"),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_branch_without_its_guard_is_found_by_this_race(rule, monkeypatch):
    """The look at the tombstone after a put; the condition that a merge state is as it was read."""
    guard, removed, story = GUARDS[rule]
    monkeypatch.setattr(f"distributary.replicate.multi_active.{guard}", removed)
    before, actors, value = CROSSING[story]
    with pytest.raises(AssertionError, match="replay with"):
        play_every(partial(crossing, rule, before, actors, value), 1)
