"""examples/mqtt_devices: its writer writes as the broker does, and all that is downstream is right."""

import itertools
import json
import urllib.request
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from distributary.readers.archive import Archive
from distributary.readers.place import place
from distributary.stream.dynamodb_stream import decode
from examples.mqtt_devices import example
from examples.mqtt_devices.writer import Client, connected, disconnected, item_of, published
from local.aws import Aws
from tests.docs.pages import DOCS, blocks
from tests.docs.test_athena import ATHENA
from tests.local.conftest import run_example

ROOT = Path(__file__).parents[2]
HERE = ROOT / "examples/mqtt_devices"

MESSAGE = {
    "metadata": {"S": '{"rule_id":"90d98f59"}'},
    "peerhost": {"S": "127.0.0.1"},
    "clientid": {"S": "emqx_c"},
    "flags": {"S": '{"retain":false,"dup":false}'},
    "node": {"S": "emqx@127.0.0.1"},
    "qos": {"N": "0"},
    "payload": {"S": '{ "msg": "hello DynamoDB" }'},
    "pub_props": {"S": '{"User-Property":{}}'},
    "publish_received_at": {"N": "1678263363503"},
    "topic": {"S": "t/1"},
    "id": {"S": "0005F65F239F03FEF44300000BB40002"},
    "event": {"S": "message.publish"},
    "username": {"S": "undefined"},
    "timestamp": {"N": "1678263363503"},
}
CONNECTED = {
    "conn_props": {"S": '{"User-Property":{},"Request-Problem-Information":1}'},
    "peername": {"S": "127.0.0.1:59582"},
    "metadata": {"S": '{"rule_id":"703890a5"}'},
    "clientid": {"S": "emqx_c"},
    "is_bridge": {"S": "false"},
    "keepalive": {"N": "30"},
    "proto_ver": {"N": "5"},
    "proto_name": {"S": "MQTT"},
    "connected_at": {"N": "1678263363499"},
    "receive_maximum": {"N": "32"},
    "sockname": {"S": "127.0.0.1:1883"},
    "mountpoint": {"S": "undefined"},
    "node": {"S": "emqx@127.0.0.1"},
    "id": {"S": "client.connected1678263363499"},
    "expiry_interval": {"N": "0"},
    "event": {"S": "client.connected"},
    "username": {"S": "undefined"},
    "timestamp": {"N": "1678263363499"},
    "clean_start": {"S": "true"},
}
DISCONNECTED = {
    "reason": {"S": "normal"},
    "peername": {"S": "127.0.0.1:59582"},
    "metadata": {"S": '{"rule_id":"703890a5"}'},
    "clientid": {"S": "emqx_c"},
    "proto_ver": {"N": "5"},
    "proto_name": {"S": "MQTT"},
    "sockname": {"S": "127.0.0.1:1883"},
    "disconn_props": {"S": '{"User-Property":{}}'},
    "node": {"S": "emqx@127.0.0.1"},
    "id": {"S": "client.disconnected1678263363503"},
    "event": {"S": "client.disconnected"},
    "disconnected_at": {"N": "1678263363503"},
    "username": {"S": "undefined"},
    "timestamp": {"N": "1678263363503"},
}
"""A table after a client has come, published and gone, as the broker's documentation shows it."""


def test_items_are_those_that_the_brokers_documentation_shows():
    client = Client("emqx_c", "127.0.0.1:59582", "emqx@127.0.0.1")
    guid, payload = MESSAGE["id"]["S"], MESSAGE["payload"]["S"]
    assert item_of(published(client, 1678263363503, guid, "t/1", payload, 0, False)) == MESSAGE
    assert item_of(connected(client, 1678263363499)) == CONNECTED
    assert item_of(disconnected(client, 1678263363503, "normal")) == DISCONNECTED


def test_an_empty_payload_is_left_out_of_the_item():
    client = Client("emqx_c", "127.0.0.1:59582", "emqx@127.0.0.1")
    assert "payload" not in item_of(published(client, 1678263363503, "00", "t/1", "", 0, False))


@pytest.fixture(scope="module")
def ran(endpoints):
    """The run, and what its writer wrote."""
    return run_example(example.EXAMPLE, endpoints, 300)


