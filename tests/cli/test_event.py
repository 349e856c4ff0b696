"""`distributary event` makes an event that the functions' own decoder takes."""

import json

import pytest

from cli.errors import UsageFault
from cli.events import new_values, record, typed_keys
from cli.main import main
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
    made = json.loads(json.dumps({"Records": [record(ITEM, ["id"], kind, ARN, "eu-west-1", {"n": {"N": "2"}})]}))
    (change,) = decode(made, 0)
    assert (change.kind, change.old is not None, change.new is not None) == (event, old, new)
    assert change.expired == expired
    if kind == "modify":
        assert (change.old.raw["n"], change.new.raw["n"]) == ({"N": "1"}, {"N": "2"})


def test_the_key_takes_the_table_s_types_in_its_order():
    assert typed_keys(TABLE, ["sk=7", "pk=a=b"]) == {"pk": {"S": "a=b"}, "sk": {"N": "7"}}


@pytest.mark.parametrize("text", ["AP/+", "AP_-", "AP8=", "AP8"])
def test_a_binary_key_is_given_in_base64_of_either_alphabet(text):
    table = {**TABLE, "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "B"} for name in ("pk", "sk")]}
    key = typed_keys(table, [f"pk={text}", "sk=AA=="])
    assert key == {"pk": {"B": b"\x00\xff\xfe"[: 2 if "8" in text else 3]}, "sk": {"B": b"\x00"}}


@pytest.mark.parametrize("text", ["A", "ABC\u00e9", "A B="])
def test_a_binary_key_that_is_no_base64_is_named(text):
    table = {**TABLE, "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "B"} for name in ("pk", "sk")]}
    with pytest.raises(UsageFault, match="pk is binary: give it in base64"):
        typed_keys(table, [f"pk={text}", "sk=AA=="])


@pytest.mark.parametrize("text", ["zero", "", "1e", "NaN", "Infinity"])
def test_a_number_key_that_is_no_number_is_named(text):
    with pytest.raises(UsageFault, match="sk is a number: give one"):
        typed_keys(TABLE, ["pk=a", f"sk={text}"])


@pytest.mark.parametrize("given", [["pk=a"], ["pk=a", "sk"], ["pk=a", "sk=1", "x=2"]])
def test_a_key_that_is_not_the_table_s_is_told_how_it_is_given(given):
    with pytest.raises(UsageFault, match="--key pk=VALUE --key sk=VALUE"):
        typed_keys(TABLE, given)


def test_a_new_value_takes_the_type_that_the_item_has_there():
    given = ["n=2", "name=a=b", "on=true"]
    item = {**ITEM, "on": {"BOOL": False}}
    assert new_values(item, {"id": {}}, given) == {"n": {"N": "2"}, "name": {"S": "a=b"}, "on": {"BOOL": True}}


@pytest.mark.parametrize(
    ("given", "says"),
    [("n=many", "a number"), ("avatar=x", "type B"), ("id=u2", "never changes the key"), ("n", "NAME=VALUE")],
)
def test_a_new_value_that_cannot_be_is_refused(given, says):
    with pytest.raises(UsageFault, match=says):
        new_values(ITEM, {"id": {}}, [given])


@pytest.mark.parametrize("more", [["--kind", "modify"], ["--kind", "remove", "--set", "a=b"], ["--set", "a=b"]])
def test_modify_and_set_belong_together(capsys, more):
    assert main(["event", "users", "--key", "id=1", *more]) == 2
    assert capsys.readouterr().err == (
        "--kind modify and --set NAME=VALUE belong together: --set says what the change makes new\n"
    )
