"""Merged items beside a second function, a batch out of order, and a repair: each ends otherwise without one rule."""

import pytest

from distributary.consumer.outcome import Status
from distributary.replicate import by_attribute
from distributary.stream.records import decode
from tests.unit.edited_regions import EU, FOREVER, US, World

KEY = {"id": {"S": "x"}}
RULE = by_attribute("at", "seconds")


def text(value):
    return {"S": value}


class Between:
    """A client that lets something happen once, before the first `operation` on `table`."""

    def __init__(self, world, operation, table, happens):
        self._world, self._when, self._happens = world, (operation, table), happens

    def __getattr__(self, operation):
        def call(**arguments):
            if (operation, arguments.get("TableName")) == self._when and self._happens:
                happens, self._happens = self._happens, None
                late, self._world.wrap = self._world.wrap, lambda client, service: client
                happens()
                self._world.wrap = late
            return getattr(self._world.tables, operation)(**arguments)

        return call


@pytest.mark.parametrize(("here", "there"), [(EU, US), (US, EU)])
def test_an_edit_is_carried_though_the_other_region_learns_its_own_meanwhile(here, there):
    world = World(RULE)
    world.put(US, 1, "first")
    world.settle()
    world.update(here, 2, a=text("a"))
    world.update(there, 3, b=text("b"))
    between = Between(world, "put_item", f"tombstones@{there}", lambda: world.carry(there))
    world.wrap = lambda client, service: between
    world.carry(here)
    assert [(item["a"], item["b"]) for item in world.items()] == [(text("a"), text("b"))] * 2


def test_a_batch_out_of_order_is_learnt_in_its_streams_order():
    world = World(RULE)
    world.put(US, 1, "first", a=text("0"), b=text("0"))
    world.settle()
    world.update(EU, 9, a=text("eu"))
    world.update(EU, 3, b=text("eu"))
    world.update(US, 5, a=text("us"))
    records = world.tables.records_of(EU)[world.carried[EU] :]
    world.branch(EU).apply(decode({"Records": records[::-1]}, 0), FOREVER)
    world.carry(US)
    assert [(item["a"], item["b"]) for item in world.items()] == [(text("eu"), text("eu"))] * 2


def test_a_row_that_equals_another_regions_item_is_marked_so_its_delete_counts():
    world = World(RULE)
    world.put(US, 2, "same")
    world.put(EU, 2, "same")
    world.settle()
    world.delete(EU)
    world.settle()
    assert world.values() == [{}, {}]


def test_by_the_streams_second_a_repair_leaves_a_row_to_its_record():
    world = World(by_attribute())
    world.put(US, 0, "first")
    world.settle()
    world.put(US, 0, "second")
    assert not world.branch(EU).reconcile(KEY, FOREVER)
    assert world.values() == [{"x": "second"}, {"x": "first"}]


def test_by_the_streams_second_a_repair_copies_an_item_that_is_not_known():
    world = World(by_attribute())
    world.put(US, 0, "a")
    assert world.branch(EU).reconcile(KEY, FOREVER)
    assert world.values() == [{"x": "a"}] * 2


def test_a_repair_takes_no_row_from_a_look_that_its_merge_state_has_overtaken():
    """A look at two tables is no snapshot: the row may be older than the merge state beside it."""
    world = World(RULE)
    world.put(US, 1, "first")

    class Torn:
        looks = 0

        def __getattr__(self, operation):
            return getattr(world.tables, operation)

        def batch_get_item(self, **arguments):
            row = world.tables.batch_get_item(**arguments)["Responses"].get(f"items@{US}")
            if row is None or self.looks:
                return world.tables.batch_get_item(**arguments)
            self.looks += 1
            world.put(US, 2, "second")
            late, world.wrap = world.wrap, lambda client, service: client
            world.carry(US)
            world.wrap = late
            answer = world.tables.batch_get_item(**arguments)
            return {**answer, "Responses": {**answer["Responses"], f"items@{US}": row}}

    torn = Torn()
    world.wrap = lambda client, service: torn
    world.branch(EU).reconcile(KEY, FOREVER)
    assert (torn.looks, world.values()) == (1, [{"x": "second"}] * 2)


class Overtaking:
    """A client before whose every put into `table`, of merge states, somebody else writes there."""

    def __init__(self, world, table):
        self._world, self._table, self._times = world, table, 0

    def __getattr__(self, operation):
        def call(**arguments):
            if (operation, arguments.get("TableName")) == ("put_item", self._table):
                self._times += 1
                for kept in self._world.tables.state[self._table].values():
                    kept["revision"] = text(f"moved {self._times}")
            return getattr(self._world.tables, operation)(**arguments)

        return call


@pytest.mark.parametrize("table", [f"tombstones@{US}", f"tombstones@{EU}"])
def test_what_is_always_overtaken_fails_and_is_merged_when_it_comes_again(table):
    world = World(RULE)
    world.put(US, 1, "first")
    world.settle()
    world.update(US, 2, value=text("second"))
    world.wrap = lambda client, service: Overtaking(world, table)
    assert world.carry(US) == [Status.FAILED]
    world.wrap = lambda client, service: client
    world.carry(US, since=0)
    world.settle()
    assert world.values() == [{"x": "second"}] * 2
