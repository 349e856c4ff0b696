"""Multi-active: what it costs, what it takes for its own echo, what it records, and what a declaration may say."""

import json

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.dynamodb.steps import finish
from distributary.errors import ConfigError, Unavailable
from distributary.replicate.declarations import Mirror, MultiActive, check, greatest, last_writer, peers_of, target_of
from distributary.replicate.multi_active.conditional_rows import as_seen
from distributary.replicate.multi_active.crdt import end_of
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.records import decode
from tests.fakes import dynamodb
from tests.fakes.faults import Faults, throttled
from tests.unit.edited_regions import AP, EU, FOREVER, US, World

RULE = last_writer("at", "seconds")


@pytest.fixture
def world():
    return World(RULE)


def test_an_insert_is_one_write_and_an_update_too_and_its_echo_no_write(world):
    world.put(US, 1, "a")
    world.spent()
    assert world.carry(US) == [Status.APPLIED]
    assert world.spent() == {"GetItem": 2, "BatchGetItem": 1, "PutItem": 1}
    assert world.carry(EU) == [Status.SUPERSEDED]
    assert world.spent() == {"GetItem": 1}
    world.put(US, 2, "b")
    world.spent()
    assert world.carry(US) == [Status.APPLIED]
    assert world.spent() == {"GetItem": 1, "BatchGetItem": 1, "PutItem": 1}
    assert world.carry(EU) == [Status.SUPERSEDED]
    assert world.spent() == {}


def test_a_delete_is_a_tombstone_and_a_delete_each_and_its_echo_no_write(world):
    world.put(US, 1, "a")
    world.settle()
    world.delete(US)
    world.spent()
    assert world.carry(US) == [Status.APPLIED]
    assert world.spent() == {"GetItem": 3, "BatchGetItem": 2, "PutItem": 2, "DeleteItem": 1}
    assert world.carry(EU) == [Status.SUPERSEDED]
    assert world.spent() == {"GetItem": 1}
    assert world.values() == [{}, {}]


def test_a_repair_looks_at_each_region_once_and_at_what_has_no_stamp_again(world):
    world.put(US, 1, "a")
    world.settle()
    world.spent()
    assert not world.branch(EU).reconcile({"id": {"S": "x"}}, FOREVER)
    assert world.spent() == {"BatchGetItem": 2, "GetItem": 1}


def test_a_repair_reaches_the_regions_that_answer():
    faults = Faults()
    world = World(RULE, (US, EU, AP), wrap=faults)
    faults.when(lambda call, arguments: call == "put_item" and arguments["TableName"] == f"items@{EU}", throttled)
    world.put(US, 1, "a")
    with pytest.raises(Unavailable):
        world.branch(US).reconcile({"id": {"S": "x"}}, FOREVER)
    assert world.values() == [{"x": "a"}, {}, {"x": "a"}]


def test_a_tombstone_of_a_later_format_fails_the_change(world):
    world.put(US, 1, "a")
    world.settle()
    world.delete(US)
    world.carry(US)
    (kept,) = world.tables.state[f"tombstones@{US}"].values()
    assert kept["format"] == {"N": "1"}
    kept["format"] = {"N": "2"}
    world.put(US, 2, "b")
    assert world.carry(US) == [Status.FAILED]


def test_an_echo_of_a_delete_is_known_by_its_tombstone_not_by_its_image(world):
    """The same REMOVE without the tombstone is the application's, and is carried."""
    world.put(US, 1, "a")
    world.settle()
    world.delete(EU)
    assert world.carry(EU) == [Status.APPLIED]
    assert world.carry(US) == [Status.SUPERSEDED]


def test_a_crash_between_a_tombstone_and_its_delete_is_mended_by_redelivery():
    faults = Faults()
    world = World(RULE, wrap=faults)
    world.put(US, 1, "a")
    world.settle()
    world.delete(US)
    faults.when(lambda operation, _: operation == "delete_item", throttled)
    assert world.carry(US) == [Status.FAILED]
    assert world.values() == [{}, {"x": "a"}]
    faults.cease()
    world.carry(US, since=0)
    world.settle()
    assert world.values() == [{}, {}]


