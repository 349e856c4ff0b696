"""However often and in whatever order a history is delivered, every branch ends where the source table is."""

from random import Random

import pytest

from tests.contract.harness import deploy
from tests.contract.histories import at_random, one_life, step
from tests.contract.lambda_service import drain, invoke
from tests.contract.source import TABLES, Source

SEEDS = range(6)


def batches(records, random):
    """The records in order, cut at random."""
    records = list(records)
    while records:
        size = random.randint(1, 6)
        yield records[:size]
        records = records[size:]


def deliver(harness, world, records, random, generation=0):
    deployment = deploy(harness, world, generation=generation)
    for batch in batches(records, random):
        assert invoke(deployment, batch) is None
    assert world.parked(harness.name) == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.sampled(6)
def test_a_history_in_its_own_order_ends_where_the_source_is(harness, imagine, table, seed):
    source = at_random(seed, table)
    world = imagine(source)
    deliver(harness, world, source.records, Random(seed))
    harness.check(world, source)


@pytest.mark.parametrize("seed", SEEDS)
def test_duplicates_change_nothing(harness, imagine, seed):
    source, random = at_random(seed), Random(seed)
    world = imagine(source)
    twice = [record for record in source.records for _ in range(random.randint(1, 3))]
    deliver(harness, world, twice, random)
    harness.check(world, source)


def test_a_whole_batch_twice_is_the_same_as_once(harness, imagine):
    source = one_life()
    world = imagine(source)
    deployment = deploy(harness, world)
    for _ in range(2):
        assert invoke(deployment, source.records) is None
        once = [harness.held(world, source, user) for user in range(3)]
        harness.check(world, source)
    assert once == [harness.held(world, source, user) for user in range(3)]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.sampled(15)
def test_shuffles_across_any_distance_end_where_the_source_is(harness, imagine, table, seed):
    source, random = at_random(seed, table, changes=16), Random(seed)
    world = imagine(source)
    deliver(harness, world, random.sample(source.records, len(source.records)), random)
    harness.check(world, source)


def test_a_history_told_backwards_ends_where_the_source_is(harness, imagine):
    source = one_life()
    for size in (1, 3, len(source.records)):
        world = imagine(source)
        deployment = deploy(harness, world)
        backwards = source.records[::-1]
        for at in range(0, len(backwards), size):
            assert invoke(deployment, backwards[at : at + size]) is None
        harness.check(world, source)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.sampled(3)
def test_rewinds_change_nothing(harness, imagine, seed):
    source, random = at_random(seed, changes=20), Random(seed)
    world = imagine(source)
    deployment, at = deploy(harness, world), 0
    while at < len(source.records):
        end = min(len(source.records), at + random.randint(1, 5))
        assert invoke(deployment, source.records[at:end]) is None
        at = random.randrange(end) if random.random() < 0.3 else end
    harness.check(world, source)


def test_a_stale_redrive_long_after_changes_nothing(harness, imagine):
    source = one_life()
    for stale in source.records:
        world = imagine(source)
        deliver(harness, world, source.records, Random(0))
        world.clock += 6 * 86_400
        assert invoke(deploy(harness, world), [{**stale, "distributary": {"origin": "redrive"}}]) is None
        harness.check(world, source)


def backfilled(seed):
    """Users who were there before the stream; then, as the stream goes on, a scan that finds each of them once."""
    source = Source(seed=seed)
    for user in range(4):
        step(source, user)
    source.records.clear()
    snapshots = []
    for user in sorted(source.items):
        for _ in range(source.random.randrange(4)):
            step(source, source.random.randrange(5))
        if user in source.items:
            snapshots.append(source.snapshot(user))
    for _ in range(4):
        step(source, source.random.randrange(5))
    return source, snapshots


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.sampled(6)
def test_a_snapshot_beside_the_stream_ends_where_the_source_is_in_any_order(harness, imagine, seed):
    source, snapshots = backfilled(seed)
    random = Random(seed)
    everything = [*source.records, *snapshots]
    world = imagine(source)
    deliver(harness, world, random.sample(everything, len(everything)), random)
    harness.check(world, source)


def test_a_snapshot_greets_nobody(harness, imagine):
    source, snapshots = backfilled(1)
    world = imagine(source)
    deliver(harness, world, snapshots, Random(0))
    assert world.messages() == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_raised_generation_wins_over_the_old_one_whatever_comes_late(harness, imagine, seed):
    """Of each user who lives, the old generation saw the first change only; the new one's snapshot heals that, and
    it stays healed when the old one's changes come late. A message is no state, and waits for its own change."""
    if harness.agrees:
        return
    source, random = at_random(seed, changes=16), Random(seed)
    source.put(0, name={"S": "sentinel, at first"})
    source.put(0, name={"S": "sentinel, in the end"})
    old = list(source.records)
    first = {source.user_of(record): record for record in reversed(old)}
    seen = [each for each in old if source.user_of(each) not in source.items or each is first[source.user_of(each)]]
    world = imagine(source)
    deliver(harness, world, seen, random)
    snapshots = [source.snapshot(user) for user in source.items]
    step(source, 1)
    new = [*snapshots, *source.records[len(old) :]]
    deliver(harness, world, random.sample(new, len(new)), random, generation=1)
    if not harness.sends:
        harness.check(world, source, generation=1)
    deliver(harness, world, random.sample(old, len(old)), random, generation=0)
    harness.check(world, source, generation=1)


def test_an_empty_batch_succeeds_and_does_nothing(harness, imagine):
    source = Source()
    world = imagine(source)
    assert drain(world, deploy(harness, world), []) == 1
    harness.check(world, source)
