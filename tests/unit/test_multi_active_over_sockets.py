"""Several regions through one thread and real sockets: what holds with threads holds here, whatever sockets do."""

import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from botocore.credentials import ReadOnlyCredentials

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.outcome import Status
from distributary.consumer.parallel import Parallel
from distributary.dynamodb.client import DynamoDBClient
from distributary.replicate.multi_active.conditional_rows import TRIES
from distributary.stream.records import decode
from tests.fakes import s3
from tests.fakes.answers import refusal
from tests.fakes.dynamodb_server import HARMLESS, PASSING, serving
from tests.unit.edited_regions import ALL, AP, EU, RULES, US, World

CONFLICTING = pytest.mark.parametrize("rule", [RULES["whole"], RULES["merged"]], ids=["whole", "merged"])
ITEMS = [f"i{n}" for n in range(12)]


class NoThreads:
    """Every call to a table has to go through the loop."""

    def run(self, *_):
        raise AssertionError("a thread was asked for")

    def begin(self, call):
        raise AssertionError(f"{call} was made aside")


class AsidesOnly(Parallel):
    def run(self, *_):
        raise AssertionError("a thread was asked for")


def served(rule, server_of, regions=(US, EU), parallel=None, connections=16):
    """A world whose functions reach the tables over sockets."""
    world = World(rule, regions)
    server = server_of(world.tables)
    client = DynamoDBClient(
        server.url, US, lambda: ReadOnlyCredentials("a", "b", None), connections, read_seconds=10, jitter=lambda *_: 0.0
    )
    world.parallel = parallel or NoThreads()
    world.wrap = lambda *_: client
    return world, server


@pytest.fixture
def server_of():
    running = []

    def start(table):
        made = serving(table)
        running.append(made)
        return made.__enter__()

    yield start
    for each in running:
        each.__exit__(None, None, None)


def edited(world):
    """Inserts, updates and deletes in both regions, of which most conflict with none."""
    for at, name in enumerate(ITEMS):
        region = (US, EU)[at % 2]
        world.put(region, at + 1, f"{name} new", name)
        if at % 3:
            world.update(region, at + 20, name, value={"S": f"{name} later"})
        if at % 4 == 3:
            world.delete(region, name)


def right():
    names = [(at, name) for at, name in enumerate(ITEMS) if at % 4 != 3]
    return {name: f"{name} later" if at % 3 else f"{name} new" for at, name in names}


@ALL
def test_no_thread_takes_part_and_every_call_is_counted_as_before(rule, server_of):
    ends = {}
    for through in ("sockets", "calls"):
        world = served(rule, server_of)[0] if through == "sockets" else World(rule)
        edited(world)
        world.spent()
        statuses = [world.carry(US), world.carry(EU), world.carry(US), world.carry(EU)]
        ends[through] = statuses, Counter(world.spent()), world.values()
    assert ends["sockets"] == ends["calls"]
    assert ends["sockets"][2] == [right()] * 2


@ALL
@pytest.mark.parametrize("threads", [False, True], ids=["loop", "threads"])
@pytest.mark.parametrize("seed", range(2))
def test_redelivered_until_done_all_regions_agree_whatever_the_network_did(rule, server_of, seed, threads):
    world, server = served(rule, server_of, (US, EU, AP), Parallel(4))
    if threads:
        ours = world.wrap(None, None)
        world.wrap = lambda *_: Through(ours)
    edited(world)
    faults = HARMLESS + PASSING
    server.faults.extend(faults[(at * (seed * 2 + 3)) % len(faults)] for at in range(200))
    for _ in range(20):
        ends = [end for region in (US, EU, AP) for end in world.carry(region, since=0)]
        assert Status.PARKED not in ends
        if Status.FAILED not in ends:
            break
    world.settle()
    assert world.values() == [right()] * 3


class Through:
    """A client that is not ours, so its calls are made by threads."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, operation):
        return getattr(self._client, operation)


@pytest.mark.parametrize("threads", [False, True], ids=["loop", "threads"])
@CONFLICTING
def test_after_the_deadline_no_item_is_begun(rule, server_of, threads):
    world, server = served(rule, server_of, parallel=Parallel(2))
    if threads:
        ours = world.wrap(None, None)
        world.wrap = lambda *_: Through(ours)
    edited(world)
    changes = decode({"Records": world.tables.records_of(US)}, 0)
    ends = world.branch(US).apply(changes, Deadline(time.monotonic() - 1.0, reserve=60.0))
    assert {end.status for end in ends} == {Status.FAILED}
    assert server.requests == 0


class Bucket:
    """S3 as `world` has it, whose puts wait until so many are under way."""

    def __init__(self, world, many):
        self.conflicts, self._barrier = world.s3, threading.Barrier(many)
        self.state = world.s3.state

    def put_object(self, **arguments):
        self._barrier.wait(10.0)
        return self.conflicts.put_object(**arguments)


def clashing(world):
    """Both regions make each item at once; EU's is later."""
    for name in ITEMS[:4]:
        world.put(US, 1, "us", name)
        world.put(EU, 2, "eu", name)


@CONFLICTING
def test_conflicts_are_recorded_at_once_and_hold_up_no_other_item(rule, server_of):
    world, _ = served(rule, server_of, parallel=AsidesOnly(4))
    clashing(world)
    world.carry(US)
    world.s3 = Bucket(world, 4)
    assert world.carry(EU) == [Status.APPLIED] * 4
    assert world.conflicts == 4
    assert world.values() == [dict.fromkeys(ITEMS[:4], "eu")] * 2


class Broken:
    """S3 that refuses."""

    def put_object(self, **_):
        raise s3.BROKEN


@CONFLICTING
def test_a_conflict_that_can_not_be_recorded_fails_its_change_alone(rule, server_of):
    world, _ = served(rule, server_of, parallel=AsidesOnly(4))
    clashing(world)
    world.put(EU, 1, "alone", "other")
    world.carry(US)
    kept, world.s3 = world.s3, Broken()
    assert world.carry(EU) == [Status.FAILED] * 4 + [Status.APPLIED]
    assert world.values()[0] == {**dict.fromkeys(ITEMS[:4], "us"), "other": "alone"}
    world.s3 = kept
    assert world.carry(EU, since=0) == [Status.APPLIED] * 4 + [Status.SUPERSEDED]
    assert world.conflicts == 4
    world.settle()
    assert world.values() == [{**dict.fromkeys(ITEMS[:4], "eu"), "other": "alone"}] * 2


class Overtaken:
    """A client of tables into which another writer is always faster."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, operation):
        return getattr(self._client, operation)

    def put_item(self, **_):
        raise refusal("PutItem", "ConditionalCheckFailedException", "overtaken")


def test_before_each_further_try_of_what_others_overtake_is_a_longer_pause():
    world, pauses = World(RULES["whole"]), []
    world.put(US, 1, "a")
    world.wrap = lambda client, _: Overtaken(client)
    branch = replace(world.branch(US), wait=pauses.append)
    (end,) = branch.apply(decode({"Records": world.tables.records_of(US)}, 0), FOREVER)
    assert end == (Status.FAILED, f"{EU}: the item is written to faster than it can be merged", "", "")
    longest = [0.02 * 2**tried for tried in range(1, TRIES)]
    assert len(pauses) == TRIES - 1
    assert all(0 < pause <= min(most, 2.0) for pause, most in zip(pauses, longest, strict=True))