def test_all_that_is_downstream_of_the_devices_is_right(ran):
    result, _ = ran
    assert result.wrong == []
    kinds = Counter(name.split(" / ")[1].split("#")[0] for name in result.made.rows)
    assert set(kinds) == {"PRESENCE", "HOUR", "DAY"}
    assert {row["state"] for name, row in result.made.rows.items() if "PRESENCE" in name} == {"online", "offline"}
    payloads = [each["payload"] for each in result.made.documents.values()]
    assert None in payloads, "a payload that is no object"
    assert any(isinstance(each, dict) for each in payloads)


def test_a_state_view_counts_one_of_two_events_that_share_an_id(ran):
    """And the archive counts both."""
    result, journal = ran
    came = Counter(each["id"] for each in journal.written if each["event"] == "client.connected")
    assert max(came.values()) > 1
    counted = sum(row["connections"] for row in result.made.rows.values() if "connections" in row)
    archived = {name: row["times"] for name, row in result.made.changes.items()}
    assert counted == len(came)
    assert sum(many for name, many in archived.items() if name.startswith("client.connected")) == came.total()


def test_the_pages_query_counts_each_event_of_the_archive(ran, endpoints, tmp_path):
    result, _ = ran
    download(endpoints, tmp_path)
    view, *_ = blocks(DOCS / "functions/archive.md", "sql")
    (query,) = blocks(DOCS / "examples/mqtt-devices.md", "sql")
    with duckdb.connect() as connection:
        connection.execute(ATHENA.format(files=f"{tmp_path}/mqtt_msg/AWSDynamoDB/data/*/*/*.json.gz"))
        connection.execute("CREATE MACRO from_unixtime(seconds) AS make_timestamp((seconds * 1000000)::bigint)")
        connection.execute("CREATE MACRO date_format(moment, form) AS strftime(moment, form)")
        connection.execute(view)
        days = connection.execute('SELECT min(day), max(day) FROM "distributary-archive".once').fetchone()
        found = connection.execute(query.replace("2026-09-01", days[0]).replace("2026-09-02", days[1])).fetchall()
    counts = {f"{event} {device} {hour}": {"times": many} for device, event, hour, many in found}
    assert counts == result.made.changes


def archived(endpoints):
    """The bucket and its client."""
    s3 = Aws.at_emulator(endpoints.aws, "us-east-1").client("s3")
    (bucket,) = [each["Name"] for each in s3.list_buckets()["Buckets"] if each["Name"].startswith("devices-archive")]
    return bucket, s3


def download(endpoints, folder):
    bucket, s3 = archived(endpoints)
    for name in place(f"s3://{bucket}", lambda: s3).names("mqtt_msg/"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, name, str(folder / name))


def test_an_item_of_the_archive_shows_both_events_of_one_id(ran, endpoints):
    _, journal = ran
    shared, _ = Counter(each["id"] for each in journal.written).most_common(1)[0]
    bucket, s3 = archived(endpoints)
    changes = {each.at: each for each in Archive(place(f"s3://{bucket}", lambda: s3), "mqtt_msg").changes()}
    life = [changes[at] for at in sorted(changes) if changes[at].keys == {"id": {"S": shared}}]
    written = [item_of(each) for each in journal.written if each["id"] == shared]
    assert [each.kind for each in life] == ["INSERT", *["MODIFY"] * (len(written) - 1)]
    assert all(each.new in written for each in life)
    assert [each.old for each in life[1:]] == [each.new for each in life[:-1]]


def test_a_search_finds_what_is_inside_a_payload(ran, endpoints):
    result, _ = ran
    query = {"query": {"term": {"payload.unit.name": "hall"}}, "size": 1000}
    request = urllib.request.Request(
        f"{endpoints.opensearch}/device-messages/_search",
        json.dumps(query).encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        found = {hit["_source"]["id"] for hit in json.load(answer)["hits"]["hits"]}
    inside = {each["id"] for each in result.made.documents.values() if '"hall"' in each["text"] and each["payload"]}
    assert found == inside != set()


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("one_id", {"client.connected": ["INSERT", "MODIFY"]}), ("message", {"message.publish": ["INSERT"]})],
)
def test_the_sample_events_are_of_two_devices_with_one_id_and_of_a_message(name, kinds):
    records = json.loads((HERE / f"events/{name}.json").read_text())["Records"]
    changes = [decode(record, lambda _: 0) for record in records]
    assert all(one.version < two.version for one, two in itertools.pairwise(changes))
    for event, found in kinds.items():
        assert [change.kind.name for change in changes if change.new["event"] == event] == found
    assert len({change.new["clientid"] for change in changes}) == len(kinds.get("client.connected", "1"))
