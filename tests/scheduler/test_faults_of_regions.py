"""Two writers of one region, and repairs between regions: small stories of what must not be lost."""

import pytest

from distributary.consumer.outcome import Status
from distributary.replicate import by_attribute, last_writer
from distributary.stream.records import decode
from tests.fakes.faults import Faults, throttled
from tests.unit.edited_regions import AP, EU, FOREVER, US, World

KEY = {"id": {"S": "x"}}


def test_an_edit_after_a_repair_is_carried_though_its_time_is_no_later():
    world = World(last_writer("at", "seconds"))
    world.put(US, 1, "first")
    assert world.branch(US).reconcile(KEY, FOREVER)
    world.put(US, 1, "second")
    world.settle()
    assert world.values() == [{"x": "second"}, {"x": "second"}]


def test_a_repair_carries_an_edit_of_an_old_time_whose_record_is_lost():
    world = World(last_writer("at", "seconds"))
    world.put(US, 1, "first")
    world.settle()
    world.put(US, 1, "second")
    assert world.branch(US).reconcile(KEY, FOREVER)
    assert world.values() == [{"x": "second"}, {"x": "second"}]
    world.settle()
    assert world.values() == [{"x": "second"}, {"x": "second"}]


def test_a_late_edit_never_replaces_a_later_one_that_a_repair_has_copied():
    world = World(last_writer("at", "seconds"))
    world.put(US, 1, "first")
    world.put(US, 1, "second")
    assert world.branch(US).reconcile(KEY, FOREVER)
    first, second = decode({"Records": world.tables.records_of(US)}, 0)
    for change in (second, first):
        world.branch(US).apply([change], FOREVER)
    assert world.values() == [{"x": "second"}, {"x": "second"}]
    writes = world.tables.writes
    world.branch(US).apply([first, second], FOREVER)
    assert world.tables.writes == writes


def test_an_edit_of_a_copy_is_no_conflict_where_the_copys_record_has_come():
    faults = Faults()
    world = World(last_writer("at", "seconds"), (US, EU, AP), wrap=faults)
    world.put(US, 1, "first")
    assert world.branch(US).reconcile(KEY, FOREVER)
    faults.when(lambda _, arguments: f"items@{EU}" in (arguments.get("RequestItems") or {}), throttled)
    assert world.carry(US) == [Status.FAILED]
    faults.cease()
    world.update(EU, 2, value={"S": "second"})
    assert world.carry(EU, len(world.tables.records_of(EU)) - 1) == [Status.APPLIED]
    assert (world.values(), world.conflicts) == ([{"x": "second"}] * 3, 0)


def test_a_late_edit_never_revives_an_item_whose_copy_was_deleted():
    world = World(last_writer("at", "seconds"))
    world.put(US, 1, "first")
    world.put(US, 1, "second")
    assert world.branch(US).reconcile(KEY, FOREVER)
    world.delete(EU)
    world.carry(EU, 1)
    first, second = decode({"Records": world.tables.records_of(US)[:2]}, 0)
    for change in (second, first):
        world.branch(US).apply([change], FOREVER)
    assert world.items() == [None, None]


def test_the_tombstone_of_a_copy_gets_its_position_once():
    """By the edit's record, when that comes again after the delete of the copy."""
    world = World(last_writer("at", "seconds"))
    world.put(US, 1, "first")
    assert world.branch(US).reconcile(KEY, FOREVER)
    world.delete(EU)
    world.carry(US)
    world.carry(EU, 1)
    world.settle()
    wrote = []
    for _ in range(2):
        before = world.tables.writes
        for region in (US, EU):
            world.carry(region, 0)
        wrote.append(world.tables.writes - before)
    assert (wrote, world.items()) == ([2, 0], [None, None])


def test_a_delete_of_what_a_repair_copied_outranks_the_edits_own_record():
    world = World(last_writer("at", "seconds"))
    world.put(US, 1, "first")
    assert world.branch(US).reconcile(KEY, FOREVER)
    world.delete(EU)
    world.carry(EU, 1)
    world.carry(US, 0)
    world.settle()
    assert world.items() == [None, None]


@pytest.mark.parametrize("rule", [last_writer("at"), by_attribute("at")])
def test_a_repair_ends_the_delete_of_what_another_region_made(rule):
    faults = Faults()
    world = World(rule, wrap=faults)
    world.put(EU, 1, "first")
    world.settle()
    world.delete(US)
    faults.when(lambda _, arguments: f"items@{EU}" in (arguments.get("RequestItems") or {}), throttled)
    assert world.carry(US) == [Status.FAILED]
    faults.cease()
    assert world.branch(EU).reconcile(KEY, FOREVER)
    assert world.items() == [None, None]


def test_a_repair_deletes_no_attribute_of_which_the_rows_writer_never_knew():
    """EU's writer puts the item before anything reaches EU; its record is lost."""
    world = World(by_attribute("at", "seconds", counters=("visits",)))
    world.put(US, 1, "v", note={"S": "n"}, **visits(1))
    world.put(EU, 2, "w")
    world.carry(US)
    assert world.branch(EU).reconcile(KEY, FOREVER)
    expected = {"at": {"N": "2"}, "value": {"S": "w"}, "note": {"S": "n"}, **visits(1)}
    assert world.items() == [expected, expected]


def visits(many):
    return {"visits": {"M": {US: {"N": str(many)}}}}


def test_a_counter_keeps_what_a_writer_added_whose_clock_is_behind():
    world = World(by_attribute("at", "milliseconds", counters=("visits",)))
    world.put(US, 1002, "v", **visits(1))
    world.carry(US)
    world.update(US, 1000, **visits(2))
    world.settle()
    assert [item["visits"] for item in world.items()] == [visits(2)["visits"]] * 2
    assert world.items()[0] == world.items()[1], EU


def test_an_older_write_that_comes_late_never_undoes_its_regions_later_one():
    world = World(by_attribute("at", "milliseconds", counters=("visits",)))
    world.put(US, 1002, "v", **visits(1))
    world.update(US, 1000, **visits(2))
    world.carry(US, 1)
    world.carry(US, 0)
    world.settle()
    assert [item["visits"] for item in world.items()] == [visits(2)["visits"]] * 2


def test_a_delete_by_a_writer_whose_clock_is_behind_deletes():
    world = World(by_attribute("at", "milliseconds"))
    world.put(US, 1002, "v")
    world.update(US, 1000, value={"S": "w"})
    world.delete(US)
    world.settle()
    assert world.items() == [None, None]


@pytest.mark.parametrize(("made", "deleted"), [(US, EU), (EU, US)])
@pytest.mark.parametrize("rule", [by_attribute("at"), by_attribute(), last_writer("at"), last_writer()])
def test_an_item_made_again_where_it_was_deleted_is_carried(rule, made, deleted):
    """The two regions' streams number their records by themselves, so the numbers say nothing about each other."""
    world = World(rule)
    world.put(made, 1, "first")
    world.settle()
    world.delete(deleted)
    world.settle()
    world.tables.clock += 1
    world.put(deleted, 2, "again")
    world.settle()
    assert world.values() == [{"x": "again"}] * 2
