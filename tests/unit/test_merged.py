"""Regions whose items are merged: what a change costs, what each rule makes of edits made side by side, what is left
alone and what is recorded."""

import json
import zlib
from decimal import Decimal

import pytest

from distributary.consumer.outcome import Status
from distributary.errors import ConfigError
from distributary.replicate import MultiActive, by_attribute, check, custom, total
from distributary.replicate.multi_active.conflicts import NOT_RECORDED
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.codec import decode_item
from distributary.stream.records import decode
from tests.fakes import dynamodb
from tests.fakes.faults import Faults, throttled
from tests.replaced import replace
from tests.unit.edited_regions import AP, EU, FOREVER, US, World

RULE = by_attribute("at", "seconds", union=("tags",), counters=("visits",))


def text(value):
    return {"S": value}


def number(value):
    return {"N": str(value)}


def greater(a, b):
    """Of each attribute the greater value."""
    return {name: max(each[name] for each in (a, b) if name in each) for name in {*a, *b}}


GREATER = custom(greater, [{"at": Decimal(1)}, {"at": Decimal(2), "best": Decimal(1)}])


@pytest.fixture
def world():
    return World(RULE)


def costs(world, carry):
    """Requests, write units and read units."""
    tables = world.tables
    before = tables.write_units, tables.read_units
    tables.calls.clear()
    carry()
    return dict(tables.calls), tables.write_units - before[0], tables.read_units - before[1]


def test_each_change_costs_what_the_readme_says(world):
    world.put(US, 1, "a")
    reads = {"GetItem": 3, "BatchGetItem": 1}
    assert costs(world, lambda: world.carry(US)) == ({**reads, "PutItem": 3}, 1 + 2, 2 + 3)
    assert costs(world, lambda: world.carry(EU)) == ({}, 0, 0)
    assert costs(world, lambda: world.carry(US, since=0)) == ({"GetItem": 2, "BatchGetItem": 1}, 0, 2 + 2)
    world.update(US, 2, value=text("b"))
    assert costs(world, lambda: world.carry(US)) == ({**reads, "PutItem": 3}, 1 + 2, 2 + 3)
    world.settle()
    world.delete(US)
    assert costs(world, lambda: world.carry(US)) == ({**reads, "PutItem": 3, "DeleteItem": 1}, 1 + 3, 2 + 3)
    assert costs(world, lambda: world.carry(EU)) == ({}, 0, 0)


def test_a_repair_of_equal_regions_looks_at_each_once(world):
    world.put(US, 1, "a")
    world.settle()
    wrote = []
    reconciled = costs(world, lambda: wrote.append(world.branch(EU).reconcile({"id": {"S": "x"}}, FOREVER)))
    assert (wrote, reconciled) == ([False], ({"BatchGetItem": 2}, 0, 2 + 2))


def test_an_item_s_changes_of_a_batch_cost_as_much_as_one(world):
    for at in range(5):
        world.update(US, at, value=text(f"v{at}"))
    found, write_units, _ = costs(world, lambda: world.carry(US))
    assert (found["PutItem"], write_units) == (3, 3)
    assert world.values() == [{"x": "v4"}] * 2


def test_attributes_sets_and_counters_merge_where_two_regions_edit_one_item(world):
    world.put(EU, 1, "first", a=number(1), b=number(1), tags={"SS": ["x"]}, visits={"M": {EU: number(1)}})
    world.settle()
    world.update(EU, 2, a=number(2), tags={"SS": ["x", "y"]}, visits={"M": {EU: number(5)}})
    world.update(US, 3, b=number(3), tags={"SS": ["z"]}, visits={"M": {EU: number(1), US: number(3)}})
    world.settle()
    (item, other) = world.items()
    assert item == other
    found = decode_item(item)
    assert (found["a"], found["b"], found["tags"]) == (2, 3, {"y", "z"})
    assert total(found["visits"]) == 8


