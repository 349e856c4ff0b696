"""What `make example` reads and compares: rows, documents, events, archived changes and a replica's items."""

import io
from dataclasses import fields

import pytest
from rich.console import Console

from local import downstream
from local.downstream import Downstream
from tests.unit.archives import bucket
from tests.unit.records import change

KINDS = [each.name for each in fields(Downstream)]


@pytest.mark.parametrize("what", KINDS)
def test_a_thing_that_is_gone_changed_or_besides_is_named(what):
    should = Downstream(**{what: {"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}}})
    made = Downstream(**{what: {"b": {"n": 2}, "c": {"n": 4}, "d": {}}})
    assert should.differences(made) == [
        f"{what}: a: should be {{'n': 1}}, is None",
        f"{what}: c: should be {{'n': 3}}, is {{'n': 4}}",
        f"{what}: d: should be None, is {{}}",
    ]
    assert should.differences(should) == []


def test_a_change_that_is_archived_twice_counts_once():
    changes = [
        change(0, "INSERT", user="u-1", new={"n": {"N": "1"}}),
        change(1, "MODIFY", user="u-1", old={"n": {"N": "1"}}, new={"n": {"N": "2"}}),
        change(2, "INSERT", user="u-2", new={"n": {"N": "1"}}),
    ]
    s3 = bucket([changes, changes[1:], changes])
    assert downstream.changes(s3, "archive", "users", lambda each: each.kind) == {
        "INSERT": {"times": 2},
        "MODIFY": {"times": 1},
    }
    users = downstream.changes(s3, "archive", "users", lambda each: each.new["user_id"]["S"] if each.old else None)
    assert users == {"u-1": {"times": 1}}


@pytest.fixture
def kept(aws):
    client = aws.client("dynamodb")
    keys = {"pk": "HASH", "sk": "RANGE"}
    client.create_table(
        TableName="kept",
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    own = {"_distributary_version": {"N": "1"}, "none": {"NULL": True}, "shown": {"S": "yes"}}
    for pk in ("A#1", "%mview"):
        client.put_item(TableName="kept", Item={"pk": {"S": pk}, "sk": {"S": "B"}, **own})
    yield client
    client.delete_table(TableName="kept")


def test_rows_and_items_are_shown_as_readers_see_them(kept):
    assert downstream.rows(kept, "kept") == {"A#1 / B": {"shown": "yes"}}
    found = downstream.replica(kept, "kept", ("pk", "sk"))
    assert found["kept / A#1 / B"] == {"pk": "A#1", "sk": "B", "none": None, "shown": "yes"}


def test_each_kind_of_row_has_a_table_of_its_own():
    names = ("USER#1 / TOTALS", "USER#2 / TOTALS", "USER#1 / ORDER#7", "DAY#1 / 2026-09-01#1", "DAY#1 / DE#2")
    output = io.StringIO()
    Downstream(rows={name: {"n": 1} for name in names}).show(Console(file=output, width=120))
    titles = [line.strip() for line in output.getvalue().splitlines() if line.startswith("rows")]
    assert titles == ["rows: DAY (2)", "rows: USER / ORDER (1)", "rows: USER / TOTALS (2)"]
