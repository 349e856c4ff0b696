"""A record of a Kinesis data stream that a table writes into becomes a change, or says why it is none."""

import base64
import copy
import json
from datetime import UTC, datetime

import pytest

from cli.erasure import Item
from cli.trace.sought import Sought
from distributary.errors import ForeignStream
from distributary.feed.settings import Function
from distributary.readers.parked import Bucket
from distributary.stream import kinesis, version
from distributary.stream import records as stream_records
from distributary.stream.change import Change, Kind, Origin, Undecodable, Unlisted
from distributary.stream.raw_image import RawImage
from tests.fakes.kinesis import MICROS, arn_of, delivered, source_of, written
from tests.fakes.s3 import Versioned
from tests.fakes.streaming import TTL
from tests.unit.records import stream_record

BINARY = b"\x12\x02\x08{"
ONCE = base64.b64encode(BINARY).decode()
IMAGE = {
    "user_id": {"S": "u-1"},
    "raw": {"B": ONCE},
    "many": {"BS": [ONCE]},
    "nested": {"M": {"deep": {"L": [{"B": ONCE}, {"NULL": True}]}}},
}


def content(micros=MICROS, precision="MICROSECOND", **of):
    return written(stream_record(**of), "users", micros, precision)


def decode_one(record, generation=0):
    (entry,) = stream_records.decode({"Records": [record]}, generation)
    return entry


def without(path, **of):
    found = copy.deepcopy(content(**of))
    *way, last = path.split(".")
    part = found
    for step in way:
        part = part[step]
    del part[last]
    return found


def test_a_change_holds_what_the_record_says():
    record = delivered(content(kind="MODIFY", new={"name": {"S": "Ada"}}, old={"name": {"S": "A."}}), 7)
    found = decode_one(record, 3)
    assert found.kind is Kind.MODIFY
    assert dict(found.keys) == {"user_id": "u-1"}
    assert (found.new["name"], found.old["name"]) == ("Ada", "A.")
    assert found.version == version.of(3, MICROS)
    assert found.created == MICROS / 1_000_000
    assert found.source == source_of("users")
    assert (found.expired, found.origin) == (False, Origin.STREAM)


def test_a_failure_is_reported_by_the_sequence_number_of_kinesis():
    record = delivered(content(), 7)
    assert decode_one(record).identifier == record["kinesis"]["sequenceNumber"]


def test_the_record_of_a_change_reads_as_one_of_a_stream():
    """So that what is parked, deferred and archived is read again by one way, whichever source it came from."""
    found = decode_one(delivered(content(MICROS + 1, new=IMAGE), 7), 2)
    again = decode_one(json.loads(json.dumps(dict(found.record))), 2)
    assert again._replace(identifier="", record={}, keys={}, new={}, old={}) == found._replace(
        identifier="", record={}, keys={}, new={}, old={}
    )
    assert (again.keys.raw, again.new.raw, again.old) == (found.keys.raw, found.new.raw, found.old)


@pytest.mark.parametrize("image", [{"name": {"S": "Ada"}}, {"no": {"N": "1"}, "m": {"M": {"ü": {"NULL": True}}}}, {}])
@pytest.mark.parametrize("kind", ["INSERT", "MODIFY", "REMOVE"])
def test_images_are_slices_that_say_the_same(kind, image, monkeypatch):
    record = delivered(content(kind=kind, new=image, old=None if kind == "INSERT" else image), 7)
    sliced = decode_one(record, 2)
    monkeypatch.setattr(kinesis, "_of_slices", lambda *_: None)
    whole = decode_one(record, 2)
    assert sliced.keys.raw == whole.keys.raw
    assert [each and dict(each.raw) for each in (sliced.new, sliced.old)] == [
        each and dict(each.raw) for each in (whole.new, whole.old)
    ]
    assert dict(sliced.record) == whole.record
    others = {"keys": None, "new": None, "old": None, "record": None}
    assert sliced._replace(**others) == whole._replace(**others)
    assert sliced.new is None or isinstance(sliced.new, RawImage)


@pytest.mark.parametrize("image", [{"paid": {"BOOL": True}}, {"city": {"S": "Berlin"}}, {"Birthday": {"N": "1"}}])
def test_what_only_begins_like_the_type_of_a_binary_is_a_slice(image):
    found = decode_one(delivered(content(kind="MODIFY", new=image, old=image), 7))
    assert isinstance(found.new, RawImage)
    assert isinstance(found.old, RawImage)
    assert dict(found.new.raw) == {"user_id": {"S": "u-1"}, **image} == dict(found.old.raw)


def test_binary_values_are_in_base64_twice():
    found = decode_one(delivered(content(new=IMAGE), 0))
    assert found.new.raw == IMAGE
    assert found.new["raw"] == BINARY
    assert found.new["many"] == {BINARY}
    assert found.new["nested"] == {"deep": [BINARY, None]}


def test_a_binary_key_is_in_base64_twice():
    record = stream_record()
    record["dynamodb"]["Keys"] = {"token": {"B": ONCE}}
    record["dynamodb"]["NewImage"] = {"token": {"B": ONCE}}
    assert dict(decode_one(delivered(written(record, "users", MICROS), 0)).keys) == {"token": BINARY}


@pytest.mark.parametrize("spelled", ["not base64", base64.b64encode(b"\xff\x00").decode(), 7, None])
def test_a_binary_value_that_is_not_in_base64_twice_is_no_change(spelled):
    changed = content()
    changed["dynamodb"]["NewImage"]["raw"] = {"B": spelled}
    found = decode_one(delivered(changed, 0))
    assert isinstance(found, Undecodable)
    assert "base64 twice" in found.cause