def test_counters_of_an_item_that_two_regions_make_at_once_add_up(world):
    world.put(EU, 1, "eu", visits={"M": {EU: number(2)}})
    world.put(US, 2, "us", visits={"M": {US: number(3)}})
    world.settle()
    (item, _) = world.items()
    assert total(decode_item(item)["visits"]) == 5
    assert total(None) == 0


@pytest.mark.parametrize("first", [US, EU])
def test_an_attribute_that_both_edit_goes_to_the_later_or_the_first_region(world, first):
    world.put(US, 1, "first", a=number(0), b=number(0))
    world.settle()
    world.update(EU, 5, a=text("eu"), b=text("eu, earlier"))
    world.update(US, 5, a=text("us"))
    world.update(US, 6, b=text("us, later"))
    world.carry(first)
    world.settle()
    (item, other) = world.items()
    assert (item["a"], item["b"]) == (text("us"), text("us, later"))
    assert item == other


def test_what_one_region_removes_is_gone_where_the_other_edits_something_else(world):
    world.put(US, 1, "first", a=number(0), b=number(0))
    world.settle()
    world.update(EU, 2, a=None)
    world.update(US, 3, b=number(1))
    world.settle()
    assert [item.keys() for item in world.items()] == [{"at", "value", "b"}] * 2


def test_an_item_that_was_there_before_is_carried_whole_by_its_first_update(world):
    """Its record tells what it changed, and what else the item holds."""
    world.put(US, 1, "old", a=number(1))
    world.carried[US] = len(world.tables.records_of(US))
    world.update(US, 2, b=number(2))
    world.settle()
    assert world.items()[1] == {"at": number(2), "value": text("old"), "a": number(1), "b": number(2)}


@pytest.mark.parametrize(("deletes", "left"), [("lose", [{"x": "b"}] * 2), ("win", [{}, {}])])
def test_a_late_update_against_a_delete_ends_by_the_rule(deletes, left):
    world = World(RULE, deletes=deletes)
    now = 1_795_341_600
    world.put(US, now - 10, "a", other=number(1))
    world.settle()
    world.delete(US)
    world.update(EU, now, value=text("b"))
    world.settle()
    assert world.values() == left
    if deletes == "lose":
        assert world.items() == [{"at": number(now), "value": text("b"), "other": number(1)}] * 2


def test_an_item_that_is_deleted_and_made_again_begins_anew(world):
    world.put(US, 1, "a", tags={"SS": ["x"]}, visits={"M": {US: number(9)}})
    world.settle()
    world.delete(EU)
    world.settle()
    assert world.values() == [{}, {}]
    world.put(EU, 2, "b", tags={"SS": ["y"]})
    world.settle()
    assert world.items() == [{"at": number(2), "value": text("b"), "tags": {"SS": ["y"]}}] * 2


@pytest.mark.parametrize("rule", [RULE, GREATER], ids=["attributes", "a rule of your own"])
def test_a_region_s_delete_of_what_it_wrote_itself_stays_whatever_its_time_was(rule):
    """It makes the item again with an earlier time than that of its first delete, which the stream's order corrects."""
    world = World(rule)
    world.put(US, 3, "a")
    world.settle()
    world.delete(US)
    world.put(US, 2, "b")
    world.update(US, 2, value=text("c"))
    world.delete(US)
    world.settle()
    assert [item for item in world.items() if item is not None] == []


def test_of_a_deleted_item_no_content_is_kept_and_what_is_kept_ends(world):
    world.put(US, 1, "sentinel", more=text("sentinel"))
    world.settle()
    world.delete(EU)
    world.settle()
    for region in (US, EU):
        (kept,) = world.tables.state[f"tombstones@{region}"].values()
        assert kept["expires_at"] == {"N": str(7 * 86_400)}
        assert b"sentinel" not in zlib.decompress(kept["state"]["B"])


