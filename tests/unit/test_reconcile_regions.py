"""Items of several regions are set right by a command, from what is there now and what lost records tell."""

import pytest

from distributary.consumer.consume import consume
from distributary.consumer.outcome import APPLIED, SUPERSEDED, Status
from distributary.consumer.reconcile import Reconcile
from distributary.dynamodb.read_budget import Pace
from distributary.errors import ConfigError
from distributary.replicate import custom, greatest
from distributary.replicate.factory import reconciler
from distributary.replicate.multi_active.reconcile import NO_RECORD, UNTIMED, RegionsReconciler
from distributary.stream import version as versions
from tests.fakes.faults import Faults, throttled
from tests.simulation.regions import request
from tests.unit.branches import Context
from tests.unit.edited_regions import ALL, AP, EU, FOREVER, RULES, US, World
from tests.unit.test_reconcile_command import command, deployed

KEY = {"id": {"S": "x"}}


@ALL
def test_a_lost_edit_is_carried_and_a_second_command_writes_nothing(rule):
    world = World(rule, (US, EU, AP))
    world.put(US, 1, "a")
    assert world.redrive(US) == [APPLIED]
    assert world.values() == [{"x": "a"}] * 3
    writes = world.tables.writes
    assert world.redrive(US) == [SUPERSEDED]
    assert world.tables.writes == writes


@ALL
@pytest.mark.parametrize("made", [US, EU])
def test_a_lost_delete_deletes_what_it_saw_whichever_region_made_it(rule, made):
    world = World(rule)
    world.put(made, 1, "a")
    world.settle()
    world.delete(US)
    assert world.redrive(US) == [APPLIED]
    assert world.values() == [{}, {}]
    assert world.redrive(US) == [SUPERSEDED]


@ALL
def test_a_lost_delete_deletes_another_regions_edit_whatever_their_positions(rule):
    """Each stream numbers its records by itself: those of the first region are the greater ones."""
    world = World(rule)
    world.put(US, 1, "a")
    world.settle()
    world.tables.clock += 1
    world.delete(EU)
    assert world.redrive(EU) == [APPLIED]
    assert world.values() == [{}, {}]


def test_a_lost_delete_of_what_a_repair_copied_deletes_the_edit_itself():
    """The edit's own record comes between the two, and does not find the copy any more."""
    world = World(RULES["whole"])
    world.put(EU, 1, "a")
    assert world.reconcile(US, Reconcile(KEY)) == [APPLIED]
    world.delete(US)
    world.deliver(EU, 0)
    assert world.redrive(US, 1) == [APPLIED]
    assert world.values() == [{}, {}]


@ALL
def test_a_lost_delete_spares_a_later_edit_that_it_never_saw(rule):
    world = World(rule)
    world.put(US, 1, "a")
    world.settle()
    world.tables.clock += 1
    world.delete(US)
    world.tables.clock += 1
    world.put(EU, 5, "b")
    assert world.redrive(US) == [APPLIED]
    world.settle()
    assert world.values() == [{"x": "b"}] * 2


@ALL
def test_a_lost_delete_still_deletes_what_it_saw_after_a_later_delete(rule):
    """The later one deleted another item that this region made meanwhile, of an earlier time."""
    world = World(rule)
    world.put(EU, 9, "a")
    world.settle()
    world.delete(US)
    world.put(US, 1, "b")
    world.delete(US)
    world.carry(US, 2)
    world.settle()
    world.redrive(US, 1)
    world.settle()
    assert world.values() == [{}, {}]
    assert world.redrive(US, 1) == [SUPERSEDED]


def test_an_edit_that_comes_again_stays_before_the_one_a_reconcile_read():
    """All three are of one second. The row is the last of them, and told no time when the first was redriven."""
    world = World(RULES["by second"])
    world.put(EU, 1, "a")
    world.put(EU, 1, "b")
    world.deliver(EU, 1)
    world.put(EU, 1, "c")
    last = len(world.tables.records_of(EU)) - 1
    assert world.redrive(EU, 0) == [APPLIED]
    world.deliver(EU, 1)
    world.deliver(EU, last)
    world.settle()
    assert world.values() == [{"x": "c"}] * 2
    writes = world.tables.writes
    world.deliver(EU, 0, 1, last)
    assert (world.values(), world.tables.writes) == ([{"x": "c"}] * 2, writes)


