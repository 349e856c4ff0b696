"""What a table already holds, as snapshot records."""

import json
import threading

import pytest

from distributary.feed.snapshot import Table
from local.backfill import Target, backfill
from local.errors import LocalError
from local.esm.settings import MappingSettings
from local.runtime_api import Answer, Throttled


def target(invoke, **given):
    return Target("probe", invoke, MappingSettings("TRIM_HORIZON", batch_size=10, **given))


@pytest.fixture
def filled(table):
    for number in range(35):
        table.put(f"item-{number}", blob={"B": bytes([number])})
    return Table(table.name, ("id",), table.arn, "us-east-1")


def test_every_item_comes_once_as_a_snapshot_insert(table, filled):
    seen, lock, pages = [], threading.Lock(), []

    def invoke(payload):
        with lock:
            seen.append(json.loads(payload)["Records"])
        return Answer("r", None)

    assert backfill(table.client, filled, [target(invoke)], segments=3, progress=pages.append) == sum(pages) == 35
    records = [record for batch in seen for record in batch]
    assert {record["dynamodb"]["Keys"]["id"]["S"] for record in records} == {f"item-{n}" for n in range(35)}
    assert len({record["eventID"] for record in records}) == 35
    assert {len(batch) <= 10 for batch in seen} == {True}
    one = records[0]
    assert (one["eventName"], one["eventSource"], one["eventSourceARN"]) == ("INSERT", "aws:dynamodb", table.arn)
    assert one["distributary"] == {"origin": "snapshot"}
    assert one["dynamodb"]["SequenceNumber"] == "0"
    assert isinstance(one["dynamodb"]["NewImage"]["blob"]["B"], str)


def test_an_item_has_the_same_event_id_in_every_backfill(table, filled):
    runs = []
    for _ in range(2):
        ids = []

        def invoke(payload, ids=ids):
            ids.extend(record["eventID"] for record in json.loads(payload)["Records"])
            return Answer("r", None)

        backfill(table.client, filled, [target(invoke)])
        runs.append(set(ids))
    assert runs[0] == runs[1]


def test_a_failed_record_and_those_behind_it_are_delivered_again_by_event_id(table, filled):
    failed, delivered, lock = set(), [], threading.Lock()

    def invoke(payload):
        ids = [record["eventID"] for record in json.loads(payload)["Records"]]
        with lock:
            if len(ids) > 2 and ids[2] not in failed:
                failed.add(ids[2])
                delivered.extend(ids[:2])
                return Answer("r", {"batchItemFailures": [{"itemIdentifier": ids[2]}]})
            delivered.extend(ids)
        return Answer("r", {"batchItemFailures": []})

    assert backfill(table.client, filled, [target(invoke)]) == 35
    assert sorted(delivered) == sorted(set(delivered))
    assert failed <= set(delivered)
    assert len(delivered) == 35


def test_a_function_that_never_succeeds_ends_the_backfill_in_one_line(table, filled, monkeypatch):
    monkeypatch.setattr("local.esm.lane.Backoff.after", lambda *_: 0)
    with pytest.raises(LocalError, match="probe failed 30 times"):
        backfill(table.client, filled, [target(lambda _: Answer("r", {}, "Unhandled"))], segments=1)


def test_a_throttled_function_is_invoked_until_it_takes_the_page(table, filled):
    refusals, taken = [Throttled("429")] * 8, []

    def invoke(payload):
        if refusals:
            raise refusals.pop()
        taken.extend(json.loads(payload)["Records"])
        return Answer("r", None)

    assert backfill(table.client, filled, [target(invoke)], segments=1, stopping=Unhurried()) == len(taken) == 35


class Unhurried(threading.Event):
    """Waits no time at all."""

    def wait(self, timeout=None):
        return self.is_set()
