"""A parked change is one object under its branch, whatever its record holds."""

import json

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking, read
from distributary.errors import ConfigError, Rejected, Unavailable
from distributary.stream.change import Undecodable
from distributary.stream.format import check_format, format_of
from distributary.stream.keys import item_digest
from tests.unit.branches import Bucket
from tests.unit.records import change
from tests.unit.strategies import hostile

TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
END = outcomes.parked(Rejected("never", "the detail"))
AMPLE = Deadline(float("inf"))


def unread(event_id):
    return Undecodable(event_id, "", {}, "cause")


def parking(bucket=None, branch="derive"):
    return Parking(bucket or Bucket(), "parking", branch, Parallel(2))


@given(hostile | st.text(st.characters(exclude_categories=["Cs"])), hostile)
def test_two_event_ids_never_share_an_object_and_stay_under_their_branch(one, other):
    names = [parking().name(unread(event_id)) for event_id in (one, other)]
    assert (names[0] == names[1]) == (one == other)
    for name in names:
        assert name.startswith("parked/derive/unread/")
        assert name.count("/") == 3
        assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in name)
        assert len(name.encode()) <= 1024


@pytest.mark.parametrize(
    "event_id", ["../../other", "..", ".", "a/b/c", "/", "x" * 5000, "é" * 5000, "a\r\nb\0", "%2F"]
)
def test_an_odd_event_id_is_one_object_under_its_prefix(event_id):
    bucket = Bucket()
    entry = Undecodable(event_id, "", {"eventID": event_id}, "cause")
    assert parking(bucket).park([(entry, END), (entry, END)], AMPLE) == [None, None]
    (key,) = bucket.objects
    assert key.startswith("parked/derive/unread/")
    assert key.count("/") == 3
    assert bucket.bodies()[key]["eventID"] == event_id


def test_a_long_event_id_and_the_text_of_its_name_are_two_objects():
    name = parking().name(unread("x" * 5000))
    assert parking().name(unread(name.removeprefix("parked/derive/unread/").removesuffix(".json"))) != name


def test_the_objects_of_an_item_share_a_folder_that_no_other_item_has():
    names = [parking().name(change(place, user=user)) for place, user in ((1, "a"), (2, "a"), (3, "b"))]
    folders = [name.split("/")[2] for name in names]
    assert folders[0] == folders[1] == item_digest("users", {"user_id": {"S": "a"}}) != folders[2]
    assert len(set(names)) == 3


def test_an_object_holds_the_record_as_received_and_its_trace():
    bucket, found = Bucket(), change(3, new={"name": {"S": "Zoë 🌊"}, "avatar": {"B": "AP8="}})
    parking(bucket, "index").park([(found, END)], AMPLE)
    name = parking(bucket, "index").name(found)
    assert bucket.bodies()[name] == {
        "format": 1,
        "branch": "index",
        "eventID": found.event_id,
        "table": "users",
        "key": {"user_id": {"S": "u-1"}},
        "expired": False,
        "version": str(found.version),
        "cause": "never",
        "detail": "the detail",
        "record": found.record,
    }
    assert "Zoë 🌊".encode() in bucket.objects[name]


def test_a_record_over_400_kb_is_parked_whole():
    bucket, found = Bucket(), change(new={"avatar": {"B": "A" * 500_000}})
    assert parking(bucket).park([(found, END)], AMPLE) == [None]
    (body,) = bucket.bodies().values()
    assert body["record"] == found.record


def test_text_that_is_no_unicode_is_parked_as_an_escape():
    bucket = Bucket()
    entry = Undecodable("e-1", "", {"note": "\ud800"}, "cause")
    parking(bucket).park([(entry, END)], AMPLE)
    assert b'"\\ud800"' in bucket.objects["parked/derive/unread/e-1.json"]
    assert json.loads(bucket.objects["parked/derive/unread/e-1.json"])["record"] == {"note": "\ud800"}


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "SlowDown", "Message": "m"}}, "PutObject"),
        ClientError({"Error": {"Code": "NoSuchBucket", "Message": "m"}}, "PutObject"),
        ClientError({"Error": {"Code": "AccessDenied", "Message": "m"}}, "PutObject"),
        EndpointConnectionError(endpoint_url="https://s3"),
    ],
)
def test_a_refused_object_is_an_error_in_its_place(error):
    class Refusing(Bucket):
        def put_object(self, **request):
            if "e-1" in request["Key"]:
                raise error
            super().put_object(**request)

    entries = [(Undecodable(f"e-{i}", "", {}, "cause"), END) for i in range(3)]
    errors = parking(Refusing()).park(entries, AMPLE)
    assert [type(each) for each in errors] == [type(None), Unavailable, type(None)]
    assert "parking PutObject" in str(errors[1])


def test_nothing_is_begun_when_the_time_is_over():
    bucket = Bucket()
    (error,) = parking(bucket).park([(change(), END)], Deadline(0.0))
    assert isinstance(error, Unavailable)
    assert bucket.objects == {}


def test_an_object_of_the_first_release_is_read_as_one_of_this():
    bucket, found = Bucket(), change(3, kind="REMOVE", old={"name": {"S": "Ada"}}, userIdentity=TTL)
    parking(bucket).park([(found, END)], AMPLE)
    (content,) = bucket.objects.values()
    body = json.loads(content)
    first = {name: body[name] for name in ("branch", "eventID", "version", "cause", "detail", "record")}
    assert read(content) == read(json.dumps(first).encode()) == body
    assert (body["table"], body["expired"]) == ("users", True)


def test_a_record_that_is_no_change_is_read_back_from_either_release():
    bucket, found = Bucket(), Undecodable("e-1", "", {"note": 1}, "cause")
    parking(bucket).park([(found, END)], AMPLE)
    (content,) = bucket.objects.values()
    body = json.loads(content)
    first = {name: body[name] for name in ("branch", "eventID", "version", "cause", "detail", "record")}
    assert read(content) == read(json.dumps(first).encode()) == body
    assert body["key"] is None


def test_an_object_whose_record_is_lost_keeps_the_item_that_it_names():
    """A record that is nested too deep is not part of its object; see tests/unit/test_deep_records.py."""
    bucket, found = Bucket(), change(3)
    parking(bucket).park([(found, END)], AMPLE)
    (content,) = bucket.objects.values()
    body = {**json.loads(content), "record": None}
    assert read(json.dumps(body).encode())["key"] == {"user_id": {"S": "u-1"}}


def test_a_change_of_the_first_release_that_is_none_any_more_is_read():
    record = {"eventSource": "aws:dynamodb", "note": 1}
    body = {"branch": "derive", "eventID": "e-1", "version": "7", "cause": "never", "detail": "", "record": record}
    assert read(json.dumps(body).encode()) == {**body, "format": 1, "table": None, "key": None, "expired": None}


def test_an_object_of_a_later_release_is_refused_not_misread():
    with pytest.raises(ConfigError, match=r"a parked object has format 2, .* deploy that release again"):
        read(b'{"format": 2}')


def test_the_format_of_a_row_is_read_and_a_later_one_refused():
    assert format_of({"id": {"S": "a"}}) == 0
    assert format_of({"format": {"N": "3"}}) == 3
    with pytest.raises(ConfigError, match="is no number"):
        format_of({"format": {"S": "x"}})
    with pytest.raises(ConfigError, match="a ledger row has format 3, and this release reads formats up to 2"):
        check_format("a ledger row", 3, 2)
