"""Two writers of one region, and repairs between regions: small stories of what must not be lost."""

import pytest

from distributary.replicate import by_attribute, last_writer
from tests.unit.edited_regions import EU, FOREVER, US, World

KEY = {"id": {"S": "x"}}


@pytest.mark.xfail(reason="a position that is not known counts above all that are known", strict=True)
def test_an_edit_after_a_repair_is_carried_though_its_time_is_no_later():
    world = World(last_writer("at", "seconds"))
    world.put(US, 1, "first")
    assert world.branch(US).reconcile(KEY, FOREVER)
    world.put(US, 1, "second")
    world.settle()
    assert world.values() == [{"x": "second"}, {"x": "second"}]


def visits(many):
    return {"visits": {"M": {US: {"N": str(many)}}}}


@pytest.mark.xfail(reason="a later write of a region that tells an earlier time counts as the earlier one", strict=True)
def test_a_counter_keeps_what_a_writer_added_whose_clock_is_behind():
    world = World(by_attribute("at", "milliseconds", counters=("visits",)))
    world.put(US, 1002, "v", **visits(1))
    world.carry(US)
    world.update(US, 1000, **visits(2))
    world.settle()
    assert [item["visits"] for item in world.items()] == [visits(2)["visits"]] * 2
    assert world.items()[0] == world.items()[1], EU