def test_a_region_out_of_reach_fails_the_change_and_the_others_have_it():
    faults = Faults()
    world = World(RULE, (US, EU, AP), wrap=faults)
    faults.when(lambda _, arguments: f"items@{EU}" in (arguments.get("RequestItems") or {}), throttled)
    world.put(US, 1, "a")
    assert world.carry(US) == [Status.FAILED]
    assert world.values() == [{"x": "a"}, {}, {"x": "a"}]


def test_after_a_failed_change_its_items_later_ones_fail_too_and_others_go_on():
    faults = Faults()
    world = World(RULE, wrap=faults)
    world.put(US, 1, "a")
    world.put(US, 2, "b")
    world.put(US, 1, "c", name="y")
    faults.at = {1: throttled}
    assert world.carry(US) == [Status.FAILED, Status.FAILED, Status.APPLIED]


@pytest.mark.parametrize("first", [US, EU])
def test_concurrent_edits_of_one_time_go_to_the_region_named_first_everywhere(world, first):
    world.put(US, 5, "us")
    world.put(EU, 5, "eu")
    world.carry(first)
    world.settle()
    assert world.values() == [{"x": "us"}, {"x": "us"}]


def test_a_second_edit_within_one_time_stands_at_home_and_everywhere(world):
    for value in "abc":
        world.put(US, 5, value)
        world.carry(US)
    world.settle()
    world.carry(US, since=0)
    assert world.values() == [{"x": "c"}, {"x": "c"}]


def test_an_edit_that_loses_to_what_it_overwrote_is_undone_and_recorded(world):
    world.put(EU, 100, "fast clock")
    world.settle()
    world.put(US, 50, "slow clock")
    world.settle()
    assert world.values() == [{"x": "fast clock"}, {"x": "fast clock"}]
    assert world.conflicts == 1


def test_a_record_that_comes_again_rewrites_no_tombstone_of_what_it_made():
    """What was brought back is known by the record of the edit that had replaced it: nothing lies between the two."""
    world = World(greatest(lambda item: item["at"]))
    world.put(US, 2, "a")
    world.settle()
    world.put(US, 1, "b")
    world.settle()
    world.delete(US)
    world.settle()
    writes = world.tables.writes
    assert (world.values(), world.deliver(US, 0, 1)) == ([{}, {}], [Status.SUPERSEDED] * 2)
    assert world.tables.writes == writes


def test_a_put_of_an_item_as_it_was_read_earlier_stamp_and_all_is_no_echo(world):
    world.put(EU, 1, "a")
    world.settle()
    stale = world.tables.state[f"items@{US}"][("x",)][REPLICA_VERSION]
    world.put(EU, 2, "b")
    world.settle()
    world.put(US, 3, "c", **{REPLICA_VERSION: stale})
    assert REPLICA_VERSION in world.tables.records_of(US)[-1]["dynamodb"]["NewImage"]
    world.settle()
    assert world.values() == [{"x": "c"}, {"x": "c"}]


@pytest.mark.parametrize(("deletes", "left"), [("lose", [{"x": "b"}] * 2), ("win", [{}, {}])])
def test_a_late_update_against_a_delete_ends_by_the_rule(deletes, left):
    world = World(RULE, deletes=deletes)
    now = 1_795_341_600
    world.put(US, now - 10, "a")
    world.settle()
    world.delete(US)
    world.put(EU, now, "b")
    world.settle()
    assert world.values() == left


def test_an_item_that_comes_back_after_its_deletion_stands_everywhere(world):
    world.put(US, 1, "a")
    world.settle()
    world.delete(EU)
    world.settle()
    world.put(EU, 2, "b")
    world.settle()
    assert world.values() == [{"x": "b"}, {"x": "b"}]