def test_a_lost_delete_spares_what_its_region_put_later_in_its_second():
    """What it deleted was of that second as well, so the delete is right after it."""
    world = World(RULES["by second"])
    world.put(EU, 1, "a")
    world.settle()
    world.delete(US)
    world.put(US, 1, "b")
    lost, after = (len(world.tables.records_of(US)) - each for each in (2, 1))
    world.deliver(US, after)
    world.redrive(US, lost)
    world.settle()
    assert world.values() == [{"x": "b"}] * 2
    writes = world.tables.writes
    world.deliver(US, lost, after)
    assert (world.values(), world.tables.writes) == ([{"x": "b"}] * 2, writes)


def copied(world):
    """An item that was deleted and made again in one region, of which the other one has a copy from a repair, before
    any record."""
    world.put(EU, 1, "a")
    world.delete(EU)
    world.put(EU, 1, "b")
    assert world.reconcile(US, Reconcile(KEY)) == [APPLIED]
    assert world.values() == [{"x": "b"}] * 2


@pytest.mark.parametrize("order", [("old", "delete", "new"), ("old", "new", "delete"), ("delete", "old", "new")])
def test_the_delete_of_a_copy_is_known_beside_the_delete_of_an_older_edit(order):
    """Nobody knows the copy's position until its edit's record comes."""
    world = World(RULES["whole"])
    copied(world)
    world.delete(US)
    gone = len(world.tables.records_of(US)) - 1
    steps = {"old": (EU, 0, 1), "new": (EU, 2), "delete": (US, gone)}
    for step in order:
        world.deliver(*steps[step])
    assert world.values() == [{}, {}]
    world.settle()
    assert world.values() == [{}, {}]
    writes = world.tables.writes
    for step in order:
        world.deliver(*steps[step])
    assert world.tables.writes == writes


@pytest.mark.parametrize("places", [(0, 1), (1, 0)])
def test_an_older_edit_leaves_nothing_beside_the_delete_of_a_copy(places):
    """Its delete may come before it."""
    world = World(RULES["whole"])
    copied(world)
    world.delete(US)
    world.deliver(US, len(world.tables.records_of(US)) - 1)
    for place in places:
        world.deliver(EU, place)
    assert world.values()[0] == {}


def test_a_crash_between_a_copys_mark_and_its_delete_is_mended_by_redelivery():
    faults = Faults()
    world = World(RULES["whole"], wrap=faults)
    copied(world)
    faults.when(lambda operation, _: operation == "delete_item", throttled)
    world.deliver(EU, 1)
    assert world.values() == [{"x": "b"}] * 2
    faults.cease()
    world.deliver(EU, 1)
    assert world.values() == [{}, {"x": "b"}]
    world.carry(US)
    world.deliver(EU, 2)
    world.settle()
    assert world.values() == [{"x": "b"}] * 2


def test_an_edit_between_a_copys_mark_and_its_delete_stays():
    world = World(RULES["whole"])
    copied(world)
    delete = world.tables.delete_item

    def edited(**given):
        if given["TableName"] == f"items@{US}":
            world.tables.delete_item = delete
            world.put(US, 5, "c")
        return delete(**given)

    world.tables.delete_item = edited
    world.deliver(EU, 1)
    assert world.values()[0] == {"x": "c"}
    world.deliver(EU, 2)
    world.settle()
    assert world.values() == [{"x": "c"}] * 2


def test_a_copy_that_a_replicator_deletes_comes_back_with_its_edits_record():
    world = World(RULES["whole"])
    copied(world)
    world.deliver(EU, 1)
    assert world.values() == [{}, {"x": "b"}]
    world.carry(US)
    assert world.values() == [{}, {"x": "b"}]
    world.deliver(EU, 2)
    world.settle()
    assert world.values() == [{"x": "b"}] * 2


@pytest.mark.parametrize(("edits", "left"), [(["b"], {"x": "a"}), ([], {})])
def test_a_replicators_record_never_says_that_its_item_was_deleted(edits, left):
    """An edit of an earlier time may have replaced it, and brings it back; or the delete's own record says so."""
    world = World(RULES["whole"])
    world.put(US, 9, "a")
    world.carry(US)
    for value in edits:
        world.put(EU, 1, value)
    world.delete(EU)
    world.redrive(EU, 0)
    world.carry(EU, 1)
    world.settle()
    assert world.values() == [left] * 2


