"""Merging on a DynamoDB that runs: its conditions take a row of every type as it was seen."""

import uuid

import boto3
import pytest

from distributary.consumer.deadline import FOREVER
from distributary.dynamodb.steps import finish
from distributary.replicate.declarations import MultiActive, last_writer
from distributary.replicate.multi_active.conditional_rows import Rows
from distributary.replicate.multi_active.lww import Stamps
from distributary.replicate.multi_active.whole_items import MultiActiveBranch
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.codec import encode_item
from tests.contract.world import create_table
from tests.fakes.serial import Serial

US, EU = "us-east-1", "eu-west-1"
DECLARED = MultiActive(regions=(US, EU), rule=last_writer("at"))
READING = Stamps(DECLARED.rule, DECLARED.regions, REPLICA_VERSION)
KEY = {"id": {"S": "x"}, "n": {"N": "1"}}
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
    rows = Rows(client, EU, f"{prefix}-items", f"{prefix}-tombstones", REPLICA_VERSION, 7)
    return MultiActiveBranch(DECLARED, (rows,), READING, None, Serial()).item(KEY, FOREVER)


def edit(at, region=US):
    return READING.row({**EVERY_TYPE, "at": {"N": str(at)}}, region, at, certain=True)


def merged(site, state):
    return finish(site.merge(site.home, state))


def row(site):
    return finish(site.home.rows.row(KEY))


def test_a_row_of_every_type_is_overwritten_only_if_it_is_as_it_was_seen(site):
    site.home.rows.client.put_item(TableName=site.home.rows.table, Item=EVERY_TYPE)
    assert merged(site, edit(2))
    assert merged(site, edit(3))
    assert not merged(site, edit(2))
    assert READING.row(row(site), EU) == edit(3)


def test_a_deletion_stays_and_a_later_edit_comes_to_life(site):
    site.home.rows.client.put_item(TableName=site.home.rows.table, Item=EVERY_TYPE)
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
    site.home.rows.client.put_item(TableName=site.home.rows.table, Item=EVERY_TYPE)
    seen = {**EVERY_TYPE, name: OTHERWISE[name]}
    assert not finish(site.home.rows.put(KEY, EVERY_TYPE, seen))


def test_a_tombstone_that_moved_is_not_overwritten_by_an_earlier_decision(site):
    assert merged(site, edit(2).deletion())
    seen = finish(site.home.look())
    assert merged(site, edit(4).deletion())
    assert finish(site.home.write(edit(3).deletion(), seen)) is None
    assert finish(site.home.tombstone()) == edit(4).deletion()


@pytest.mark.parametrize("name", sorted(set(EVERY_TYPE) - set(KEY)))
def test_a_row_whose_attribute_differs_is_not_as_it_was_seen(site, name):
    site.home.rows.client.put_item(TableName=site.home.rows.table, Item=EVERY_TYPE)
    seen = {**EVERY_TYPE, name: {"S": "another"}}
    assert not finish(site.home.rows.put(KEY, EVERY_TYPE, seen))
