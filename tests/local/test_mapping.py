"""An event source mapping on a real stream, with functions that answer as they are told."""

import json
import threading
import time
from collections import Counter

import pytest

from local.errors import LocalError
from local.esm.lane import Backoff
from local.esm.mapping import EventSourceMapping, Hooks, Stream
from local.esm.settings import MappingSettings
from local.runtime_api import Answer

ARN = "arn:aws:lambda:us-east-1:000000000000:function:probe"


class Recorder:
    """A function that keeps what it gets and reports the records whose item it is told to refuse."""

    def __init__(self, refuse=(), error=None):
        self.refuse, self.error = set(refuse), error
        self.batches, self.lock = [], threading.Lock()

    def __call__(self, payload):
        records = json.loads(payload)["Records"]
        ids = [record["dynamodb"]["Keys"]["id"]["S"] for record in records]
        with self.lock:
            self.batches.append(records)
        if self.error and self.refuse & set(ids):
            return Answer("request", {"errorMessage": "no"}, self.error)
        failed = [r["dynamodb"]["SequenceNumber"] for r, each in zip(records, ids, strict=True) if each in self.refuse]
        return Answer("request", {"batchItemFailures": [{"itemIdentifier": each} for each in failed]})

    def seen(self):
        with self.lock:
            return [r["dynamodb"]["Keys"]["id"]["S"] for batch in self.batches for r in batch]


@pytest.fixture
def attach(aws, table):
    running = []

    def start(function, hooks=None, **settings):
        given = {"starting_position": "TRIM_HORIZON", "reports_failures": True, **settings}
        stream = Stream(table.arn, "us-east-1", aws.client("dynamodbstreams"))
        mapping = EventSourceMapping(
            stream, ARN, function, MappingSettings(**given), aws.client, hooks or Hooks(), Backoff(0.01, 0.05)
        )
        running.append(mapping)
        mapping.start()
        return mapping

    yield start
    for mapping in running:
        mapping.stop()


def drain(mapping, seconds=10):
    since, until = time.monotonic(), time.monotonic() + seconds
    while not mapping.drained(since, quiet_seconds=0.2):
        assert time.monotonic() < until, "not drained in time"
        time.sleep(0.05)


def test_every_record_is_delivered_once_in_order_and_checkpointed(table, attach):
    ids = [f"item-{n}" for n in range(25)]
    for each in ids:
        table.put(each)
    told = []
    function = Recorder()
    mapping = attach(function, Hooks(checkpointed=lambda shard, records: told.extend(records)), batch_size=10)
    drain(mapping)
    assert function.seen() == ids
    assert max(len(batch) for batch in function.batches) == 10
    assert [record["dynamodb"]["Keys"]["id"]["S"] for record in told] == ids
    assert list(mapping.checkpoints().values()) == [told[-1]["dynamodb"]["SequenceNumber"]]
    assert mapping.tally.counts()["done"] == len(mapping.tally.lags()) == 25


def test_a_record_written_after_a_quiet_time_is_not_taken_for_drained(table, attach):
    function = Recorder()
    mapping = attach(function)
    drain(mapping)
    table.put("late")
    drain(mapping)
    assert function.seen() == ["late"]


def test_a_poisoned_record_is_given_up_with_its_payload_and_alone(table, attach, aws):
    aws.client("s3").create_bucket(Bucket="given-up")
    for each in ("a", "b", "poison", "d", "e"):
        table.put(each)
    function = Recorder(refuse={"poison"})
    mapping = attach(function, bisect=True, retries=1, on_failure="arn:aws:s3:::given-up")
    drain(mapping)
    counts = Counter(function.seen())
    assert {each: counts[each] for each in "abde"}.keys() <= counts.keys()
    assert mapping.tally.counts()["discarded"] == 1
    assert mapping.tally.counts()["done"] == 4
    s3 = aws.client("s3")
    (entry,) = s3.list_objects_v2(Bucket="given-up", Prefix=f"aws/lambda/{mapping.id}/")["Contents"]
    record = json.loads(s3.get_object(Bucket="given-up", Key=entry["Key"])["Body"].read())
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert "functionError" not in record["responseContext"]
    assert record["DDBStreamBatchInfo"]["batchSize"] == 1
    payload = json.loads(record["payload"])
    assert payload["Records"][0]["dynamodb"]["Keys"] == {"id": {"S": "poison"}}