def test_a_delete_whose_item_a_reconcile_found_gone_deletes_all_of_its_second():
    """The reconcile does not know when it went: the delete's own record tells. Another region's edit of the same time,
    which wins over the deleted one, goes as well where deletes win."""
    world = World(RULES["whole"], deletes="win")
    world.put(EU, 1795341600, "a")
    world.delete(EU)
    assert world.redrive(EU, 0) == [APPLIED]
    world.put(US, 1795341600, "b")
    world.carry(US)
    assert world.values() == [{"x": "b"}] * 2
    assert world.deliver(EU, 1) == ["Applied"]
    world.settle()
    assert world.values() == [{}, {}]
    writes = world.tables.writes
    world.deliver(EU, 1)
    assert world.tables.writes == writes


def test_a_delete_that_loses_adds_nothing_to_what_a_reconcile_found_gone():
    """Then it covers the item alone, as the reconcile has said."""
    world = World(RULES["whole"])
    world.put(EU, 1, "a")
    world.delete(EU)
    assert world.redrive(EU, 0) == [APPLIED]
    writes = world.tables.writes
    world.deliver(EU, 1)
    assert (world.values(), world.tables.writes) == ([{}, {}], writes)


def test_what_a_replicator_takes_back_covers_no_second():
    """A replicator that was late had put the item there again."""
    world, now = World(RULES["whole"], deletes="win"), 1795341600
    world.put(EU, now, "a")
    world.carry(EU)
    (copy,) = world.tables.state[f"items@{US}"].values()
    world.delete(EU)
    assert world.redrive(EU, 0) == [APPLIED]
    world.tables.clock += 10
    world.tables.put_item(TableName=f"items@{EU}", Item=copy)
    world.tables.delete_item(TableName=f"items@{EU}", Key=KEY)
    world.put(US, now + 5, "b")
    world.carry(US)
    world.carry(EU)
    world.settle()
    assert world.values() == [{"x": "b"}] * 2


def test_an_edit_before_a_delete_does_nothing_once_an_earlier_is_redriven():
    world = World(RULES["merged"])
    world.put(EU, 9, "a")
    world.settle()
    world.delete(US)
    world.put(US, 10, "b", more={"S": "m"})
    world.delete(US)
    world.put(US, 11, "c")
    world.carry(US, 2)
    world.redrive(US, 1)
    shown, writes = world.items(), world.tables.writes
    world.deliver(US, 2)
    assert (world.items(), world.tables.writes) == (shown, writes)
    world.settle()
    assert [item["value"] for item in world.items()] == [{"S": "c"}] * 2


@ALL
def test_an_edit_whose_item_is_gone_by_now_is_a_delete(rule):
    """Nobody knows of the delete, and what was remembered of the item has expired."""
    world = World(rule)
    world.put(US, 1, "a")
    world.carry(US)
    world.put(US, 2, "b")
    world.delete(US)
    for region in (US, EU):
        world.tables.state[f"tombstones@{region}"].clear()
    assert world.redrive(US, -2) == [APPLIED]
    assert world.values() == [{}, {}]


@ALL
def test_the_image_of_a_change_is_never_written_over_a_later_item(rule):
    world = World(rule)
    world.put(US, 1, "sentinel")
    world.tables.clock += 1
    world.put(US, 2, "b")
    assert world.redrive(US, 0) == [APPLIED]
    assert world.values() == [{"x": "b"}] * 2
    images = [each["dynamodb"].get("NewImage", {}).get("value") for each in world.tables.records_of(EU)]
    assert "by_attribute" in rule.name or {"S": "sentinel"} not in images


@ALL
def test_several_changes_of_an_item_are_told_in_their_order(rule):
    world = World(rule)
    world.put(US, 1, "a")
    world.settle()
    world.put(US, 2, "b")
    world.delete(US)
    world.tables.clock += 1
    world.put(US, 3, "c")
    assert world.redrive(US, -1, -3, -2) == [APPLIED] * 3
    world.settle()
    assert world.values() == [{"x": "c"}] * 2