def test_a_conflict_is_one_object_with_both_sides_winner_and_rule(world):
    world.put(US, 1, "sentinel-us")
    world.put(EU, 2, "sentinel-eu")
    for _ in range(2):
        world.carry(US, since=0)
        world.carry(EU, since=0)
    (body,) = [json.loads(each) for each in world.s3.state.values()]
    (name,) = world.s3.state
    assert name.startswith("conflicts/")
    assert body["events"], "it names the change that met it"
    assert set(body["events"]) <= {each["eventID"] for region in (US, EU) for each in world.tables.records_of(region)}
    assert "sentinel" not in name
    assert body["rule"] == "rule"
    assert body["key"] == {"id": {"S": "x"}}
    assert (body["winner"]["region"], body["winner"]["item"]["value"]["S"]) == (EU, "sentinel-eu")
    assert {side["region"]: side["item"]["value"]["S"] for side in body["sides"]} == {
        US: "sentinel-us",
        EU: "sentinel-eu",
    }


def test_an_item_put_below_its_tombstone_goes_and_nothing_else_is_asked(world):
    world.put(US, 5, "a")
    world.settle()
    world.delete(EU)
    world.settle()
    world.put(US, 4, "late")
    world.spent()
    assert world.carry(US) == [Status.APPLIED]
    assert world.spent() == {"GetItem": 2, "DeleteItem": 1}
    assert world.values() == [{}, {}]


def test_a_delete_whose_function_died_after_its_tombstone_is_carried_again(world):
    world.put(US, 1, "a")
    world.settle()
    world.delete(US)
    world.settle()
    world.tables.state[f"tombstones@{EU}"].clear()
    world.put(EU, 1, "a")
    world.carry(US, since=1)
    world.settle()
    assert world.values() == [{}, {}]


def test_a_repair_knows_deletions(world):
    world.put(US, 1, "a")
    world.settle()
    world.delete(US)
    world.carry(US)
    world.tables.state[f"tombstones@{EU}"].clear()
    world.put(EU, 1, "a")
    assert world.branch(EU).reconcile({"id": {"S": "x"}}, FOREVER)
    assert world.values() == [{}, {}]


def test_an_item_that_comes_back_in_its_own_region_is_no_conflict(world):
    world.put(US, 1, "a")
    world.settle()
    world.delete(US)
    world.settle()
    world.put(US, 2, "b")
    world.settle()
    assert (world.conflicts, world.values()) == (0, [{"x": "b"}] * 2)


def test_a_delete_is_no_echo_of_an_earlier_one(world):
    world.put(US, 1, "a")
    world.settle()
    world.delete(EU)
    world.settle()
    world.put(US, 2, "b")
    world.settle()
    world.delete(US)
    world.settle()
    assert world.values() == [{}, {}]


def test_an_echo_of_a_delete_of_ones_own_item_costs_a_read_too(world):
    world.put(US, 1, "a")
    world.settle()
    world.delete(EU)
    world.carry(EU)
    world.spent()
    assert world.carry(US) == [Status.SUPERSEDED]
    assert world.spent() == {"GetItem": 1}


def test_edits_one_after_the_other_are_no_conflict(world):
    for at, region in enumerate([US, EU, US, US, EU]):
        world.put(region, at, f"v{at}")
        world.settle()
    world.delete(US)
    world.settle()
    assert world.conflicts == 0


def test_a_conflict_that_cannot_be_recorded_fails_before_anything_is_lost(world, monkeypatch):
    world.put(US, 1, "us")
    world.put(EU, 2, "eu")
    monkeypatch.setattr(world, "s3", Faults({0: throttled})(world.s3, dynamodb))
    assert world.carry(EU) == [Status.FAILED]
    assert world.values()[0] == {"x": "us"}


def test_a_rule_that_fails_on_an_item_parks_its_change():
    world = World(rule=greatest(lambda item: item["missing"]))
    world.put(US, 1, "a")
    assert world.carry(US) == [Status.PARKED]


class Meddling:
    """A client before whose first put of an item the application edits it."""

    def __init__(self, world, **edited):
        self._world, self._edited = world, edited

    def __getattr__(self, operation):
        def call(**arguments):
            if operation == "put_item" and self._edited:
                edited, self._edited = self._edited, {}
                self._world.put(EU, **edited)
            return getattr(self._world.tables, operation)(**arguments)

        return call