def test_a_replicated_delete_does_not_count_as_later_than_it_was():
    """Noted by the other region's stream a minute later, it would win over what was written in between."""
    world = World(by_attribute())
    world.put(EU, 0, "first")
    world.settle()
    world.delete(EU)
    world.carry(EU)
    world.tables.clock += 30
    world.put(EU, 0, "made again")
    world.tables.clock += 30
    world.settle()
    assert world.values() == [{"x": "made again"}] * 2


def test_an_edit_on_top_of_another_stands_even_within_its_second():
    world = World(by_attribute())
    for region, value in ((US, "a"), (EU, "b"), (US, "c"), (EU, "d")):
        world.update(region, 0, value=text(value))
        world.settle()
    assert world.values() == [{"x": "d"}] * 2
    assert world.conflicts == 0


def test_a_delete_after_edits_on_top_of_another_s_within_one_second_stays():
    world = World(by_attribute())
    world.put(EU, 0, "of eu")
    world.settle()
    world.update(US, 0, value=text("on top"))
    world.update(US, 0, value=text("once more"))
    world.carry(US)
    world.delete(US)
    world.settle()
    assert world.values() == [{}, {}]
    for region in (US, EU):
        world.carry(region, since=0)
    assert world.values() == [{}, {}]
    world.tables.clock += 1
    world.put(US, 0, "made again")
    world.settle()
    assert world.values() == [{"x": "made again"}] * 2


def test_an_item_put_back_with_its_earlier_mark_is_the_application_s(world):
    world.put(EU, 1, "first")
    world.settle()
    read = world.tables.state[f"items@{US}"][("x",)]
    world.update(EU, 2, value=text("second"))
    world.settle()
    world.edit(US, "put_item", Item={**read, "at": number(3)})
    world.settle()
    assert world.values() == [{"x": "first"}] * 2
    assert world.items()[0]["at"] == number(3)


def test_a_copy_under_another_key_is_an_item_of_its_own(world):
    world.put(EU, 1, "first")
    world.settle()
    world.edit(US, "put_item", Item={**world.tables.state[f"items@{US}"][("x",)], "id": text("copy")})
    world.settle()
    assert world.values() == [{"x": "first", "copy": "first"}] * 2


def test_a_write_that_nobody_has_learnt_yet_is_not_overwritten(world):
    world.put(EU, 1, "first")
    world.settle()
    world.put(US, 9, "fresh")
    world.put(EU, 5, "meanwhile")
    world.carry(EU)
    assert world.values()[0] == {"x": "fresh"}
    world.settle()
    assert world.values() == [{"x": "fresh"}] * 2


@pytest.mark.parametrize("gone", [False, True])
def test_a_write_that_comes_between_a_look_and_a_write_is_not_overwritten(world, gone):
    world.put(EU, 1, "first")
    world.settle()
    world.delete(EU) if gone else world.put(EU, 5, "meanwhile")

    class Meddling:
        """The application of the other region writes right after its row was looked at."""

        looks = 0

        def __getattr__(self, operation):
            return getattr(world.tables, operation)

        def batch_get_item(self, **arguments):
            answer = world.tables.batch_get_item(**arguments)
            if f"items@{US}" in arguments["RequestItems"] and not self.looks:
                self.looks += 1
                world.put(US, 9, "fresh")
            return answer

    world.wrap = lambda client, service: Meddling()
    world.carry(EU)
    assert world.values()[0] == {"x": "fresh"}
    world.settle()
    assert world.values() == [{"x": "fresh"}] * 2


def test_a_late_function_puts_nothing_back_over_what_a_newer_one_has_shown(world):
    """It read what is known before the other region's edit came, and the row after."""
    world.put(US, 1, "first")
    world.settle()
    world.put(EU, 5, "of eu")
    world.carry(EU)
    world.put(US, 9, "of us")

    class Late:
        """The other function comes between."""

        puts = 0

        def __getattr__(self, operation):
            return getattr(world.tables, operation)

        def get_item(self, **arguments):
            if arguments["TableName"] == f"items@{EU}" and world.carried[US] < len(world.tables.records_of(US)):
                late, world.wrap = world.wrap, lambda client, service: client
                world.carry(US)
                world.wrap = late
            return world.tables.get_item(**arguments)

        def put_item(self, **arguments):
            self.puts += arguments["TableName"] == f"items@{EU}"
            return world.tables.put_item(**arguments)

    late = Late()
    world.wrap = lambda client, service: late
    world.carry(EU, since=0)
    assert (late.puts, world.values()) == (0, [{"x": "of us"}] * 2)