@ALL
def test_an_older_change_that_comes_after_a_reconcile_does_nothing(rule):
    world = World(rule)
    for value in "abc":
        world.put(US, 1, value)
    assert world.redrive(US, 1) == [APPLIED]
    assert world.values() == [{"x": "c"}] * 2
    writes = world.tables.writes
    world.deliver(US, 0, 1)
    assert world.values() == [{"x": "c"}] * 2
    assert "by_attribute" in rule.name or world.tables.writes == writes


@pytest.mark.parametrize("known", [US, EU])
def test_a_lost_insert_goes_if_another_regions_delete_of_its_second_wins(known):
    """Its row tells no time until its record does. So the tombstone alone, wherever it is, does not delete the row."""
    world = World(RULES["by second"])
    world.put(US, 1, "a")
    world.delete(US)
    world.put(EU, 1, "b")
    world.carry(US, 1)
    world.tables.state[f"tombstones@{EU if known == US else US}"].clear()
    assert world.redrive(EU) == [APPLIED]
    world.settle()
    assert world.values() == [{}, {}]
    assert world.redrive(EU, 0) == [SUPERSEDED]


def test_a_record_that_a_replicator_made_waits_for_no_row_without_a_time():
    """That row's own record is still to come. Until then nobody writes over it."""
    world = World(RULES["by second"], (US, EU, AP))
    world.put(US, 1, "a")
    world.settle()
    world.tables.state[f"items@{AP}"].clear()
    world.tables.clock += 1
    world.put(US, 2, "b")
    assert world.redrive(EU, 0) == [APPLIED]
    assert world.values() == [{"x": "b"}, {"x": "a"}, {"x": "a"}]
    world.settle()
    assert world.values() == [{"x": "b"}] * 3


def test_a_lost_edit_that_is_undone_brings_back_what_it_replaced():
    """By now no region has that: only the record shows it."""
    world = World(RULES["whole"])
    world.put(US, 3, "a")
    world.settle()
    world.put(US, 1, "b")
    world.put(EU, 2, "c")
    assert world.redrive(US) == [APPLIED]
    assert (world.values(), world.conflicts) == ([{"x": "a"}] * 2, 1)
    world.settle()
    assert world.values() == [{"x": "a"}] * 2


def test_a_lost_edit_that_is_undone_tells_the_position_of_what_it_replaced():
    """A repair has copied that meanwhile, and a row does not show its position."""
    world = World(RULES["whole"])
    world.put(US, 3, "a")
    world.put(US, 3, "b")
    assert world.redrive(US) == [APPLIED]
    world.put(EU, 1, "c")
    world.delete(EU)
    world.carry(EU, 2)
    assert world.reconcile(US, Reconcile(KEY)) == [APPLIED]
    assert world.redrive(EU, 1) == [APPLIED]
    world.deliver(US, 0)
    assert world.values() == [{"x": "b"}] * 2


def test_an_edit_that_was_lost_with_its_conflict_records_it():
    world = World(RULES["whole"])
    world.put(EU, 1, "eu")
    world.put(US, 2, "us")
    assert world.redrive(US) == [APPLIED]
    assert (world.values(), world.conflicts) == ([{"x": "us"}] * 2, 1)


def test_a_lost_edit_that_loses_is_undone_where_it_was_made():
    world = World(RULES["whole"])
    world.put(EU, 9, "eu")
    world.settle()
    world.put(US, 2, "us")
    assert world.redrive(US) == [APPLIED]
    assert world.values() == [{"x": "eu"}] * 2


def test_a_command_sets_right_what_its_key_alone_names():
    for rule in (RULES["whole"], RULES["merged"]):
        world = World(rule)
        world.put(US, 1, "a")
        event = command({"key": KEY})
        function = deployed(reconciler(world.branch(US), None, None, 0), "replicate")
        assert consume(event, Context(), function)["outcomes"] == [{"status": "Applied", "cause": ""}]
        assert consume(event, Context(), function)["outcomes"] == [{"status": "Superseded", "cause": ""}]
        assert world.values() == [{"x": "a"}] * 2


def test_a_row_that_tells_no_time_is_left_with_what_to_do():
    world = World(RULES["by second"])
    world.put(US, 0, "a")
    assert world.reconcile(US, Reconcile(KEY)) == [UNTIMED]
    assert world.values() == [{"x": "a"}, {}]


