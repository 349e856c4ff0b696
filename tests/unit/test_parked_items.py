"""The parking bucket's names tell which items have a parked change; only what names no item is read."""

import json

import pytest
from botocore.exceptions import ClientError

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.errors import ConfigError, Rejected
from distributary.stream.change import Undecodable
from distributary.verify.parked import NOTHING_LISTED, ParkedItems
from tests.fakes.s3 import S3
from tests.unit.records import ARN, change, stream_record

KEY = {"user_id": {"S": "u-1"}}


@pytest.fixture
def s3():
    return S3("parking")


def park(s3, entry, cause="never", branch="derive"):
    end = outcomes.parked(Rejected(cause))
    assert Parking(s3, "parking", branch, Parallel(1)).park([(entry, end)], Deadline(float("inf"))) == [None]


def listed(s3, table="users"):
    return ParkedItems.of(s3, "parking", "derive", table)


def test_an_item_is_found_by_the_name_of_its_newest_object_alone(s3, monkeypatch):
    park(s3, change(1), "first")
    park(s3, change(2), "second")
    read, get = [], s3.get_object
    monkeypatch.setattr(s3, "get_object", lambda **asked: read.append(asked["Key"]) or get(**asked))
    parked = listed(s3)
    assert read == []
    assert parked.find(KEY).cause == "second"
    assert parked.find({"user_id": {"S": "u-2"}}) is None
    assert len(read) == 1


def test_another_functions_or_tables_parked_change_is_not_the_items(s3):
    park(s3, change(1), branch="index")
    park(s3, change(1, eventSourceARN=ARN.replace("/users/", "/orders/")))
    assert listed(s3).find(KEY) is None
    assert listed(s3, "orders").find(KEY) is not None


@pytest.mark.parametrize("table", ["users", "arn:aws:dynamodb:eu-west-1:123456789012:table/users"])
def test_a_table_may_be_given_by_its_arn(s3, table):
    park(s3, change(1))
    assert listed(s3, table).find(KEY) is not None


def test_objects_of_0_1_and_records_that_are_no_change_are_read(s3):
    old = {"branch": "derive", "eventID": "e", "version": None, "cause": "of 0.1", "record": stream_record(3)}
    s3.put_object(Bucket="parking", Key="parked/derive/e.json", Body=json.dumps(old).encode(), ContentType="")
    park(s3, Undecodable("e-2", "", stream_record(4, user="u-2"), "no change"), "no change")
    park(s3, Undecodable("e-3", "", ["no", "record"], "no record"))
    parked = listed(s3)
    assert parked.find(KEY).cause == "of 0.1"
    assert parked.find({"user_id": {"S": "u-2"}}).cause == "no change"


@pytest.mark.parametrize("wrong", [b"nonsense", b"[1]", b"{}", b"[" * 100_000], ids=["text", "list", "empty", "deep"])
@pytest.mark.parametrize("unread", [False, True], ids=["of an item", "of none"])
def test_an_object_that_is_no_parked_change_ends_no_verification(s3, wrong, unread):
    park(s3, Undecodable("e-1", "", {}, "no keys") if unread else change(1))
    (name,) = s3.state
    s3.state[name] = wrong
    found = listed(s3).find(KEY)
    assert (found is None) if unread else found.cause.startswith("the object is no parked change: ")


def test_a_bucket_that_cannot_be_read_is_named_with_what_to_do(s3, monkeypatch):
    with pytest.raises(ConfigError, match="--parking other: NoSuchBucket; correct its name, or allow s3:ListBucket"):
        ParkedItems.of(s3, "other", "derive", "users")
    park(s3, change(1))
    parked = listed(s3)

    def denied(**_):
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    monkeypatch.setattr(s3, "get_object", denied)
    with pytest.raises(ConfigError, match="AccessDenied"):
        parked.find(KEY)


def test_without_a_bucket_nothing_is_known_to_be_parked():
    assert NOTHING_LISTED.find(KEY) is None