def test_a_region_out_of_reach_fails_the_change_and_the_others_have_it():
    faults = Faults()
    world = World(RULE, (US, EU, AP), wrap=faults)
    faults.when(lambda _, arguments: f"items@{EU}" in (arguments.get("RequestItems") or {}), throttled)
    world.put(US, 1, "a")
    assert world.carry(US) == [Status.FAILED]
    assert world.values() == [{"x": "a"}, {}, {"x": "a"}]
    faults.cease()
    world.carry(US, since=0)
    assert world.values() == [{"x": "a"}] * 3


@pytest.mark.parametrize("rule", [RULE, custom(lambda older, newer: newer, [{}, {}], "at")], ids=["attributes", "own"])
@pytest.mark.parametrize("values", ["b", "ab"])
@pytest.mark.parametrize("first", [US, EU])
def test_a_delete_of_what_a_repair_copied_covers_the_edit_itself(rule, values, first):
    """The copy's position is a guess. Its edit keeps that position, whether its record comes before the delete's record
    or after it. Another edit of the same time may be on its way, too."""
    world = World(rule)
    for value in values:
        world.put(EU, 1, value)
    assert world.branch(US).reconcile({"id": text("x")}, FOREVER)
    world.delete(US)
    world.carry(first)
    world.settle()
    assert world.values() == [{}, {}]
    world.deliver(EU, *reversed(range(len(world.tables.records_of(EU)))))
    world.carry(US, since=0)
    assert world.values() == [{}, {}]


def test_a_repair_of_a_lost_edit_takes_nothing_that_another_region_wrote(world):
    world.put(US, 1, "first", a=text("old"), b=text("old"))
    world.settle()
    world.update(US, 9, a=text("lost"))
    world.carried[US] = len(world.tables.records_of(US))
    world.update(EU, 5, b=text("of eu"))
    world.carry(EU)
    assert world.branch(EU).reconcile({"id": text("x")}, FOREVER)
    assert [(item["a"], item["b"]) for item in world.items()] == [(text("lost"), text("of eu"))] * 2
    world.settle()
    world.carry(US, since=0)
    assert [(item["a"], item["b"]) for item in world.items()] == [(text("lost"), text("of eu"))] * 2
    assert not world.branch(US).reconcile({"id": text("x")}, FOREVER)