def test_a_time_in_milliseconds_is_a_time_in_microseconds():
    for precision in ("MILLISECOND", None):
        found = decode_one(delivered(content(MICROS // 1000 + 5, precision), 0))
        assert version.position_of(found.version) == MICROS + 5000
        assert found.created == (MICROS + 5000) / 1_000_000


@pytest.mark.parametrize("time", [0, -1, 1.5, True, None, "1795341600000000", MICROS // 10**6, MICROS * 1000])
def test_what_is_no_time_is_no_change(time):
    assert "ApproximateCreationDateTime" in decode_one(delivered(content(time), 0)).cause


def test_an_unknown_precision_is_no_change():
    assert "Precision" in decode_one(delivered(content(precision="NANOSECOND"), 0)).cause


def test_positions_of_a_stream_are_no_times():
    assert version.is_time(version.of(3, MICROS))
    assert not version.is_time(version.of(3, 62 * 10**20))
    assert not version.is_time(version.of(3, version.SNAPSHOT_POSITION))


def test_a_delete_by_ttl_is_told_apart():
    gone = stream_record(kind="REMOVE", old={"name": {"S": "Ada"}}) | {"userIdentity": TTL}
    assert decode_one(delivered(written(gone, "users", MICROS), 0)).expired
    assert not decode_one(delivered(content(kind="REMOVE"), 0)).expired


def test_images_that_are_null_are_none():
    made = content()
    made["dynamodb"]["OldImage"] = None
    assert decode_one(delivered(made, 0)).old is None


def test_a_record_by_enhanced_fan_out_has_the_same_source():
    consumer = f"{arn_of()}/consumer/derive:1795341600"
    assert decode_one(delivered(content(), 0, consumer)).source == source_of("users")


def test_a_record_of_another_table_is_unlisted_and_fails():
    def only_users(source):
        if source != source_of("users"):
            raise ForeignStream(f"stream {source} is not listed")
        return 4

    foreign = delivered(written(stream_record(), "orders", MICROS), 1)
    found, own = stream_records.decode({"Records": [foreign, delivered(content(), 2)]}, only_users)
    assert isinstance(found, Unlisted)
    assert source_of("orders") in found.cause
    assert found.identifier == foreign["kinesis"]["sequenceNumber"]
    assert version.generation_of(own.version) == 4


@pytest.mark.parametrize(
    "data",
    [b"", b"no JSON", b"[]", b"7", b"null", b'{"tableName": 7}', b'{"tableName": "../x"}', b"\xff", b"[" * 100_000],
)
def test_what_another_program_wrote_is_no_change(data):
    record = delivered(data, 3)
    found = decode_one(record)
    assert isinstance(found, Undecodable)
    assert found.identifier == record["kinesis"]["sequenceNumber"]
    assert found.record == record
    assert found.event_id == record["eventID"]


@pytest.mark.parametrize("missing", ["dynamodb", "eventID", "tableName", "dynamodb.Keys", "dynamodb.NewImage"])
def test_a_record_that_lacks_a_part_is_no_change(missing):
    found = decode_one(delivered(without(missing), 3))
    assert isinstance(found, Undecodable)
    assert missing.rpartition(".")[2] in found.cause


@pytest.mark.parametrize("kinesis", [..., None, 7, {}, {"data": 7}, {"data": "%"}])
def test_an_event_of_another_form_is_no_change(kinesis):
    record = delivered(content(), 3)
    if kinesis is ...:
        del record["kinesis"]
    else:
        record["kinesis"] = kinesis
    assert isinstance(decode_one(record), Undecodable)


def test_no_record_says_of_itself_that_it_was_fed():
    """Whoever may write into the data stream must not make snapshots of its changes."""
    found = decode_one(delivered(content() | {"distributary": {"origin": "snapshot"}}, 0))
    assert isinstance(found, Change)
    assert found.origin is Origin.STREAM


def test_no_cause_quotes_an_item():
    changed = content(new={"name": {"S": "sentinel"}})
    changed["dynamodb"]["NewImage"]["raw"] = {"B": "sentinel!"}
    assert "sentinel" not in decode_one(delivered(changed, 0)).cause


def test_a_record_of_a_batch_that_lambda_gave_up_is_known_by_its_item():
    record, other = delivered(content(), 1), delivered(content(user="u-2"), 2)
    item = Item("users", {"user_id": {"S": "u-1"}})
    assert (item.is_of(record), item.is_of(other)) == (True, False)
    sought = Sought("", {"user_id": {"S": "u-1"}}, ("users",), datetime.now(UTC))
    assert (sought.is_it(record), sought.is_it(other)) == (True, False)
    assert sought.is_it(delivered(b"no JSON", 3)) is False


def test_a_batch_that_lambda_gave_up_is_redriven_by_its_items():
    event = {"Records": [delivered(content(MICROS + 5), 1), delivered(b"no JSON", 2)]}
    context = {"functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:derive:3", "condition": "Expired"}
    s3 = Versioned("parking")
    given_up = json.dumps({"requestContext": context, "payload": json.dumps(event)})
    s3.put_object(Bucket="parking", Key="aws/lambda/one", Body=given_up.encode(), ContentType="")
    function = Function.of(context["functionArn"], {source_of("users"): 2}, (), 7)
    change, unread = Bucket(s3, "parking", {"derive": function}).read(["derive"])
    assert (change.table, change.key) == ("users", {"user_id": {"S": "u-1"}})
    assert change.version == version.to_text(version.of(2, MICROS + 5))
    assert not unread.readable
