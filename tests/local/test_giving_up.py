"""What a mapping does with records that cannot be delivered, in hours that pass within a test."""

import json

import pytest

from local.runtime_api import Throttled
from tests.local.virtual_mapping import DAY, FakeStream, Function, SteppedMapping, VirtualTime, error

BUCKET = "arn:aws:s3:::given-up"


class Bucket:
    """An S3 client that refuses the first `refusals` objects."""

    def __init__(self, clock, refusals=0, code="AccessDenied"):
        self.clock, self.refusals, self.code, self.objects = clock, refusals, code, []

    def put_object(self, Bucket, Key, Body):
        if self.refusals:
            self.refusals -= 1
            raise error(self.code, "PutObject")
        self.objects.append(json.loads(Body))


@pytest.fixture
def clock():
    return VirtualTime()


def delivered(clock, function, bucket=None, **settings):
    stream = FakeStream(clock)
    stream.add("shard", records=[("1", "bad"), ("2", "good")])
    clients = {"s3": bucket or Bucket(clock)}
    mapping = SteppedMapping(stream, clock, function, clients.__getitem__, batch_size=1, on_failure=BUCKET, **settings)
    mapping.discover()
    mapping.poll("shard")
    mapping.deliver("shard")
    return mapping


@pytest.mark.parametrize("age", [-1, 7 * DAY])
def test_a_record_that_keeps_failing_is_given_up_when_the_stream_forgets_it(clock, age):
    """A DynamoDB stream keeps a record for 24 hours, whatever the mapping's own limit."""
    began, bucket = clock.now(), Bucket(clock)
    function = Function(lambda items: items == ["bad"])
    mapping = delivered(clock, function, bucket, record_age=age)
    assert DAY <= clock.now() - began < DAY + 1200
    assert mapping.tally.counts()["discarded"] == 2
    assert [each["requestContext"]["condition"] for each in bucket.objects] == ["RecordAgeExceeded"] * 2
    assert mapping.checkpoints() == {"shard": "2"}


def test_a_throttled_function_uses_up_no_retry_and_is_invoked_in_the_end(clock):
    refusals = [Throttled("429")] * 30
    function = Function(lambda items: refusals.pop() if refusals else None)
    mapping = delivered(clock, function, retries=0, bisect=True)
    assert function.items == [["bad"], ["good"]]
    counts = mapping.tally.counts()
    assert counts["throttled"] == 30
    assert counts["invocations"] == counts["delivered"] == 2
    assert not counts.keys() & {"retried", "discarded", "bisected"}
    assert clock.waits[:4] == [1, 2, 4, 8]


def test_a_function_throttled_for_longer_than_the_age_never_saw_the_records(clock):
    bucket = Bucket(clock)
    function = Function(lambda items: Throttled("429"))
    mapping = delivered(clock, function, bucket, record_age=3600, retries=0)
    assert mapping.tally.counts()["discarded"] == 2
    assert "delivered" not in mapping.tally.counts()
    first = bucket.objects[0]
    assert first["requestContext"]["condition"] == "RecordAgeExceeded"
    assert first["requestContext"]["approximateInvokeCount"] == 0
    assert "responseContext" not in first


def test_waits_for_throttles_begin_anew_after_an_invocation(clock):
    answers = [Throttled("429"), Throttled("429"), True, Throttled("429")]
    delivered(clock, Function(lambda items: answers.pop(0) if answers else None), retries=5)
    assert clock.waits == [1, 2, 1, 1]


def test_a_destination_that_refuses_for_a_while_gets_the_record(clock):
    bucket = Bucket(clock, refusals=3, code="SlowDown")
    mapping = delivered(clock, Function(lambda items: items == ["bad"]), bucket, retries=0)
    assert [each["DDBStreamBatchInfo"]["startSequenceNumber"] for each in bucket.objects] == ["1"]
    assert mapping.tally.counts()["destination_errors"] == 3
    assert "undelivered" not in mapping.tally.counts()


def test_a_destination_that_refuses_for_ever_holds_nothing_back(clock):
    function = Function(lambda items: items == ["bad"])
    mapping = delivered(clock, function, Bucket(clock, refusals=10**9), retries=0)
    assert function.items == [["bad"], ["good"]]
    assert mapping.checkpoints() == {"shard": "2"}
    counts = mapping.tally.counts()
    assert (counts["discarded"], counts["undelivered"], counts["done"]) == (1, 1, 1)


def test_what_no_destination_took_is_named_with_its_cause(clock):
    mapping = delivered(clock, Function(lambda items: items == ["bad"]), Bucket(clock, refusals=10**9), retries=0)
    (line,) = mapping.tally.undelivered()
    assert line.startswith(f"shard shard, records 1 to 1: {BUCKET} refused them: ")
    assert "AccessDenied" in line


def test_a_mapping_that_stops_gives_up_nothing_to_a_refusing_destination(clock):
    bucket = Bucket(clock, refusals=10**9)
    function = Function(lambda items: items == ["bad"])
    real = clock.wait
    clock.wait = lambda seconds=None: clock.set() or real(seconds)
    mapping = delivered(clock, function, bucket, retries=0)
    assert mapping.checkpoints() == {"shard": None}
    assert "discarded" not in mapping.tally.counts()
