"""GetRecords in, Lambda's form out."""

import datetime
import json

from local.esm.progress import Progress
from local.esm.records import Record, event_of, lambda_record

ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/t/stream/x"


def read(**more):
    created = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    image = {"id": {"B": b"\x00\xff"}, "set": {"BS": [b"a"]}, "deep": {"M": {"list": {"L": [{"B": b"b"}, {"N": "1"}]}}}}
    body = {
        "ApproximateCreationDateTime": created,
        "Keys": {"id": {"B": b"\x00\xff"}},
        "NewImage": image,
        "SequenceNumber": "123456789012345678901234567890",
    }
    return {"eventID": "e", "eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": body, **more}


def test_a_record_becomes_what_lambda_delivers():
    event = lambda_record(read(), ARN, "eu-west-1")
    assert event["eventSourceARN"] == ARN
    assert event["awsRegion"] == "eu-west-1"
    assert event["dynamodb"]["ApproximateCreationDateTime"] == 1767323045.0
    assert event["dynamodb"]["SequenceNumber"] == "123456789012345678901234567890"
    assert event["dynamodb"]["NewImage"] == {
        "id": {"B": "AP8="},
        "set": {"BS": ["YQ=="]},
        "deep": {"M": {"list": {"L": [{"B": "Yg=="}, {"N": "1"}]}}},
    }


def test_a_ttl_deletes_user_identity_is_spelt_as_lambda_spells_it():
    user = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    event = lambda_record(read(userIdentity=user), ARN, "eu-west-1")
    assert event["userIdentity"] == {"principalId": "dynamodb.amazonaws.com", "type": "Service"}


def test_an_event_holds_each_record_as_it_was_measured():
    records = [Record.of(lambda_record(read(), ARN, "eu-west-1")) for _ in range(2)]
    assert json.loads(event_of(records)) == {"Records": [record.event for record in records]}


def test_a_snapshot_record_is_identified_by_its_event_id():
    event = {"eventID": "snapshot-1", "distributary": {"origin": "snapshot"}, "dynamodb": {"SequenceNumber": "0"}}
    assert Record.of(event).identifier == "snapshot-1"


def test_a_malformed_record_travels_on_to_its_function():
    assert Record.of({"eventID": "e", "dynamodb": {"SequenceNumber": "7"}}).identifier == "7"


def test_the_checkpoint_never_passes_a_record_that_another_lane_still_has():
    progress = Progress()
    first, second, third = (progress.read(sequence) for sequence in "123")
    progress.finish([second, third])
    assert (progress.checkpoint, progress.outstanding) == (None, 3)
    progress.finish([first])
    assert (progress.checkpoint, progress.outstanding) == ("3", 0)
