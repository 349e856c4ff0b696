"""A function that Lambda gave up on goes on beside its successor: every order of their calls ends the same."""

from types import SimpleNamespace

import pytest

from tests.contract.branches import HARNESSES
from tests.contract.harness import deploy
from tests.contract.histories import one_life, shortest
from tests.contract.lambda_service import drain, invoke
from tests.fakes.interleavings import Interleavings

PAIRS = (
    (slice(0, 1), slice(0, 4)),
    (slice(0, 4), slice(0, 4)),
    (slice(0, 3), slice(3, 4)),
    (slice(3, 4), slice(0, 3)),
    (slice(2, 4), slice(0, 4)),
)


PLAYED = [each for each in HARNESSES if not each.agrees]

MORE = ("both", "derive-ledger")
"""Of three at once, those that have the most orders, beside `derive`."""


@pytest.fixture(params=PLAYED, ids=lambda harness: harness.name)
def harness(request):
    return request.param


@pytest.fixture(autouse=True)
def owners(monkeypatch):
    """Claims' owners and groups' revisions: each life of each program has its own, the same whenever its calls are
    played again."""
    drawn = SimpleNamespace(life="", count=0)

    def uuid4():
        drawn.count += 1
        return SimpleNamespace(hex=f"{drawn.life}-{drawn.count}")

    monkeypatch.setattr("distributary.welcome.branch.uuid4", uuid4)
    monkeypatch.setattr("distributary.derive.ledger_tables.uuid", SimpleNamespace(uuid4=uuid4))
    return drawn


def consumer(harness, world, owners, number, batch):
    """A program: one delivery of the batch."""

    def run(wrap, lives):
        owners.life, owners.count = f"{number}-{lives}", 0
        return invoke(deploy(harness, world, wrap), batch)

    return run


def every_order(harness, world, owners, batches, crashes=0):
    harness.prepare(world, 0)
    programs = [consumer(harness, world, owners, number, batch) for number, batch in enumerate(batches)]
    return Interleavings(world, programs, crashes)


def check(harness, world, source, batches, found, owners):
    """In every ending; what was answered as failed is delivered again, and nothing else."""
    start = world.clock
    for ending, answers in found.endings:
        world.thaw(ending)
        world.clock = start
        owners.life = "again"
        for batch, answer in zip(batches, answers, strict=True):
            if answer is not None:
                drain(world, deploy(harness, world), batch)
        harness.check(world, source)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_a_zombie_and_its_successor_end_where_the_source_is(harness, imagine, owners, pair):
    source = shortest()
    world = imagine(source)
    batches = [source.records[part] for part in pair]
    found = every_order(harness, world, owners, batches)
    check(harness, world, source, batches, found, owners)
    certain = [each for each in world.parked(harness.name) if "unknown" not in each["cause"]]
    assert certain == []


@pytest.mark.sampled(1)
@pytest.mark.parametrize("pair", PAIRS[1:4], ids=str)
def test_a_zombie_and_its_successor_may_crash_too(harness, imagine, owners, pair):
    source = shortest()
    world = imagine(source)
    batches = [source.records[part] for part in pair]
    found = every_order(harness, world, owners, batches, crashes=1)
    check(harness, world, source, batches, found, owners)


@pytest.mark.parametrize(
    "harness",
    [pytest.param(each, marks=pytest.mark.slow if each.name in MORE else ()) for each in PLAYED],
    ids=lambda harness: harness.name,
    indirect=True,
)
def test_three_at_once_on_an_item_that_is_born_again_end_where_the_source_is(harness, imagine, owners):
    source = one_life()
    mine = [record for record in source.records if source.user_of(record) == 2]
    source.delete(0), source.delete(1)
    source.records[:] = mine
    world = imagine(source)
    batches = [[record] for record in mine]
    found = every_order(harness, world, owners, batches, crashes=1)
    check(harness, world, source, batches, found, owners)