class TestARuleOfYourOwn:
    """`custom`."""

    @pytest.fixture
    def world(self):
        return World(GREATER)

    def put(self, world, region, at, **content):
        world.edit(region, "put_item", Item={"id": text("x"), "at": number(at), **content})

    def test_it_merges_what_two_regions_made_side_by_side(self, world):
        self.put(world, EU, 1, best=number(7))
        self.put(world, US, 2, best=number(3))
        world.settle()
        assert world.items() == [{"at": number(2), "best": number(7)}] * 2
        assert world.conflicts == 1

    def test_what_one_wrote_on_top_of_the_other_s_stands_alone(self, world):
        self.put(world, EU, 1, best=number(7))
        world.settle()
        world.update(US, 2, best=number(3))
        world.settle()
        assert world.items() == [{"at": number(2), "best": number(3)}] * 2
        assert world.conflicts == 0

    def test_an_item_put_whole_without_the_version_attribute_is_merged_once_more(self, world):
        self.put(world, EU, 1, best=number(7))
        world.settle()
        self.put(world, US, 2, best=number(3))
        world.settle()
        assert world.items() == [{"at": number(2), "best": number(7)}] * 2

    def test_three_regions_agree_whatever_the_function_does(self):
        """Neither commutative nor associative; it need only leave alone what is merged already. In one second the
        region that is named first counts as the newest."""

        def shorter(a, b):
            return {**a, "said": f"{a['said'].removesuffix(b['said'])}{b['said']}"}

        rule, endings = custom(shorter, [{"said": "a"}, {"said": "b"}]), []
        for order in ((US, EU, AP), (AP, EU, US)):
            world = World(rule, (US, EU, AP))
            for at, region in enumerate((US, EU, AP)):
                self.put(world, region, at, said=text(region))
            for region in order:
                world.carry(region)
            world.settle()
            endings += world.items()
        assert endings == [{"at": number(2), "said": text(AP + EU + US)}] * 6

    def test_a_function_that_fails_on_an_item_parks_its_change_alone(self, world):
        self.put(world, EU, 1, best=number(7))
        world.settle()
        self.put(world, US, 2, best=text("no number"))
        world.put(US, 2, "another", name="y")
        assert world.carry(US) == [Status.PARKED, Status.APPLIED]
        assert world.items()[1] == {"at": number(1), "best": number(7)}

    def test_what_fails_only_in_the_other_region_is_parked_and_kept_from_it(self, world):
        """Home does not know of the other's item yet."""
        self.put(world, EU, 1, best=number(7))
        self.put(world, US, 2, best=text("no number"))
        assert world.carry(US) == [Status.APPLIED]
        kept = dict(world.tables.state[f"tombstones@{US}"])
        assert world.carry(EU) == [Status.PARKED]
        assert world.tables.state[f"tombstones@{US}"] == kept
        world.carry(EU, since=0)
        assert world.tables.state[f"tombstones@{US}"] == kept
        self.put(world, US, 3, best=number(9))
        world.settle()
        world.carry(EU, since=0)
        assert world.items() == [{"at": number(3), "best": number(9)}] * 2

    @pytest.mark.parametrize("recorded", [True, False], ids=["conflicts are recorded", "not recorded"])
    def test_what_another_region_cannot_merge_is_not_stored_there(self, recorded):
        """The region of the edit cannot tell: what the other one knows has not reached it."""
        faults = Faults()
        world = World(GREATER, wrap=faults)
        faults.when(lambda _, arguments: f"items@{EU}" in (arguments.get("RequestItems") or {}), throttled)
        self.put(world, US, 2, best=text("no number"))
        assert world.carry(US) == [Status.FAILED]
        faults.cease()
        self.put(world, EU, 1, best=number(7))
        kept, branch = dict(world.tables.state[f"tombstones@{US}"]), world.branch(EU)
        branch = branch if recorded else replace(branch, conflicts=NOT_RECORDED)
        (end,) = branch.apply(decode({"Records": world.tables.records_of(EU)}, 0), FOREVER)
        assert (end.status, world.tables.state[f"tombstones@{US}"]) == (Status.PARKED, kept)

    def test_one_that_fails_beside_a_good_change_of_the_same_item_is_parked_alone(self, world):
        self.put(world, EU, 1, best=number(7))
        world.settle()
        self.put(world, US, 2, best=text("no number"))
        self.put(world, US, 3, best=number(9))
        assert world.carry(US) == [Status.PARKED, Status.APPLIED]
        world.settle()
        assert world.items() == [{"at": number(3), "best": number(9)}] * 2


def objects(world):
    return [json.loads(body) for name, body in world.s3.state.items() if name.startswith("conflicts/")]


