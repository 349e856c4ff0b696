"""The archive branch: every change once in S3, whatever is delivered, refused or malformed."""

import gzip
import json

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from distributary.consumer.consume import consume
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.stream.change import Change, Kind
from tests.fakes import built
from tests.fakes.s3 import S3
from tests.fakes.streaming import CREATED
from tests.unit.branches import Bucket, Context, deployment
from tests.unit.records import ARN, change, event, sequence, stream_record

AMPLE = Deadline(float("inf"))
HOUR = "users/AWSDynamoDB/data/day=2026-11-22/hour=10/"


def archived(*changes, deadline=AMPLE, s3=None):
    bucket = s3 or S3("archive")
    ends = built.archive(bucket).apply(changes, deadline)
    return [end.status for end in ends], bucket.state


def lines(state):
    return [json.loads(line) for body in state.values() for line in gzip.decompress(body).splitlines()]


def test_a_batch_is_one_object_named_by_its_first_and_last_number():
    statuses, state = archived(*(change(place) for place in range(3)))
    assert statuses == [Status.APPLIED] * 3
    (name,) = state
    assert name.startswith(f"{HOUR}{sequence(0)}-{sequence(2)}-")
    assert name.endswith(".json.gz")


def test_a_line_is_that_of_an_incremental_export_with_more_metadata():
    _, state = archived(change(1, "MODIFY", new={"visits": {"N": "2"}}, old={"visits": {"N": "1"}}, generation=3))
    assert lines(state) == [
        {
            "Metadata": {
                "WriteTimestampMicros": {"N": str(CREATED * 1_000_000)},
                "SequenceNumber": {"S": sequence(1)},
                "Generation": {"N": "3"},
                "EventID": {"S": f"{1:032x}"},
                "EventName": {"S": "MODIFY"},
                "Stream": {"S": ARN},
            },
            "Keys": {"user_id": {"S": "u-1"}},
            "OldImage": {"user_id": {"S": "u-1"}, "visits": {"N": "1"}},
            "NewImage": {"user_id": {"S": "u-1"}, "visits": {"N": "2"}},
        }
    ]


def test_a_delete_has_no_new_image_and_says_if_time_to_live_made_it():
    expiry = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    _, state = archived(change(0, "REMOVE"), change(1, "REMOVE", userIdentity=expiry))
    plain, expired = lines(state)
    assert "NewImage" not in plain
    assert "Expired" not in plain["Metadata"]
    assert expired["Metadata"]["Expired"] == {"BOOL": True}


def test_the_changes_of_two_hours_are_two_objects():
    before = change(0)
    later = before._replace(created=CREATED + 3600.0, version=before.version + 1)
    _, state = archived(before, later)
    assert sorted(name.rpartition("/")[0] + "/" for name in state) == [HOUR, HOUR.replace("hour=10", "hour=11")]


def test_a_batch_delivered_twice_is_one_object():
    bucket = S3("archive")
    for _ in range(2):
        archived(change(0), change(1), s3=bucket)
    assert len(bucket.state) == 1


def test_a_batch_that_lacks_a_change_never_replaces_one_that_has_it():
    """Such as a redrive of the two others of three: it has the same first and last number."""
    bucket = S3("archive")
    archived(change(0), change(1), change(2), s3=bucket)
    archived(change(0), change(2), s3=bucket)
    assert {each["Metadata"]["SequenceNumber"]["S"] for each in lines(bucket.state)} == set(map(sequence, range(3)))


def test_a_snapshot_is_no_change_and_a_redriven_record_is_one():
    statuses, state = archived(
        change(0, distributary={"origin": "snapshot"}), change(1, distributary={"origin": "redrive"})
    )
    assert statuses == [Status.IGNORED, Status.APPLIED]
    assert len(lines(state)) == 1


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "SlowDown", "Message": "m"}}, "PutObject"),
        ClientError({"Error": {"Code": "ValidationException", "Message": "m"}}, "PutObject"),
        ClientError({"Error": {"Code": "AccessDenied", "Message": "m"}}, "PutObject"),
        ReadTimeoutError(endpoint_url="https://s3"),
    ],
)
def test_a_refused_object_fails_its_changes_and_parks_none(error):
    class Refusing(S3):
        def put_object(self, **request):
            raise error

    statuses, _ = archived(change(0), change(1), s3=Refusing("archive"))
    assert statuses == [Status.FAILED] * 2


def test_nothing_is_written_when_the_time_is_over():
    statuses, state = archived(change(0), deadline=Deadline(0.0))
    assert (statuses, state) == ([Status.FAILED], {})


UNREADABLE = {
    "no time": lambda found: found._replace(created=None),
    "no stream": lambda found: found._replace(source=""),
    "a lone surrogate": lambda found: with_image(found, {"name": {"S": "\ud800"}}),
    "a number that is no JSON": lambda found: with_image(found, {"name": {"N": float("inf")}}),
    "an update without its old image": lambda found: found._replace(kind=Kind.MODIFY),
    "a delete without its old image": lambda found: found._replace(kind=Kind.REMOVE, new=None),
    "a key that is no number": lambda found: found._replace(keys=type(found.keys)({"user_id": {"N": "one"}})),
}


def with_image(found: Change, image):
    return found._replace(new=type(found.keys)(image))


@pytest.mark.parametrize("fault", UNREADABLE)
def test_a_change_that_no_reader_could_read_is_parked_and_the_rest_kept(fault):
    statuses, state = archived(change(0), UNREADABLE[fault](change(1)), change(2))
    assert statuses == [Status.APPLIED, Status.PARKED, Status.APPLIED]
    assert len(lines(state)) == 2


@pytest.mark.parametrize("fault", UNREADABLE)
def test_a_change_that_no_reader_could_read_is_parked_if_it_comes_alone(fault):
    """As Lambda delivers it once it has bisected the batch."""
    statuses, state = archived(UNREADABLE[fault](change(0)))
    assert (statuses, state) == ([Status.PARKED], {})


def test_a_record_that_is_no_change_is_parked_and_never_blocks():
    bucket, parked = S3("archive"), Bucket()
    records = [stream_record(0), {**stream_record(1), "eventName": "NONE"}, stream_record(2)]
    answer = consume(event(*records), Context(), deployment(built.archive(bucket), parked, "archive"))
    assert answer == {"batchItemFailures": []}
    assert len(lines(bucket.state)) == 2
    assert [key.rpartition("/")[0] for key in parked.objects] == ["parked/archive/unread"]


def test_the_spelling_of_a_key_is_one_whatever_the_record_spells():
    _, state = archived(
        change(0)._replace(keys=type(change(0).keys)({"b": {"N": "1.0"}, "a": {"S": "x"}})),
        change(1)._replace(keys=type(change(0).keys)({"a": {"S": "x"}, "b": {"N": "1"}})),
    )
    assert len({json.dumps(each["Keys"]) for each in lines(state)}) == 1


def test_an_object_is_put_with_the_checksum_that_a_locked_bucket_demands():
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html"""
    asked = []

    class Locked(S3):
        def put_object(self, **request):
            asked.append(request.get("ChecksumAlgorithm"))
            return super().put_object(**request)

    archived(change(0), s3=Locked("archive"))
    assert asked == ["CRC32"]
