"""Whatever call a function dies before or after, redelivery completes what was begun."""

from functools import partial
from itertools import count, product

import pytest

from tests.contract.harness import deploy
from tests.contract.histories import one_life, shortest
from tests.contract.lambda_service import crashes, drain, invoke
from tests.fakes.faults import Faults, crash_after, crash_before
from tests.selection import cut, parts

DEATHS = (crash_before, crash_after)


def malformed(source):
    """A record that must be parked, so that a crash can come while it is."""
    return {**source.records[0], "eventID": "malformed", "eventName": "NONE"}


def calls_of(harness, imagine, source, before, batch):
    """How many calls the batch takes."""
    world, faults = imagine(source), Faults()
    drain(world, deploy(harness, world), before)
    drain(world, deploy(harness, world, faults), batch)
    return faults.calls


def every_death(harness, imagine, source, before, batch, part=(0, 1)):
    """Worlds in which `before` went well and the function died in `batch`, before or after any of its calls."""
    calls = range(calls_of(harness, imagine, source, before, batch))
    for at, death in cut(product(calls, DEATHS), part):
        world = imagine(source)
        drain(world, deploy(harness, world), before)
        assert crashes(partial(invoke, deploy(harness, world, Faults({at: death})), batch))
        yield world


def check(harness, world, source, poison=0):
    """Right, and nothing parked beside the poison but messages of which nobody can know."""
    harness.check(world, source)
    certain = [each for each in world.parked(harness.name) if "unknown" not in each["cause"]]
    assert len(certain) == poison
    assert harness.sends or len(world.parked(harness.name)) == poison


@parts(3)
@pytest.mark.parametrize("begin", [0, 3, 6])
def test_a_crash_before_or_after_any_call_is_mended_by_redelivery(harness, imagine, begin, part):
    source = one_life()
    before, batch = source.records[:begin], [*source.records[begin:], malformed(source)]
    for world in every_death(harness, imagine, source, before, batch, part):
        drain(world, deploy(harness, world), batch)
        check(harness, world, source, poison=1)


@parts(3)
@pytest.mark.parametrize("redelivered_first", [True, False])
def test_a_crash_and_then_a_stale_redrive_end_where_the_source_is(harness, imagine, redelivered_first, part):
    source = one_life()
    before, batch = source.records[:4], source.records[4:]
    for world in every_death(harness, imagine, source, before, batch, part):
        if redelivered_first:
            drain(world, deploy(harness, world), batch)
        for stale in before[::-1]:
            drain(world, deploy(harness, world), [{**stale, "distributary": {"origin": "redrive"}}])
        if not redelivered_first:
            drain(world, deploy(harness, world), batch)
        check(harness, world, source)


@parts(8)
def test_two_crashes_before_or_after_any_two_calls_are_mended_by_redelivery(harness, imagine, part):
    source, firsts, pairs = shortest(), 0, 0
    for first in every_death(harness, imagine, source, [], source.records, part):
        dead, firsts = first.freeze(), firsts + 1
        for at in count():
            for death in DEATHS:
                first.thaw(dead)
                second = Faults({at: death})
                died = crashes(partial(drain, first, deploy(harness, first, second), source.records))
                drain(first, deploy(harness, first), source.records)
                check(harness, first, source)
                pairs += died
            if not died:
                break
    assert pairs >= firsts
    assert firsts or part[0] > 0, "the first part has at least one crash"


def test_a_crash_without_redelivery_is_repaired_by_the_items_next_changes(harness, imagine):
    """The row of an item depends on no earlier change of it having gone through."""
    source = one_life()
    before, batch = source.records[:4], source.records[4:]
    if harness.sends:
        return
    for world in every_death(harness, imagine, source, before, batch):
        later = [record for record in batch if record is last_of(source, record)]
        drain(world, deploy(harness, world), later)
        check(harness, world, source)


def last_of(source, record):
    """The last record of the same user."""
    return [each for each in source.records if source.user_of(each) == source.user_of(record)][-1]