def test_a_conflict_is_one_object_with_both_sides_their_result_and_the_rule(world):
    world.put(EU, 1, "sentinel-eu", only_eu=number(1))
    world.put(US, 2, "sentinel-us")
    for _ in range(2):
        world.carry(US, since=0)
        world.carry(EU, since=0)
    (body,) = objects(world)
    assert body["events"], "it names the change that met it"
    assert set(body["events"]) <= {each["eventID"] for region in (US, EU) for each in world.tables.records_of(region)}
    assert "sentinel" not in "".join(world.s3.state)
    assert (body["rule"], body["key"]) == ("rule", {"id": text("x")})
    assert {side["region"]: side["item"]["value"] for side in body["sides"]} == {
        US: text("sentinel-us"),
        EU: text("sentinel-eu"),
    }
    assert body["winner"]["item"] == {"at": number(2), "value": text("sentinel-us"), "only_eu": number(1)}


def test_a_conflict_of_regions_that_were_cut_off_is_recorded_afterwards():
    """Each had learnt its own edit by then."""
    faults = Faults()
    world = World(RULE, wrap=faults)
    world.put(EU, 1, "eu")
    world.put(US, 2, "us")
    faults.when(lambda operation, _: operation == "batch_get_item", throttled)
    assert [world.carry(region) for region in (US, EU)] == [[Status.FAILED], [Status.FAILED]]
    assert world.conflicts == 0
    faults.cease()
    for region in (US, EU):
        world.carry(region, since=0)
    assert len(objects(world)) == 1


def test_found_from_either_side_a_conflict_has_the_same_name():
    names = []
    for first in (US, EU):
        world = World(RULE)
        world.put(EU, 1, "eu")
        world.put(US, 2, "us")
        world.carry(first)
        world.settle()
        names.append(list(world.s3.state))
    assert names[0] == names[1]


def test_edits_of_different_attributes_or_one_after_the_other_do_not_conflict(world):
    world.put(US, 1, "first", a=number(0), b=number(0))
    world.settle()
    world.edit(EU, "put_item", Item={**world.tables.state[f"items@{EU}"][("x",)], "a": number(1)})
    world.edit(US, "put_item", Item={**world.tables.state[f"items@{US}"][("x",)], "b": number(1)})
    world.settle()
    for at, region in enumerate((EU, US, US, EU), start=2):
        world.update(region, at, value=text(region))
        world.settle()
    world.delete(US)
    world.settle()
    assert world.conflicts == 0


def test_a_conflict_that_cannot_be_recorded_fails_before_anything_is_lost(world, monkeypatch):
    world.put(US, 1, "us")
    world.put(EU, 2, "eu")
    world.carry(US)
    monkeypatch.setattr(world, "s3", Faults({0: throttled})(world.s3, dynamodb))
    assert world.carry(EU) == [Status.FAILED]
    assert world.values()[0] == {"x": "us"}


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        (by_attribute("at", union=("tags",), counters=("tags",)), "twice"),
        (by_attribute("at", union=("at",)), "twice"),
        (by_attribute("at", "days"), "give one of seconds"),
        (custom(greater, [{"a": 1}]), "at least two samples"),
        (custom(lambda a, b: {"n": a["n"] + b["n"]}, [{"n": 1}, {"n": 2}]), "merged already"),
        (custom(lambda a, b: a["missing"], [{"n": 1}, {"n": 2}]), "raised KeyError"),
    ],
)
def test_a_wrong_declaration_is_named_before_the_first_change(rule, fault):
    with pytest.raises(ConfigError, match=fault):
        check(MultiActive(regions=(US, EU), rule=rule))


def test_deletes_that_win_need_the_attribute_s_unit():
    with pytest.raises(ConfigError, match="the unit it is in"):
        check(MultiActive(regions=(US, EU), rule=by_attribute("at"), deletes="win"))


def test_a_row_carries_what_it_is_made_of_under_a_rule_of_your_own_only(world):
    world.put(US, 1, "a")
    world.settle()
    own = World(GREATER)
    own.put(US, 1, "a")
    own.settle()
    marks = [each.tables.state[f"items@{EU}"][("x",)][REPLICA_VERSION]["S"] for each in (world, own)]
    assert marks[0].endswith("{}]")
    assert US in json.loads(marks[1].split(".", 2)[2])[1]