@pytest.mark.parametrize(("at", "left"), [(9, "meddler"), (1, "us")])
def test_an_edit_between_look_and_put_is_seen_and_judged(world, at, left):
    """Not overwritten blindly: every attribute of the row as it was seen is in the put's condition."""
    world.put(EU, 1, "eu", before={"S": "x"})
    world.put(US, 5, "us")
    world.wrap = lambda client, service: Meddling(world, at=at, value="meddler", before={"S": "x"})
    world.carry(US)
    assert world.values()[1] == {"x": left}
    puts = [r["dynamodb"].get("NewImage", {}).get("value", {}).get("S") for r in world.tables.records_of(EU)]
    assert puts == ["eu", "meddler", *(["us"] if left == "us" else [])]
    assert len(world.pauses) == 1


class Contended(Meddling):
    """A client before whose every put of an item the application edits it."""

    def __getattr__(self, operation):
        if operation == "put_item":
            self._world.put(EU, 1, f"eu {len(self._world.pauses)}")
        return getattr(self._world.tables, operation)


@pytest.mark.parametrize(("seconds", "pauses"), [(float("inf"), 11), (3, 3)])
def test_an_edit_that_is_always_overtaken_fails_at_last_or_at_the_deadline(world, seconds, pauses):
    world.put(US, 5, "us")
    world.wrap = lambda client, service: Contended(world)
    changes = decode({"Records": world.tables.records_of(US)}, 0)
    (end,) = world.branch(US).apply(changes, Deadline(seconds, clock=lambda: len(world.pauses)))
    assert (end.status, len(world.pauses)) == (Status.FAILED, pauses)
    assert world.values()[1] == {"x": f"eu {pauses}"}


def test_a_delete_whose_record_shows_no_item_is_parked_with_what_to_do(world):
    world.put(US, 1, "a")
    world.settle()
    world.delete(US)
    (change,) = decode({"Records": world.tables.records_of(US)[-1:]}, 0)
    (end,) = world.branch(US).apply([change._replace(old=None)], FOREVER)
    assert (end.status, "NEW_AND_OLD_IMAGES" in end.cause) == (Status.PARKED, True)
    assert world.values() == [{}, {"x": "a"}]


def test_the_condition_names_all_attributes_and_the_stamp_that_is_missing(world):
    world.put(EU, 1, "eu")
    seen = as_seen({"id": {"S": "x"}}, {"id": {"S": "x"}, "value": {"S": "eu"}}, REPLICA_VERSION)
    assert seen["ConditionExpression"] == "#a0 = :a0 AND #a1 = :a1 AND attribute_not_exists(#stamp)"
    assert set(seen["ExpressionAttributeNames"].values()) == {"id", "value", REPLICA_VERSION}


