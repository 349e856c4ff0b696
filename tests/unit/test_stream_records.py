"""A stream record becomes a change, or says why it is none."""

import copy
import re

import pytest

from distributary.errors import ConfigError, Rejected
from distributary.replicate.multi_active.crdt import NEVER, Timestamp
from distributary.replicate.multi_active.edits import Marks
from distributary.replicate.multi_active.lww import State, digest_of, stamp
from distributary.stream import records as stream_records
from distributary.stream import version
from distributary.stream.change import REPLICA_VERSION, Change, Kind, Origin, Undecodable
from distributary.stream.replicated import replicated
from tests.fakes.streaming import CREATED
from tests.unit.records import ARN, change, event, sequence, stream_record


def decode_one(record):
    (entry,) = stream_records.decode(event(record, stream_record(99)), 0)[:1]
    return entry


def altered(path, value, **kwargs):
    """A good record with one place changed; `...` takes the place out."""
    record = copy.deepcopy(stream_record(**kwargs))
    *way, last = path.split(".")
    part = record
    for step in way:
        part = part[step]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return record


def test_a_change_holds_what_the_record_says():
    record = stream_record(7, "MODIFY", new={"name": {"S": "Ada"}}, old={"name": {"S": "A."}})
    (found,) = stream_records.decode(event(record), 3)
    assert found.kind is Kind.MODIFY
    assert found.event_id == record["eventID"]
    assert dict(found.keys) == {"user_id": "u-1"}
    assert found.new["name"] == "Ada"
    assert found.old["name"] == "A."
    assert found.version == version.of(3, int(sequence(7)))
    assert found.created == CREATED
    assert found.source == ARN
    assert found.identifier == sequence(7)
    assert found.record is record
    assert (found.expired, replicated(found), found.origin) == (False, False, Origin.STREAM)


def test_a_removed_item_has_no_new_image():
    assert change(kind="REMOVE").new is None
    assert decode_one(altered("dynamodb.NewImage", {"user_id": {"S": "u-1"}}, kind="REMOVE")).new is None


def test_a_change_without_an_old_image_is_one():
    assert decode_one(altered("dynamodb.OldImage", ..., kind="MODIFY")).old is None