def test_a_version_without_its_record_is_refused_and_nothing_written():
    world = World(RULES["whole"])
    world.put(US, 1, "a")
    assert world.reconcile(US, Reconcile(KEY, 7, True)) == [NO_RECORD]
    assert world.tables.writes == 0


def test_a_record_of_another_item_or_version_is_refused():
    world = World(RULES["whole"])
    world.put(US, 1, "a")
    asked = request(world.tables.records_of(US)[-1])
    wrong = [Reconcile({"id": {"S": "y"}}, asked.version, record=asked.record), Reconcile(KEY, 7, record=asked.record)]
    wrong.append(Reconcile({"id": {"S": "z"}}, 7, record={**asked.record, "dynamodb": {}}))
    assert {end.status for each in wrong for end in world.reconcile(US, each)} == {Status.PARKED}
    assert world.tables.writes == 0


def test_a_record_that_is_no_object_is_refused_by_its_place():
    function = deployed(reconciler(World(RULES["whole"]).branch(US), None, None, 0), "replicate")
    with pytest.raises(ConfigError, match=r"entry 0: .* and the record for an item of several regions"):
        consume(command({"key": KEY, "version": "7", "record": "x"}), Context(), function)


def test_a_change_of_a_later_generation_is_not_for_this_function():
    world = World(RULES["whole"])
    world.put(US, 1, "a")
    asked = request(world.tables.records_of(US)[-1])
    (end,) = world.reconcile(US, Reconcile(KEY, asked.version + versions.POSITIONS, record=asked.record))
    assert (end.status, "later generation" in end.cause) == (Status.FAILED, True)


def test_a_command_for_several_regions_names_no_view():
    with pytest.raises(ConfigError, match="leave out 'only'"):
        World(RULES["whole"]).reconcile(US, Reconcile(KEY, only=frozenset({"sales"})))


def failing(item):
    """The application has corrected what the rule failed on."""
    return item["rank"]


def broken(older, newer):
    if "rank" not in newer or "rank" not in older:
        raise ValueError("no rank")
    return newer


@pytest.mark.parametrize("rule", [greatest(failing), custom(broken, [{"rank": 1}, {"rank": 2}], "at")])
def test_a_change_that_the_rule_fails_on_goes_once_its_item_is_corrected(rule):
    world = World(rule)
    world.put(EU, 1, "old", rank={"N": "1"})
    world.settle()
    world.put(US, 2, "bad")
    world.update(US, 3, value={"S": "good"}, rank={"N": "2"})
    world.redrive(US, -2)
    assert world.values() == [{"x": "good"}] * 2


def test_a_delete_of_what_the_rule_fails_on_stays_parked():
    world = World(greatest(failing))
    world.put(US, 2, "bad")
    world.delete(US)
    assert [end.status for end in world.redrive(US)] == [Status.PARKED]
    assert [end.status for end in world.redrive(US, 0)] == [Status.PARKED]


@ALL
def test_a_region_that_does_not_answer_fails_its_items_and_no_others(rule):
    faults = Faults()
    world = World(rule, wrap=faults)
    world.put(US, 1, "a")
    world.put(US, 1, "b", name="y")
    faults.when(lambda _, arguments: "'y'" in str(arguments) and f"items@{EU}" in str(arguments), throttled)
    assert [end.status for end in world.redrive(US, 0, 1)] == [Status.APPLIED, Status.FAILED]
    assert world.values()[1] == {"x": "a"}


@pytest.mark.parametrize("rule", [RULES["whole"], RULES["merged"]])
def test_reads_of_each_region_wait_for_their_budget(rule):
    world = World(rule)
    for name in "abcd":
        world.put(US, 1, "v", name=name)
    now, waited = [0.0], []

    def sleep(seconds):
        waited.append(seconds)
        now[0] += seconds

    paces = {region: Pace(1, lambda: now[0], sleep) for region in (US, EU)}
    asked = [request(each) for each in world.tables.records_of(US)]
    ends = RegionsReconciler(world.branch(US), paces, 0)(asked, FOREVER)
    assert ends == [APPLIED] * 4
    assert sum(pace.units for pace in paces.values()) == world.tables.read_units
    assert now[0] >= paces[EU].units - 3
