"""Versioned rows through one thread and real sockets: what holds with threads holds here, whatever the network does."""

import time

import pytest
from botocore.credentials import ReadOnlyCredentials

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.outcome import Status
from distributary.consumer.parallel import Parallel
from distributary.dynamodb.client import DynamoDBClient
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register, Write
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.dynamodb_server import HARMLESS, PASSING, serving, throttled, well

SCHEMAS = {"rows": {"pk": "S"}, "tombstones": {"id": "S"}}


class NoThreads:
    """Every call has to go through the loop."""

    def run(self, *_):
        raise AssertionError("a thread was asked for")


@pytest.fixture
def table():
    return DynamoDB(SCHEMAS)


@pytest.fixture
def server(table):
    with serving(table) as running:
        yield running


def register(server, parallel=None, connections=16):
    rows, tombstones = (
        DynamoDBClient(
            server.url, "eu-west-1", lambda: ReadOnlyCredentials("a", "b", None), connections, read_seconds=10
        )
        for _ in range(2)
    )
    return Register(rows, "rows", Tombstones(tombstones, "tombstones", 7), parallel or NoThreads())


def put(n, version):
    key = {"pk": {"S": f"{n:04}"}}
    return Write(key["pk"]["S"], key, {**key, "at": {"N": str(version)}}, version)


def delete(n, version):
    return Write(f"{n:04}", {"pk": {"S": f"{n:04}"}}, None, version)


def rows(table):
    return {key[0]: int(row["at"]["N"]) for key, row in table.state["rows"].items()}


def test_no_thread_takes_part_and_every_call_is_counted_as_before(server, table):
    writes = [put(n, 5) for n in range(250)]
    ends = register(server).write(writes, FOREVER)
    assert {end.status for end in ends} == {Status.APPLIED}
    assert table.calls == {"PutItem": 250, "BatchGetItem": 3}
    table.calls.clear()
    ends = register(server).write([delete(n, 6) for n in range(120)], FOREVER)
    assert {end.status for end in ends} == {Status.APPLIED}
    assert table.calls == {"PutItem": 120, "DeleteItem": 120}


def test_a_put_older_than_its_tombstone_is_taken_back(server, table):
    its = register(server)
    its.write([delete(n, 9) for n in range(5)], FOREVER)
    ends = its.write([put(n, 7) for n in range(8)], FOREVER)
    assert [end.status for end in ends] == [Status.SUPERSEDED] * 5 + [Status.APPLIED] * 3
    assert rows(table) == {"0005": 7, "0006": 7, "0007": 7}


@pytest.mark.parametrize("threads", [False, True], ids=["loop", "threads"])
@pytest.mark.parametrize("seed", range(3))
def test_redelivered_until_done_the_newest_wins_whatever_the_network_did(server, table, seed, threads):
    plan = [(n, (n * 7 + turn * 3 + seed) % 10 + 1, (n + turn) % 4 == 0) for turn in range(4) for n in range(30)]
    newest = {}
    for n, version, gone in plan:
        if version > newest.get(n, (0, False))[0]:
            newest[n] = version, gone
    plan = [each for each in plan if newest[each[0]][0] != each[1] or newest[each[0]][1] == each[2]]
    faults = HARMLESS + PASSING
    server.faults.extend(faults[(at * (seed + 3)) % len(faults)] for at in range(150))
    its = register(server, Parallel(4) if threads else None)
    left = [delete(n, version) if gone else put(n, version) for n, version, gone in plan]
    for _ in range(20):
        ends = its.write(left, FOREVER)
        assert Status.PARKED not in {end.status for end in ends}
        left = [write for write, end in zip(left, ends, strict=True) if end.status is Status.FAILED]
        if not left:
            break
    assert not left
    assert rows(table) == {f"{n:04}": version for n, (version, gone) in newest.items() if not gone}


def test_what_was_looked_at_before_the_deadline_is_done_for_good(server):
    def slow(exchange):
        time.sleep(0.02)
        return well(exchange)

    server.faults.extend([slow] * 2000)
    ends = register(server, connections=4).write([put(n, 1) for n in range(600)], Deadline(time.monotonic() + 1.5))
    found = [end.status for end in ends]
    done = found.index(Status.FAILED)
    assert done >= 100
    assert done % 100 == 0
    assert set(found[done + 200 :]) == {Status.FAILED}


def test_throttled_writes_are_tried_again_without_holding_up_the_others(server, table):
    server.faults.extend([throttled] * 12)
    ends = register(server).write([put(n, 1) for n in range(100)], FOREVER)
    assert [end.status for end in ends].count(Status.FAILED) <= 4
    assert len(rows(table)) >= 96


def test_writes_whose_turn_comes_after_the_deadline_fail_and_write_nothing(server, table):
    ends = register(server).write([put(1, 1), delete(2, 1)], Deadline(time.monotonic() - 60))
    assert [end.status for end in ends] == [Status.FAILED] * 2
    assert table.calls == {}
