"""The contract on ministack and osmem-server, through the real clients and with the real threads; and on DynamoDB Local
where `DYNAMODB_LOCAL_URL` points at one."""

from random import Random

import pytest

from tests.contract import world as worlds
from tests.contract.harness import deploy
from tests.contract.histories import at_random, one_life
from tests.contract.lambda_service import drain, invoke
from tests.contract.source import TABLES
from tests.contract.test_crashes import check, every_death
from tests.contract.test_delivery import deliver


@pytest.fixture
def emulate(emulators, dynamodb_url):
    return lambda source: worlds.emulated(source.table, emulators, dynamodb_url)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("seed", range(2))
def test_shuffles_and_duplicates_end_where_the_source_is(harness, emulate, table, seed):
    source, random = at_random(seed, table, changes=16), Random(seed)
    world = emulate(source)
    deliver(harness, world, random.sample(source.records * 2, 2 * len(source.records)), random)
    harness.check(world, source)


def test_a_stale_redrive_long_after_changes_nothing(harness, emulate):
    source = one_life()
    world = emulate(source)
    deliver(harness, world, source.records, Random(0))
    for stale in source.records:
        assert invoke(deploy(harness, world), [{**stale, "distributary": {"origin": "redrive"}}]) is None
        harness.check(world, source)


def test_a_crash_before_or_after_any_call_is_mended_by_redelivery(harness, emulate):
    source = one_life()
    before, batch = source.records[:6], source.records[6:]
    for world in every_death(harness, lambda source: serial(emulate(source)), source, before, batch):
        drain(world, deploy(harness, world), batch)
        check(harness, world, source)


def serial(world):
    """So that the n-th call is the same in every run."""
    world.parallel = worlds.Serial()
    return world


def test_a_batch_of_more_rows_than_one_read_holds_ends_where_the_source_is(harness, emulate):
    source = at_random(0, users=130, changes=260)
    world = emulate(source)
    assert invoke(deploy(harness, world), source.records[::-1]) is None
    harness.check(world, source)