@pytest.mark.parametrize(
    ("path", "value", "cause"),
    [
        ("dynamodb", ..., "no dynamodb"),
        ("dynamodb", None, "wrong form"),
        ("dynamodb", "text", "wrong form"),
        ("dynamodb", [], "wrong form"),
        ("eventID", ..., "no eventID"),
        ("eventID", "", "eventID"),
        ("eventID", 7, "eventID"),
        ("eventID", {}, "eventID"),
        ("eventID", "a\nb", "eventID"),
        ("eventID", "\ud800", "eventID"),
        ("eventName", ..., "eventName is none of"),
        ("eventName", "UPSERT", "eventName is none of"),
        ("eventName", "insert", "eventName is none of"),
        ("eventName", [], "wrong form"),
        ("dynamodb.Keys", ..., "no Keys"),
        ("dynamodb.Keys", {}, "no key or more than two"),
        ("dynamodb.Keys", {"a": {"S": "1"}, "b": {"S": "2"}, "c": {"S": "3"}}, "no key or more than two"),
        ("dynamodb.Keys", [{"S": "u-1"}], "Keys is no object"),
        ("dynamodb.Keys", "user_id", "Keys"),
        ("dynamodb.Keys", None, "no object"),
        ("dynamodb.Keys", {"user_id": {"BOOL": True}}, "none of S, N, B"),
        ("dynamodb.Keys", {"user_id": {"SS": ["u-1"]}}, "none of S, N, B"),
        ("dynamodb.Keys", {"user_id": {"S": "u-1", "N": "1"}}, "none of S, N, B"),
        ("dynamodb.Keys", {"user_id": {}}, "none of S, N, B"),
        ("dynamodb.Keys", {"user_id": "u-1"}, "user_id|wrong form"),
        ("dynamodb.NewImage", ..., "NEW_AND_OLD_IMAGES"),
        ("dynamodb.NewImage", {}, "NEW_AND_OLD_IMAGES"),
        ("dynamodb.NewImage", {"name": {"S": "Ada"}}, "lacks the key 'user_id'"),
        ("dynamodb.NewImage", {"user_id": {"S": "u-2"}}, "differs from Keys"),
        ("dynamodb.NewImage", {"user_id": {"N": "1"}}, "differs from Keys"),
        ("dynamodb.NewImage", [1], "NewImage is no object"),
        ("dynamodb.SequenceNumber", ..., "SequenceNumber"),
        ("dynamodb.SequenceNumber", None, "SequenceNumber"),
        ("dynamodb.SequenceNumber", "", "SequenceNumber"),
        ("dynamodb.SequenceNumber", 123, "no string of digits"),
        ("dynamodb.SequenceNumber", "-1", "no string of digits"),
        ("dynamodb.SequenceNumber", "12a", "no string of digits"),
        ("dynamodb.SequenceNumber", "1.5", "no string of digits"),
        ("dynamodb.SequenceNumber", "١٢٣", "no string of digits"),
        ("dynamodb.SequenceNumber", "²", "no string of digits"),
        ("dynamodb.SequenceNumber", "1" * 41, "more than 40 digits"),
        ("dynamodb.OldImage", "x", "OldImage is no object"),
        ("dynamodb.OldImage", [1], "OldImage is no object"),
        ("dynamodb.OldImage", "", "OldImage is no object"),
        ("dynamodb.OldImage", 7, "OldImage is no object"),
        ("dynamodb.Keys", "x", "Keys is no object"),
        ("dynamodb.Keys", {"user_id": {"S": ["u-1"]}}, "none of S, N, B"),
        ("dynamodb.ApproximateCreationDateTime", "yesterday", "epoch seconds"),
        ("dynamodb.ApproximateCreationDateTime", "1795341600", "epoch seconds"),
        ("dynamodb.ApproximateCreationDateTime", True, "epoch seconds"),
        ("dynamodb.ApproximateCreationDateTime", float("nan"), "epoch seconds"),
        ("dynamodb.ApproximateCreationDateTime", float("inf"), "epoch seconds"),
        ("dynamodb.ApproximateCreationDateTime", -1, "epoch seconds"),
        ("dynamodb.ApproximateCreationDateTime", 10**400, "epoch seconds"),
        ("dynamodb.ApproximateCreationDateTime", 1_795_341_600_000, "epoch seconds"),
        ("userIdentity", "dynamodb.amazonaws.com", ""),
        ("distributary", {"origin": "nowhere"}, "distributary.origin is none of"),
        ("distributary", {"origin": []}, "wrong form"),
        ("distributary", {}, "distributary.origin is none of"),
        ("distributary", "snapshot", "wrong form"),
    ],
)
def test_a_malformed_record_says_why_it_is_no_change(path, value, cause):
    kind = "REMOVE" if path == "userIdentity" else "MODIFY" if path.endswith("OldImage") else "INSERT"
    entry = decode_one(altered(path, value, kind=kind))
    assert isinstance(entry, Undecodable)
    assert re.search(cause, entry.cause)
    assert entry.event_id.isprintable()


@pytest.mark.parametrize("record", [None, "text", 7, [], [1], True, {}, {"Records": []}])
def test_what_is_no_record_at_all_is_kept_as_it_came(record):
    entry = decode_one(record)
    assert isinstance(entry, Undecodable)
    assert entry.record is record
    assert entry.identifier == ""


def test_a_stream_of_keys_only_says_how_to_mend():
    entry = decode_one(altered("dynamodb.NewImage", ...))
    assert "set the table's StreamViewType to NEW_AND_OLD_IMAGES" in entry.cause


def test_a_malformed_record_leaves_its_neighbours_alone_and_in_order():
    entries = stream_records.decode(event(stream_record(0), altered("dynamodb.Keys", ...), stream_record(2)), 0)
    assert [type(entry) for entry in entries] == [Change, Undecodable, Change]


def test_a_malformed_record_keeps_the_identifier_that_lambda_knows():
    assert decode_one(altered("dynamodb.Keys", ..., place=4)).identifier == sequence(4)


def test_the_same_record_without_an_id_has_the_same_name_each_time():
    one, again, other = (decode_one(altered("eventID", ..., user=user)) for user in ("u-1", "u-1", "u-2"))
    assert one.event_id == again.event_id != other.event_id
    assert len(one.event_id) == 22


def test_content_is_read_only_when_it_is_asked_for():
    entry = decode_one(stream_record(new={"email": {"X": "?"}}))
    assert isinstance(entry, Change)


def test_a_position_has_up_to_forty_digits_and_leading_zeros_count_for_nothing():
    longest = decode_one(altered("dynamodb.SequenceNumber", "9" * 40))
    assert longest.version == 10**40 - 1
    padded = decode_one(altered("dynamodb.SequenceNumber", "0042"))
    assert (padded.version, padded.identifier) == (42, "0042")


TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


@pytest.mark.parametrize(
    ("kind", "identity", "expired"),
    [
        ("REMOVE", TTL, True),
        ("REMOVE", None, False),
        ("REMOVE", {"type": "Service", "principalId": "replication.dynamodb.amazonaws.com"}, False),
        ("MODIFY", TTL, False),
    ],
)
def test_only_a_delete_by_ttl_is_expired(kind, identity, expired):
    assert change(kind=kind, userIdentity=identity).expired is expired


