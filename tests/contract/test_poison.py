"""What no retry will mend is parked with its cause; its neighbours go through and nothing is lost."""

import copy

import pytest

from tests.contract.harness import deploy
from tests.contract.lambda_service import drain, invoke
from tests.contract.source import Source, sequence
from tests.contract.world import redriven
from tests.fakes.faults import Faults, throttled

POISONED = 1


def no_keys(record):
    del record["dynamodb"]["Keys"]


def no_name(record):
    record["eventName"] = "UPSERT"


def unknown_type(record):
    record["dynamodb"]["NewImage"]["email"] = {"X": "sentinel"}


def missing_key(record):
    record["dynamodb"]["NewImage"].pop("user_id")


def no_sequence(record):
    del record["dynamodb"]["SequenceNumber"]


def as_declared(record):
    """Left as it is: what the branch rejects is the item itself."""


POISONS = (no_keys, no_name, unknown_type, missing_key, no_sequence, as_declared)


def poisoned(harness, poison):
    """Three new users; the one in the middle is poison. The table, and the batch."""
    source = Source()
    source.put(0)
    source.put(POISONED, **(harness.rejected if poison is as_declared else {}))
    source.put(2)
    batch = copy.deepcopy(source.records)
    poison(batch[POISONED])
    return source, batch


@pytest.fixture(params=POISONS, ids=lambda poison: poison.__name__)
def poison(request):
    return request.param


def test_poison_is_parked_as_it_came_and_its_neighbours_go_through(harness, anywhere, poison):
    source, batch = poisoned(harness, poison)
    world = anywhere(source)
    assert invoke(deploy(harness, world), batch) is None
    (parked,) = world.parked(harness.name)
    assert parked["record"] == batch[POISONED]
    assert parked["branch"] == harness.name
    assert parked["cause"]
    harness.check(world, source, excused=[POISONED])


def test_poison_delivered_again_is_parked_once(harness, imagine, poison):
    source, batch = poisoned(harness, poison)
    world = imagine(source)
    for _ in range(3):
        assert invoke(deploy(harness, world), batch) is None
    assert len(world.parked(harness.name)) == 1
    harness.check(world, source, excused=[POISONED])


def test_poison_that_cannot_be_parked_is_failed_and_its_neighbours_go_through(harness, imagine, poison):
    source, batch = poisoned(harness, poison)
    world, faults = imagine(source), Faults()
    faults.when(lambda operation, _: operation == "put_object", throttled)
    answered = invoke(deploy(harness, world, faults), batch)
    assert answered == ("" if poison is no_sequence else sequence(batch[POISONED]))
    assert world.parked(harness.name) == []
    harness.check(world, source, excused=[POISONED])
    faults.cease()
    drain(world, deploy(harness, world, faults), batch)
    (parked,) = world.parked(harness.name)
    assert parked["record"] == batch[POISONED]
    harness.check(world, source, excused=[POISONED])


@pytest.mark.parametrize("together", [True, False])
def test_a_parked_change_leaves_an_earlier_state_until_a_newer_change_comes(harness, imagine, together):
    """Which earlier state depends on the batch: within one, only the newest change of an item is written."""
    source = Source()
    source.put(0)
    source.put(0, name={"S": "sentinel"})
    source.put(0, **harness.rejected)
    earlier = []
    for many in range(3):
        world = imagine(source)
        drain(world, deploy(harness, world), source.records[:many])
        earlier.append(harness.held(world, source, 0))
    world = imagine(source)
    for batch in [source.records] if together else [[record] for record in source.records]:
        assert invoke(deploy(harness, world), batch) is None
    assert harness.held(world, source, 0) in earlier
    source.put(0, name={"S": "sentinel, mended"})
    assert invoke(deploy(harness, world), source.records[-1:]) is None
    harness.check(world, source)


def test_a_parked_change_that_a_newer_one_overtook_can_be_redriven(harness, imagine):
    source = Source()
    source.put(0)
    source.put(0, **harness.rejected)
    source.put(0, name={"S": "sentinel, mended"})
    world = imagine(source)
    for record in source.records:
        assert invoke(deploy(harness, world), [record]) is None
    for parked in world.parked(harness.name):
        assert invoke(deploy(harness, world), [redriven(parked)]) is None
    harness.check(world, source)