def test_an_erring_function_is_bisected_down_to_the_culprit(table, attach, aws):
    queue = aws.client("sqs").create_queue(QueueName="given-up")["QueueUrl"]
    for each in ("a", "b", "c", "poison"):
        table.put(each)
    function = Recorder(refuse={"poison"}, error="Unhandled")
    mapping = attach(
        function, bisect=True, retries=0, on_failure="arn:aws:sqs:us-east-1:000000000000:given-up", batch_size=4
    )
    drain(mapping)
    assert mapping.tally.counts()["done"] == 3
    (message,) = aws.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    record = json.loads(message["Body"])
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert "payload" not in record


def test_a_failing_batch_blocks_what_follows_until_it_succeeds(table, attach):
    for each in ("first", "second"):
        table.put(each)
    function = Recorder(refuse={"first"})
    mapping = attach(function, batch_size=1)
    time.sleep(0.5)
    assert set(function.seen()) == {"first"}
    function.refuse.clear()
    drain(mapping)
    assert function.seen()[-1] == "second"


def test_parallel_lanes_keep_the_order_of_each_item(table, attach):
    for version in range(6):
        for item in range(5):
            table.put(f"item-{item}", version={"N": str(version)})
    function = Recorder(refuse={"item-3"})
    mapping = attach(function, batch_size=2, parallelization=4)
    time.sleep(0.3)
    function.refuse.clear()
    drain(mapping)
    for item in range(5):
        versions = [
            int(record["dynamodb"]["NewImage"]["version"]["N"])
            for batch in function.batches
            for record in batch
            if record["dynamodb"]["Keys"]["id"]["S"] == f"item-{item}"
        ]
        assert [each for i, each in enumerate(versions) if i == 0 or each != versions[i - 1]][-6:] == list(range(6))


def test_a_rewound_shard_is_delivered_again_from_there_on(table, attach):
    for each in "abcd":
        table.put(each)
    function = Recorder()
    mapping = attach(function)
    drain(mapping)
    sequences = [record["dynamodb"]["SequenceNumber"] for batch in function.batches for record in batch]
    (shard,) = mapping.shards()
    mapping.rewind(shard, sequences[1])
    drain(mapping)
    assert function.seen() == list("abcdcd")
    mapping.rewind(shard)
    drain(mapping)
    assert function.seen() == list("abcdcdabcd")


def test_what_a_filter_holds_back_is_checkpointed_and_never_delivered(table, attach):
    table.put("kept")
    table.delete("kept")
    function = Recorder()
    mapping = attach(function, patterns=({"eventName": ["REMOVE"]},))
    drain(mapping)
    assert [record["eventName"] for batch in function.batches for record in batch] == ["REMOVE"]
    assert mapping.tally.counts()["filtered"] == 1
    assert None not in mapping.checkpoints().values()


def test_records_beyond_their_age_are_given_up_without_an_invocation(table, attach):
    for each in "ab":
        table.put(each)

    def aged(records):
        for record in records:
            record["dynamodb"]["ApproximateCreationDateTime"] -= 100
        return records

    function = Recorder()
    mapping = attach(function, Hooks(transform=aged), record_age=60)
    drain(mapping)
    assert function.batches == []
    assert mapping.tally.counts()["discarded"] == 2


def test_a_record_slipped_in_by_a_hook_is_delivered_like_any_other(table, attach):
    table.put("a")
    function = Recorder()
    mapping = attach(function, Hooks(transform=lambda records: [*records, {**records[0], "eventID": "slipped in"}]))
    drain(mapping)
    assert [record["eventID"] == "slipped in" for batch in function.batches for record in batch] == [False, True]


def test_a_window_gathers_records_into_one_batch(table, attach):
    function = Recorder()
    attached = attach(function, window=1)
    for each in "abc":
        table.put(each)
        time.sleep(0.1)
    drain(attached)
    assert [len(batch) for batch in function.batches] == [3]


def test_a_stream_that_does_not_exist_is_one_line(aws):
    stream = Stream(
        "arn:aws:dynamodb:us-east-1:000000000000:table/no/stream/x", "us-east-1", aws.client("dynamodbstreams")
    )
    mapping = EventSourceMapping(
        stream, ARN, Recorder(), MappingSettings("TRIM_HORIZON"), aws.client, Hooks(), Backoff()
    )
    with pytest.raises(LocalError) as refused:
        mapping.start()
    assert "\n" not in str(refused.value)


def test_a_hook_that_breaks_is_raised_by_whoever_waits(table, attach):
    table.put("a")
    mapping = attach(Recorder(), Hooks(transform=lambda records: 1 / 0))
    with pytest.raises(LocalError, match="ZeroDivisionError"):
        drain(mapping)