class TestByTheStreamsSecond:
    """`last_writer()` without an attribute."""

    @pytest.fixture
    def world(self):
        return World(rule=last_writer())

    def test_an_edit_costs_a_write_more_its_stamp_and_echoes_cost_nothing(self, world):
        world.put(US, 0, "a")
        world.spent()
        assert world.carry(US) == [Status.APPLIED]
        assert world.spent() == {"BatchGetItem": 3, "PutItem": 2, "GetItem": 2}
        assert [world.carry(US), world.carry(EU)] == [[Status.SUPERSEDED], [Status.SUPERSEDED]]

    @pytest.mark.parametrize("first", [US, EU])
    def test_of_two_edits_in_one_second_that_of_the_region_named_first_stands(self, world, first):
        world.put(EU, 0, "eu")
        world.put(US, 0, "us")
        world.carry(first)
        world.settle()
        assert world.values() == [{"x": "us"}] * 2

    def test_a_conflict_is_recorded_by_the_function_that_knows_both_times(self, world):
        world.put(EU, 0, "eu")
        world.put(US, 0, "us")
        world.carry(EU)
        assert world.conflicts == 0
        world.settle()
        assert world.conflicts == 1
        (body,) = [json.loads(each) for each in world.s3.state.values()]
        assert (body["winner"]["region"], {side["region"] for side in body["sides"]}) == (US, {US, EU})

    def test_an_edit_on_top_of_another_stands_even_within_its_second(self, world):
        for region, value in ((US, "a"), (EU, "b"), (US, "c"), (EU, "d")):
            stamp = world.tables.state[f"items@{region}"].get(("x",), {})
            world.put(region, 0, value, **{k: v for k, v in stamp.items() if k == REPLICA_VERSION})
            world.settle()
        assert world.values() == [{"x": "d"}] * 2
        assert world.conflicts == 0

    @pytest.mark.parametrize("region", [US, EU])
    @pytest.mark.parametrize("edits", [("b", "c"), ("b", None), (None, "c"), ("b", None, "d"), ("b", "c", None, "e")])
    @pytest.mark.parametrize("at_once", [True, False])
    def test_the_last_of_many_edits_in_one_second_wins_stamped_or_not(self, world, region, edits, at_once):
        other = EU if region == US else US
        world.put(other, 0, "0")
        world.settle()
        world.put(region, 0, "a")
        world.settle()
        for value in edits:
            world.put(region, 0, value) if value else world.delete(region)
            if not at_once:
                world.carry(region)
        world.settle()
        assert world.values() == [{"x": edits[-1]} if edits[-1] else {}] * 2
        world.carry(region, since=0)
        world.settle()
        assert world.values() == [{"x": edits[-1]} if edits[-1] else {}] * 2

    def test_a_redelivered_edit_keeps_the_time_that_it_was_given(self, world):
        """Its first delivery reached home alone: were its time another then, an edit of the other region could win."""
        world.put(EU, 0, "a")
        world.settle()
        world.put(EU, 0, "b")
        world.put(EU, 0, "c")
        branch, records = world.branch(EU), world.tables.records_of(EU)[world.carried[EU] :]
        world.carry(EU)
        standing = finish(branch.item({"id": {"S": "x"}}, FOREVER).home.look()).greatest
        again = world.branch(EU).item({"id": {"S": "x"}}, FOREVER)
        (change,) = [each for each in decode({"Records": records}, 0) if each.new.raw["value"] == {"S": "c"}]
        old = again.home.stamps.row(change.old.raw, EU, change.version - 1)
        assert not old.stamped
        assert finish(again._second(change, old, standing.digest)) == standing.time

    def test_an_edit_that_comes_again_in_a_raised_generation_is_no_later(self, world):
        for value in ("a", "b"):
            world.put(US, 0, value)
            world.settle()
            world.tables.clock += 1
        first = decode({"Records": world.tables.records_of(US)[:1]}, 1)
        world.branch(US).apply(first, FOREVER)
        assert world.values() == [{"x": "b"}] * 2

    def test_a_snapshot_leaves_the_row_to_its_own_record_which_gives_its_time(self, world):
        world.put(US, 0, "a")
        (record,) = world.tables.records_of(US)
        record = {**record, "distributary": {"origin": "snapshot"}, "eventName": "INSERT"}
        (end,) = world.branch(US).apply(decode({"Records": [record]}, 0), FOREVER)
        assert (end.status, world.values()) == (Status.APPLIED, [{"x": "a"}] * 2)
        assert REPLICA_VERSION not in self.rows(world)[0][("x",)]
        world.carry(US)
        assert [each[("x",)][REPLICA_VERSION]["M"]["time"] for each in self.rows(world)] == [{"N": "1795341600"}] * 2

    def test_a_late_snapshot_of_an_older_state_wins_over_nothing(self, world):
        world.put(US, 0, "a")
        (record,) = world.tables.records_of(US)
        world.put(US, 0, "b")
        world.settle()
        body = {**record["dynamodb"], "ApproximateCreationDateTime": 1_795_341_609}
        record = {**record, "distributary": {"origin": "snapshot"}, "eventName": "INSERT", "dynamodb": body}
        assert [end.status for end in world.branch(US).apply(decode({"Records": [record]}, 0), FOREVER)] == [
            Status.SUPERSEDED
        ]
        assert world.values() == [{"x": "b"}] * 2

    def test_an_edit_that_another_regions_overtook_is_not_moved_behind_it(self):
        world = World(last_writer(), (EU, US))
        world.put(EU, 0, "eu")
        world.put(US, 0, "us")
        world.carry(EU)
        world.settle()
        assert world.values() == [{"x": "eu"}] * 2

    def test_a_repair_leaves_a_row_that_tells_no_time_to_its_own_region(self, world):
        world.put(US, 0, "a")
        assert not world.branch(EU).reconcile({"id": {"S": "x"}}, FOREVER)
        assert world.values() == [{"x": "a"}, {}]

    def rows(self, world):
        return [world.tables.state[f"items@{region}"] for region in (US, EU)]

    def test_the_later_second_stands(self, world):
        world.put(US, 0, "earlier")
        world.tables.clock += 1
        world.put(EU, 0, "later")
        world.settle()
        assert world.values() == [{"x": "later"}] * 2

    def test_an_edit_before_another_regions_delete_goes_and_is_no_own_delete(self, world):
        world.put(US, 0, "a")
        world.settle()
        world.put(EU, 0, "b")
        world.tables.clock += 5
        world.delete(US)
        world.carry(US)
        assert world.values()[1] == {"x": "b"}
        world.carry(EU)
        world.spent()
        world.settle()
        assert world.values() == [{}, {}]
        assert "PutItem" not in world.spent()

    def test_an_edit_made_before_a_delete_of_its_own_region_is_carried_with_it(self, world):
        world.put(US, 0, "a")
        world.settle()
        world.delete(EU)
        world.settle()
        world.tables.clock += 1
        world.put(US, 0, "b")
        world.delete(US)
        world.settle()
        assert world.values() == [{}, {}]

    def test_a_delete_is_carried_and_an_item_that_comes_back_later_stands(self, world):
        world.put(US, 0, "a")
        world.settle()
        world.delete(EU)
        world.settle()
        assert world.values() == [{}, {}]
        world.tables.clock += 1
        world.put(US, 0, "b")
        world.settle()
        assert world.values() == [{"x": "b"}] * 2


