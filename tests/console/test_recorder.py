"""What mappings and logs say, as the history has it."""

import json
from datetime import UTC, datetime

from cli.console.history import History
from cli.console.recorder import Recorder
from local.esm.batches import Batch, Decision
from local.esm.data_stream import lambda_record
from local.esm.records import Record
from local.esm.watching import Delivered
from local.runtime_api import Answer


def record(number):
    body = {"Keys": {"id": {"S": f"i{number}"}}, "SequenceNumber": str(number), "ApproximateCreationDateTime": 5.0}
    return Record.of({"eventID": f"e{number}", "eventName": "INSERT", "dynamodb": body})


def recording(*numbers):
    recorder = Recorder(History())
    records = [record(number) for number in numbers]
    watcher = recorder.watcher("derive")
    watcher.read("shard", records, [])
    return recorder, watcher, records


def line(**more):
    return json.dumps({"level": "WARNING", "branch": "derive", **more})


def fate(recorder, event):
    return recorder.history.find(event).fates["derive"]


def test_lines_with_outcomes_are_the_consoles_alone():
    recorder, _, _ = recording(1)
    assert recorder.line(line(message="changes", event_ids=["e1"], outcome="Applied"))
    assert fate(recorder, "e1").outcome == "Applied"


def test_lines_with_causes_go_to_the_log_as_well():
    recorder, _, _ = recording(1, 2)
    assert not recorder.line(line(message="parked", event_id="e1", cause="no number"))
    assert not recorder.line(line(message="failed", event_ids=["e2"], changes=1, cause="throttled"))
    recorder.line(line(message="changes", event_ids=["e1"], outcome="Parked"))
    recorder.line(line(message="changes", event_ids=["e2"], outcome="Failed"))
    assert [fate(recorder, each).cause for each in ("e1", "e2")] == ["no number", "throttled"]


def test_lines_that_a_function_wrote_itself_change_nothing():
    recorder, _, _ = recording(1)
    for said in (
        '"event_id',
        '{"event_id": "e1"}',
        '{"event_id": "e1", "branch": null, "message": ["x"]}',
        '["event_id"]',
        '{"event_ids": 5, "branch": "derive", "message": "failed", "cause": "x"}',
        line(message="changes", event_ids=["e1"]),
    ):
        assert not recorder.line(said), said
    assert fate(recorder, "e1").outcome == ""


def test_a_bisected_batch_is_told_of_each_of_its_records():
    recorder, watcher, records = recording(1, 2)
    halves = tuple(Batch((each,)) for each in records)
    crashed = Answer("r", {"errorType": "Runtime.ExitError", "errorMessage": "gone"}, "Unhandled")
    watcher.delivered(Delivered("shard", Batch(tuple(records)), crashed, Decision(again=halves, bisected=True), 1, 2))
    for each in ("e1", "e2"):
        assert (fate(recorder, each).bisections, fate(recorder, each).deliveries) == (1, 1)
        assert fate(recorder, each).steps[-1].what == "bisected: Runtime.ExitError: gone"


def test_a_reported_failure_is_retried_from_the_failed_record_on():
    recorder, watcher, records = recording(1, 2)
    decision = Decision(done=(records[0],), again=(Batch((records[1],)),), retried=True)
    watcher.delivered(Delivered("shard", Batch(tuple(records)), Answer("r", {}), decision, 1, 2))
    watcher.ended("shard", decision.done, ())
    assert (fate(recorder, "e1").retries, fate(recorder, "e1").end) == (0, "done")
    assert (fate(recorder, "e2").retries, fate(recorder, "e2").end) == (1, "")


def test_filtered_and_discarded_records_say_so():
    recorder, watcher, records = recording(1)
    watcher.read("shard", [], [record(2).event])
    watcher.ended("shard", (), records)
    assert (fate(recorder, "e1").end, fate(recorder, "e2").end) == ("discarded", "filtered")


def carried(data):
    """A record of a data stream, as a mapping reads it."""
    source = "arn:aws:dynamodb:eu-west-1:1:table/users/stream/kinesis/changes"
    read = {
        "PartitionKey": "p",
        "SequenceNumber": "77",
        "Data": json.dumps(data).encode(),
        "ApproximateArrivalTimestamp": datetime.fromtimestamp(6, UTC),
    }
    return lambda_record(read, source, "eu-west-1", "shard")


def test_a_change_of_a_data_stream_is_shown_as_one_of_the_tables_own():
    created = {
        "ApproximateCreationDateTime": 1_700_000_000_000_000,
        "ApproximateCreationDateTimePrecision": "MICROSECOND",
    }
    body = {"Keys": {"id": {"S": "a"}}, "NewImage": {"id": {"S": "a"}}, **created}
    event = carried({"eventID": "e1", "eventName": "INSERT", "tableName": "users", "dynamodb": body})
    recorder, watcher, _ = recording()
    batch = [Record.of(event)]
    watcher.read("shard", batch, [])
    watcher.delivered(Delivered("shard", Batch(tuple(batch)), Answer("r", {}), Decision(done=tuple(batch)), 1.0, 2.0))
    recorder.line(line(message="changes", event_ids=["e1"], outcome="Applied"))
    watcher.ended("shard", batch, [])
    seen = recorder.history.find("e1")
    assert (seen.kind, json.loads(seen.key), seen.created) == ("INSERT", {"id": {"S": "a"}}, 1_700_000_000.0)
    found = fate(recorder, "e1")
    assert (found.deliveries, found.outcome, found.end) == (1, "Applied", "done")


def test_what_a_data_stream_carries_and_is_no_change_is_shown_as_it_came():
    recorder, watcher, _ = recording()
    watcher.read("shard", [], [carried(["no change"])])
    assert recorder.history.find("shard:77").fates["derive"].end == "filtered"
