"""`distributary event` makes an event that the functions' own decoder takes."""

import json

import pytest

from cli.errors import UsageFault
from cli.events import record, typed_keys
from distributary.stream.change import Kind
from distributary.stream.records import decode

ITEM = {"id": {"S": "u1"}, "avatar": {"B": b"\x00\xff"}, "n": {"N": "1"}}
ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/users/stream/2026-01-01T00:00:00.000"
TABLE = {
    "KeySchema": [{"AttributeName": "sk", "KeyType": "RANGE"}, {"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
    ],
}


@pytest.mark.parametrize(
    ("kind", "event", "old", "new", "expired"),
    [
        ("insert", Kind.INSERT, False, True, False),
        ("modify", Kind.MODIFY, True, True, False),
        ("remove", Kind.REMOVE, True, False, False),
        ("expire", Kind.REMOVE, True, False, True),
    ],
)
def test_each_kind_is_what_a_function_decodes(kind, event, old, new, expired):
    made = json.loads(json.dumps({"Records": [record(ITEM, ["id"], kind, ARN, "eu-west-1")]}))
    (change,) = decode(made, 0)
    assert (change.kind, change.old is not None, change.new is not None) == (event, old, new)
    assert change.expired == expired
    if kind == "modify":
        assert "n" not in change.old.raw


def test_the_key_takes_the_table_s_types_in_its_order():
    assert typed_keys(TABLE, ["sk=7", "pk=a=b"]) == {"pk": {"S": "a=b"}, "sk": {"N": "7"}}


@pytest.mark.parametrize("given", [["pk=a"], ["pk=a", "sk"], ["pk=a", "sk=1", "x=2"]])
def test_a_key_that_is_not_the_table_s_is_told_how_it_is_given(given):
    with pytest.raises(UsageFault, match="--key pk=VALUE --key sk=VALUE"):
        typed_keys(TABLE, given)
