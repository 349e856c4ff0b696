"""Merging on a DynamoDB that runs: its conditions take a row of every type as it was seen."""

import uuid

import boto3
import pytest

from distributary.consumer.deadline import Deadline
from distributary.replicate.declarations import last_writer
from distributary.replicate.multi_active.replica_table import Place, Reading, RegionTable
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.codec import encode_item
from tests.contract.world import create_table

US, EU = "us-east-1", "eu-west-1"
READING = Reading(last_writer("at"), (US, EU), REPLICA_VERSION)
KEY = {"id": {"S": "x"}, "n": {"N": "1"}}
PLACE = Place(KEY, "multi-active/x")
EVERY_TYPE = {
    **KEY,
    **encode_item(
        {
            "at": 1,
            "text": "ü ☃",
            "empty": "",
            "number": 27182818284590452353602874713526624977,
            "binary": b"\x00\xff",
            "yes": True,
            "nothing": None,
            "words": {"b", "a", "ü"},
            "numbers": {3, 1, 2},
            "blobs": {b"b", b"a"},
            "nested": {"list": [1, {"deep": {"x"}}, None], "map": {}},
        }
    ),
}


@pytest.fixture
def site(dynamodb_url):
    prefix = f"s{uuid.uuid4().hex}"
    keys = {"aws_access_key_id": prefix, "aws_secret_access_key": "test"}
    client = boto3.client("dynamodb", endpoint_url=dynamodb_url, region_name=EU, **keys)
    create_table(client, f"{prefix}-items", {"id": "S", "n": "N"})
    create_table(client, f"{prefix}-tombstones", {"id": "S"})
    return RegionTable(client, EU, f"{prefix}-items", f"{prefix}-tombstones", READING, 7)


def edit(at, region=US):
    return READING.row({**EVERY_TYPE, "at": {"N": str(at)}}, region, at, certain=True)


def merged(site, state):
    return site.merge(PLACE, state, state.region, Deadline(float("inf")), lambda _: None)


def row(site):
    return site.client.get_item(TableName=site.table, Key=KEY, ConsistentRead=True).get("Item")


def test_a_row_of_every_type_is_overwritten_only_if_it_is_as_it_was_seen(site):
    site.client.put_item(TableName=site.table, Item=EVERY_TYPE)
    assert merged(site, edit(2))
    assert merged(site, edit(3))
    assert not merged(site, edit(2))
    assert READING.row(row(site), EU) == edit(3)


def test_a_deletion_stays_and_a_later_edit_comes_to_life(site):
    site.client.put_item(TableName=site.table, Item=EVERY_TYPE)
    assert merged(site, edit(2).deletion())
    assert row(site) is None
    assert [merged(site, edit(2)), merged(site, edit(2).deletion())] == [False, False]
    assert row(site) is None
    assert merged(site, edit(3))
    assert READING.row(row(site), EU) == edit(3)
    assert merged(site, edit(3).deletion())
    assert row(site) is None


OTHERWISE = {
    "nested": {"M": {**EVERY_TYPE["nested"]["M"], "list": {"L": [{"N": "1"}, {"M": {}}, {"NULL": True}]}}},
    "words": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "binary": {"B": b"\x00"},
}


@pytest.mark.parametrize("name", sorted(OTHERWISE))
def test_a_row_whose_attribute_differs_within_its_type_is_not_as_it_was_seen(site, name):
    site.client.put_item(TableName=site.table, Item=EVERY_TYPE)
    seen = {**EVERY_TYPE, name: OTHERWISE[name]}
    assert not site.rows.put(PLACE.key, EVERY_TYPE, seen)


def test_a_tombstone_that_moved_is_not_overwritten_by_an_earlier_decision(site):
    assert merged(site, edit(2).deletion())
    seen = site.grave(PLACE)
    assert merged(site, edit(4).deletion())
    assert not site._entomb(PLACE, edit(3).deletion(), US, seen)
    assert site.grave(PLACE).state == edit(4).deletion()


@pytest.mark.parametrize("name", sorted(set(EVERY_TYPE) - set(KEY)))
def test_a_row_whose_attribute_differs_is_not_as_it_was_seen(site, name):
    site.client.put_item(TableName=site.table, Item=EVERY_TYPE)
    seen = {**EVERY_TYPE, name: {"S": "another"}}
    assert not site.rows.put(PLACE.key, EVERY_TYPE, seen)
