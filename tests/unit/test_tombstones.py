"""Tombstones carry a format: those of release 0.1 are read, those of a later release are refused and stay."""

import pytest

from distributary.consumer.deadline import FOREVER
from distributary.dynamodb.tombstones import FORMAT, Tombstones
from distributary.dynamodb.versioned_table import Register, Write
from distributary.errors import ConfigError
from distributary.stream import version as versions
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.serial import Serial


@pytest.fixture
def client():
    return DynamoDB({"rows": {"pk": "S"}, "tombstones": {"id": "S"}})


@pytest.fixture
def tombstones(client):
    return Tombstones(client, "tombstones", 7, lambda: 1000.0)


def written(client, version, **more):
    """A tombstone as another release wrote it."""
    item = {"id": {"S": "a"}, "version": {"S": versions.to_text(version)}, "expires_at": {"N": "605800"}, **more}
    client.put_item(TableName="tombstones", Item=item)
    return item


def put(version):
    return Write("a", {"pk": {"S": "a"}}, {"pk": {"S": "a"}}, version)


def test_a_tombstone_names_its_format_and_costs_one_write(client, tombstones):
    assert tombstones.put_tombstone("a", 5)
    (item,) = client.state["tombstones"].values()
    assert item["format"] == {"N": str(FORMAT)}
    assert client.write_units == 1


def test_a_tombstone_of_release_0_1_outranks_an_older_put(client, tombstones):
    written(client, 5)
    assert tombstones.find(["a"], FOREVER) == {"a": versions.to_text(5)}
    assert not tombstones.put_tombstone("a", 4)
    register = Register(client, "rows", tombstones, Serial())
    assert [end.status.value for end in register.write([put(4)], FOREVER)] == ["Superseded"]
    assert client.state["rows"] == {}


def test_a_newer_delete_upgrades_a_tombstone_of_release_0_1(client, tombstones):
    written(client, 5)
    assert tombstones.put_tombstone("a", 6)
    assert client.state["tombstones"]["a",]["format"] == {"N": str(FORMAT)}


@pytest.mark.parametrize("version", [4, 6])
def test_a_tombstone_of_a_later_release_is_refused_and_stays(client, tombstones, version):
    item = written(client, 5, format={"N": str(FORMAT + 1)})
    with pytest.raises(ConfigError, match=r"a tombstone has format 2.*deploy that release again"):
        tombstones.put_tombstone("a", version)
    with pytest.raises(ConfigError, match="deploy that release again"):
        Register(client, "rows", tombstones, Serial()).write([put(version)], FOREVER)
    assert client.state["tombstones"]["a",] == item


def test_a_repairs_tombstone_is_between_its_version_and_all_that_is_newer(tombstones):
    tombstones.put_tombstone("a", 5, revision=versions.RETIRED)
    (text,) = tombstones.find(["a"], FOREVER).values()
    assert versions.to_text(5) < text < versions.to_text(5, "0") < versions.to_text(6)
    assert versions.from_text(text) == 5
    assert not tombstones.put_tombstone("a", 5)
    assert tombstones.put_tombstone("a", 6)
