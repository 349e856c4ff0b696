"""What the Register asks of DynamoDB, to the unit."""

import time

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, IGNORED, SUPERSEDED
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register, Write
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.serial import Serial
from tests.replaced import replace

FOREVER = Deadline(float("inf"))


@pytest.fixture
def client():
    return DynamoDB({"rows": {"pk": "S"}, "tombstones": {"id": "S"}})


@pytest.fixture
def register(client):
    return Register(client, "rows", Tombstones(client, "tombstones", 7), Serial())


def put(name, version, size=10):
    key = {"pk": {"S": name}}
    return Write(name, key, {**key, "value": {"S": "x" * size}}, version)


def delete(name, version):
    return Write(name, {"pk": {"S": name}}, None, version)


def test_a_put_is_one_write_of_the_rows_size_and_one_read(client, register):
    register.write([put("a", 1)], FOREVER)
    assert (client.calls, client.write_units, client.read_units) == ({"PutItem": 1, "BatchGetItem": 1}, 1, 1.0)


def test_a_put_of_five_kilobytes_is_six_write_units_with_its_version(client, register):
    register.write([put("a", 1, 5 * 1024)], FOREVER)
    assert client.write_units == 6


def test_a_delete_is_two_writes(client, register):
    register.write([delete("a", 1)], FOREVER)
    assert (client.calls, client.write_units, client.read_units) == ({"PutItem": 1, "DeleteItem": 1}, 2, 0)


def test_a_delete_if_present_that_finds_no_row_is_one_read(client, register):
    (end,) = register.write([replace(delete("a", 1), if_present=True)], FOREVER)
    assert (end, client.calls, client.write_units, client.read_units) == (IGNORED, {"BatchGetItem": 1}, 0, 1.0)


def test_a_delete_if_present_keeps_the_tombstone_of_its_batchs_older_one(register):
    """It supersedes that delete, which would have left one: no older put may bring the row back later."""
    register.write([delete("a", 5), replace(delete("a", 6), if_present=True)], FOREVER)
    register.write([put("a", 4)], FOREVER)
    assert register.client.state["rows"] == {}


def test_a_delete_if_present_that_finds_a_newer_row_is_one_read(client, register):
    register.write([put("a", 5)], FOREVER)
    (end,) = register.write([replace(delete("a", 4), if_present=True)], FOREVER)
    assert (end, client.write_units, client.read_units) == (SUPERSEDED, 1, 2.0)


def test_a_row_that_its_table_expires_leaves_its_version_for_longer(client, register):
    """The tombstone does not outrank its own row; once TTL has taken the row, it outranks every older put."""
    expires = int(time.time()) + 1_000_000
    (end,) = register.write([replace(put("a", 5), expires_at=expires)], FOREVER)
    assert (end, client.write_units) == (APPLIED, 2)
    (kept,) = client.state["tombstones"].values()
    assert int(kept["expires_at"]["N"]) == expires + 7 * 86_400
    client.state["rows"].clear()
    assert register.write([put("a", 4)], FOREVER) == [SUPERSEDED]
    assert client.state["rows"] == {}


def test_a_put_that_its_tombstone_outranks_is_one_write_more(client, register):
    register.write([delete("a", 2)], FOREVER)
    before = client.write_units
    register.write([put("a", 1)], FOREVER)
    assert client.write_units - before == 2


def test_tombstones_are_looked_at_a_hundred_at_a_time(client, register):
    register.write([put(str(each), 1) for each in range(250)], FOREVER)
    assert client.calls["BatchGetItem"] == 3
    assert client.read_units == 250


def test_a_superseded_put_looks_too(client, register):
    """Whoever was superseded may be the one who takes back what a crash left: tests/unit/test_register_model.py."""
    register.write([put("a", 1)], FOREVER)
    register.write([put("a", 1)], FOREVER)
    assert client.calls["BatchGetItem"] == 2


@pytest.mark.parametrize("spares", [False, True])
def test_a_delete_that_leaves_a_newer_row_is_superseded_at_the_same_cost(client, register, spares):
    """A delete that is applied and leaves its row would be a lost change: a lowered generation makes such deletes."""
    register.write([put("a", 10**40 + 1)], FOREVER)
    before = client.write_units
    (end,) = register.write([replace(delete("a", 5), spares_unversioned=spares)], FOREVER)
    assert (end, client.write_units - before) == (SUPERSEDED, 2)
    assert len(client.state["rows"]) == 1


def test_a_delete_that_spares_a_row_without_a_version_is_applied(client, register):
    client.put_item(TableName="rows", Item={"pk": {"S": "a"}})
    assert register.write([replace(delete("a", 5), spares_unversioned=True)], FOREVER) == [APPLIED]
    assert len(client.state["rows"]) == 1


def test_a_repair_is_one_write_and_one_read_and_a_removal_three_writes(client, register):
    register.repair(put("a", 1), {}, "")
    assert (client.write_units, client.read_units) == (1, 1.0)
    register.repair(delete("a", 0), client.state["rows"]["a",], "")
    assert (client.write_units, client.read_units, client.state["rows"]) == (4, 1.0, {})
