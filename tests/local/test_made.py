"""What functions made is listed: rows, documents and messages that are new, changed or gone."""

import itertools
import json
import urllib.request

import pytest

from local.aws import Aws
from local.errors import LocalError
from local.made import LISTED, Made

_numbers = itertools.count()


@pytest.fixture
def client(aws):
    return aws.client("dynamodb")


@pytest.fixture
def make(client):
    def table(*keys):
        name = f"made-{next(_numbers)}"
        kinds = zip(keys, ("HASH", "RANGE"), strict=False)
        client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in kinds],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        return name

    return table


@pytest.fixture
def derived(make):
    return make("pk", "sk")


def put(client, table, **attributes):
    client.put_item(TableName=table, Item={name: {"S": value} for name, value in attributes.items()})


def derive(aws, tmp_path, table, contents=False):
    return Made("derive", {"DERIVED_TABLE": table}, aws, tmp_path, contents)


def test_only_rows_that_were_written_or_removed_since_the_last_look_are_listed(aws, client, derived, tmp_path):
    put(client, derived, pk="old", sk="1")
    made = derive(aws, tmp_path, derived)
    assert made.look() == []
    put(client, derived, pk="new", sk="1", colour="red")
    assert made.look() == ["derive: row new / 1"]
    put(client, derived, pk="new", sk="1", colour="blue")
    client.delete_item(TableName=derived, Key={"pk": {"S": "old"}, "sk": {"S": "1"}})
    assert made.look() == ["derive: row new / 1", "derive: row old / 1 removed"]
    assert made.look() == []


def test_a_row_s_content_is_what_the_user_sees_with_every_digit(aws, client, derived, tmp_path):
    made = derive(aws, tmp_path, derived, contents=True)
    exact = "12345678901234567890.123"
    item = {"pk": {"S": "a"}, "sk": {"S": "b"}, "n": {"N": exact}, "b": {"B": b"\x01"}, "t": {"SS": ["y", "x"]}}
    client.put_item(TableName=derived, Item={**item, "one": {"N": "1"}, "_distributary_version": {"S": "7"}})
    assert made.look() == [f'derive: row a / b: {{"b": "01", "n": "{exact}", "one": 1, "t": ["x", "y"]}}']


def test_rows_that_derive_counts_members_in_are_not_listed(aws, client, derived, tmp_path):
    made = derive(aws, tmp_path, derived)
    put(client, derived, pk="%mby-status|name|STATUS#a|TOTALS", sk="SAda")
    put(client, derived, pk="%6D", sk="a")
    assert made.look() == ["derive: row %6D / a"]


def test_a_long_list_ends_with_how_many_more_there_are(aws, client, derived, tmp_path):
    made, whole = derive(aws, tmp_path, derived), derive(aws, tmp_path, derived, contents=True)
    for number in range(LISTED + 3):
        put(client, derived, pk=str(number), sk="a")
    assert made.look()[LISTED:] == ["derive: and 3 more"]
    assert len(whole.look()) == LISTED + 3


def test_a_table_with_too_many_rows_is_said_once_and_not_listed(aws, client, derived, tmp_path, monkeypatch):
    monkeypatch.setattr("local.made.MOST", 3)
    made = derive(aws, tmp_path, derived)
    for number in range(4):
        put(client, derived, pk=str(number), sk="a")
    assert made.look() == ["derive: more than 3 things: no more of them are listed"]
    assert made.look() == []


def test_rows_of_every_region_of_a_replica_are_listed(aws, make, client, tmp_path):
    name = make("id")
    regions = f"{aws.region},eu-west-3"
    made = Made("replicate", {"REPLICA_TABLE": name, "REPLICA_REGION": regions}, aws, tmp_path)
    put(client, name, id="a")
    found = f"replicate: row a in {aws.region}"
    assert made.look() == [found], "the table that is missing in the other region has no rows"


def test_a_binary_key_is_listed_in_base64(aws, client, tmp_path):
    name = f"made-{next(_numbers)}"
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "B"}],
        BillingMode="PAY_PER_REQUEST",
    )
    made = Made("replicate", {"REPLICA_TABLE": name, "REPLICA_REGION": aws.region}, aws, tmp_path)
    client.put_item(TableName=name, Item={"id": {"B": b"\x00\xff"}})
    assert made.look() == ["replicate: row AP8="]


def test_a_message_is_listed_with_its_state_and_its_file(aws, make, client, tmp_path):
    name = make("id")
    made = Made("welcome", {"CLAIM_TABLE": name}, aws, tmp_path)
    (tmp_path / "20260101T000000-ada@example.com-606ea8da8e53.txt").touch()
    put(client, name, id="welcome|a", state="sent", message_id="ministack-606ea8da-8e53-4453-97da-83f6b3f831dd")
    put(client, name, id="welcome|b", state="unknown")
    put(client, name, id="a suppression")
    file = tmp_path / "20260101T000000-ada@example.com-606ea8da8e53.txt"
    assert sorted(made.look()) == [
        f"welcome: message welcome|a: sent, {file}",
        "welcome: message welcome|b: unknown",
    ]


def send(url, method, body):
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    urllib.request.urlopen(request).close()


def test_documents_of_read_aliases_are_listed_without_markers(aws, endpoints, tmp_path):
    at = f"{endpoints.opensearch}/made-g0"
    live = {"bool": {"must_not": [{"exists": {"field": "distributary_deleted_at"}}]}}
    send(at, "PUT", {"aliases": {"made": {"filter": live}, "made-g0-write-2": {}}})
    environment = {"OPENSEARCH_SERVICE": "none", "OPENSEARCH_ENDPOINT": endpoints.opensearch}
    made = Made("index", environment, aws, tmp_path)
    send(f"{at}/_doc/a?refresh=true", "PUT", {"colour": "red"})
    send(f"{at}/_doc/b?refresh=true", "PUT", {"distributary_deleted_at": 1})
    assert made.look() == ["index: document made/a"]


def test_an_engine_that_answers_no_more_is_said_and_ends_nothing(aws, tmp_path, monkeypatch):
    monkeypatch.setattr("local.made._documents", lambda _: {})
    made = Made("index", {"OPENSEARCH_SERVICE": "none", "OPENSEARCH_ENDPOINT": "http://127.0.0.1:9"}, aws, tmp_path)
    monkeypatch.undo()
    (line,) = made.look()
    assert line.startswith("index: the documents at http://127.0.0.1:9 cannot be read: ")


def test_a_table_that_cannot_be_read_is_an_error_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("local.aws.ATTEMPTS", 1)
    with pytest.raises(LocalError, match="the table x"):
        derive(Aws.at_emulator("http://127.0.0.1:9", "us-east-1"), tmp_path, "x")