VERSIONED = {REPLICA_VERSION: {"S": "1"}}


@pytest.mark.parametrize(
    ("kind", "old", "new", "expected"),
    [
        ("INSERT", None, VERSIONED, True),
        ("INSERT", None, {}, False),
        ("MODIFY", {}, VERSIONED, True),
        ("MODIFY", VERSIONED, VERSIONED, False),
        ("MODIFY", VERSIONED, {REPLICA_VERSION: {"S": "2"}}, True),
        ("MODIFY", VERSIONED, {}, False),
        ("REMOVE", VERSIONED, None, False),
    ],
)
def test_only_a_write_of_the_version_is_replicated(kind, old, new, expected):
    assert replicated(change(kind=kind, old=old, new=new)) is expected


def test_a_snapshot_is_older_than_every_change_and_is_named_by_its_event():
    record = stream_record(5, distributary={"origin": "snapshot"})
    del record["dynamodb"]["SequenceNumber"]
    (entry,) = stream_records.decode(event(record), 2)
    assert entry.origin is Origin.SNAPSHOT
    assert entry.version == version.of(2, 0)
    assert entry.identifier == record["eventID"]


def test_a_malformed_snapshot_is_named_by_its_event_too():
    record = altered("distributary", {"origin": "snapshot"})
    del record["dynamodb"]["Keys"]
    assert decode_one(record).identifier == record["eventID"]


def test_a_redriven_change_keeps_the_position_it_was_received_with():
    found = change(5, distributary={"origin": "redrive"})
    assert found.origin is Origin.REDRIVE
    assert found.version == change(5).version
    assert found.identifier == sequence(5)


def test_an_absent_note_of_origin_is_a_stream():
    found = change(5, distributary=None)
    assert (found.origin, found.identifier) == (Origin.STREAM, sequence(5))


@pytest.mark.parametrize("nothing", [None, {}, [], "text", {"Records": None}, {"Records": {}}, {"detail": {}}])
def test_what_is_no_stream_event_is_a_wrong_deployment(nothing):
    with pytest.raises(ConfigError, match="no list 'Records'"):
        stream_records.decode(nothing, 0)


@pytest.mark.parametrize("source", ["aws:sqs", "aws:kafka", "", None, [], {}])
def test_another_service_s_event_is_a_wrong_deployment(source):
    with pytest.raises(ConfigError, match="supported: aws:dynamodb"):
        stream_records.decode(event({**stream_record(), "eventSource": source}), 0)


def test_an_empty_batch_is_a_batch():
    assert stream_records.decode(event(), 0) == []


@pytest.mark.parametrize("value", [..., None])
def test_a_record_without_its_time_is_a_change_all_the_same(value):
    found = decode_one(altered("dynamodb.ApproximateCreationDateTime", value))
    assert isinstance(found, Change)
    assert found.created is None
    with pytest.raises(Rejected, match="no ApproximateCreationDateTime"):
        found.creation_time()


CONTENT = {"user_id": {"S": "u-1"}, "name": {"S": "Ada"}, "n": {"N": "1"}}
STATE = State(NEVER, 1, 5, digest_of(CONTENT), False, "eu-west-1")
MARKS = Marks(REPLICA_VERSION)


def stamped(form, content=CONTENT):
    if form == "last writer":
        return {**content, REPLICA_VERSION: {"M": stamp(STATE)}}
    text = MARKS.text(MARKS.plain(CONTENT), Timestamp(NEVER, "eu-west-1", 5, False))
    return {**content, REPLICA_VERSION: {"S": text}}


@pytest.mark.parametrize("form", ["last writer", "merged"])
def test_where_regions_merge_a_stale_item_of_the_application_is_news(form):
    """An application reads an item, another region's write follows, and the application puts what it had read."""
    ours = change(kind="MODIFY", old={"name": {"S": "Eve"}}, new=stamped(form))
    stale = change(kind="MODIFY", old={"name": {"S": "Eve"}}, new=stamped(form, {**CONTENT, "name": {"S": "Bob"}}))
    assert (replicated(ours), replicated(stale)) == (True, False)


@pytest.mark.parametrize("wrong", [{"M": {}}, {"S": "live.x"}, {"N": "1"}, {"M": {"digest": {"S": 7}}}])
def test_an_attribute_of_another_form_is_the_applications(wrong):
    assert not replicated(change(kind="INSERT", new={**CONTENT, REPLICA_VERSION: wrong}))