@pytest.mark.parametrize(
    ("declared", "fault"),
    [
        (MultiActive(regions=(US,), rule=RULE), "2 to 5 regions"),
        (MultiActive(regions=(US, US), rule=RULE), "each once"),
        (MultiActive(regions=(US, "europe"), rule=RULE), "'europe' is no AWS region"),
        (MultiActive(regions=(US, EU), rule=RULE, deletes="maybe"), "give one of lose, win"),
        (MultiActive(regions=(US, EU), rule=last_writer("at"), deletes="win"), "the unit it is in"),
        (MultiActive(regions=(US, EU), rule=last_writer(), deletes="win"), "the unit it is in"),
        (MultiActive(regions=(US, EU), rule=last_writer("at", "days")), "give one of seconds"),
    ],
)
def test_a_wrong_declaration_is_named_before_the_first_change(declared, fault):
    with pytest.raises(ConfigError, match=fault):
        check(declared)


def test_the_stacks_regions_are_those_declared():
    declared = MultiActive(regions=(US, EU, AP), rule=RULE)
    assert peers_of(declared, EU, (AP, US)) == (US, AP)
    with pytest.raises(ConfigError) as caught:
        peers_of(declared, "sa-east-1", (US,), "arn:aws:iam::123456789012:role/x")
    assert len(caught.value.faults) == 3


def test_a_mirror_has_one_target():
    assert check(Mirror()) == Mirror()
    assert target_of((EU,)) == EU
    with pytest.raises(ConfigError, match="a stack for each"):
        target_of((EU, US))


@pytest.mark.parametrize(("unit", "end"), [("seconds", "11"), ("milliseconds", "11000")])
def test_a_deletion_ends_with_its_second_in_the_applications_unit(unit, end):
    assert str(end_of(unit, 10.0).value) == end


def test_a_deletion_in_text_sorts_after_every_fraction_of_its_second():
    end = end_of("text", 10.0).value
    assert "1970-01-01T00:00:10.999Z" < end < "1970-01-01T00:00:11Z"
    assert "1970-01-01T00:00:10Z" < end < "1970-01-01T00:00:11.000Z"
