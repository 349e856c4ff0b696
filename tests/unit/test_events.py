"""Every sample event, through what every function makes of it."""

import gzip
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from distributary import derive as views
from distributary import index as indexes
from distributary.consumer.deadline import Deadline
from distributary.derive.branch import plan
from distributary.errors import ConfigError, Rejected
from distributary.index.branch import IndexBranch
from distributary.index.document import DELETED_AT
from distributary.replicate.mirror import MirrorBranch
from distributary.stream import records as stream_records
from distributary.stream.change import Change, Undecodable
from indexes import INDEXES
from rules import RULES
from tests.fakes import built
from tests.fakes.s3 import S3
from tests.unit.mail import Office
from views import VIEWS

EVENTS = Path(__file__).parents[2] / "events"
VIEW = views.check(VIEWS)
INDEXED = IndexBranch(indexes.check(INDEXES), 0, None)
MIRROR = MirrorBranch(None, "us-west-2/users")


def read(name):
    return json.loads((EVENTS / f"{name}.json").read_text())


def entries(name):
    return stream_records.decode(read(name), 0)


def derived(name):
    """By record: the views whose row is put, those whose row goes, and P for a rejection."""
    return [
        "poison"
        if isinstance(each, Undecodable)
        else " ".join(
            [f"{w.id.split('|')[0]}{'+' if w.row else '-'}" for w in plan(VIEW, each)[0]]
            + ["rejected"] * len(plan(VIEW, each)[1])
        )
        for each in entries(name)
    ]


def indexed(name):
    return [_one(each, lambda change: "-" if DELETED_AT in _document(change) else "+") for each in entries(name)]


def mirrored(name):
    return [_one(each, lambda change: "+" if MIRROR.plan(change).row else "-") for each in entries(name)]


def welcomed(name):
    office = Office(*RULES)
    office.clock = 1_795_341_660.0
    ends = office.apply(*(each for each in entries(name) if isinstance(each, Change)))
    return [end.status.value for end in ends], sorted(office.sent)


def _document(change):
    actions, rejections = INDEXED.plan(change)
    for rejection in rejections:
        raise rejection
    (action,) = actions.values()
    return json.loads(action.lines.splitlines()[1])


def _one(entry, made):
    if isinstance(entry, Undecodable):
        return "poison"
    try:
        return made(entry)
    except Rejected:
        return "rejected"


BOTH = "profile+ active+"
WHAT_HAPPENS = {
    "insert": ([BOTH], ["+"], ["+"], (["Applied"], ["ada@example.com"])),
    "kinesis": ([BOTH, "profile+"], ["+", "+"], ["+", "+"], (["Applied", "Ignored"], ["ada@example.com"])),
    "modify": (["profile+"], ["+"], ["+"], (["Ignored"], [])),
    "remove": (["profile- active-"], ["-"], ["-"], (["Ignored"], [])),
    "ttl-expiry": (["profile- active-"], ["-"], ["-"], (["Ignored"], [])),
    "leaves-a-view": (["active-"], ["+"], ["+"], (["Ignored"], [])),
    "insert-then-remove": (
        [BOTH, "profile- active-"],
        ["+", "-"],
        ["+", "-"],
        (["Applied", "Ignored"], ["cleo@example.net"]),
    ),
    "several-changes-of-one-item": (
        [BOTH, "", "active-", "active+"],
        ["+"] * 4,
        ["+"] * 4,
        (["Applied", "Ignored", "Ignored", "Ignored"], ["bob@example.org"]),
    ),
    "poison-record": (
        [BOTH, "poison", BOTH],
        ["+", "poison", "+"],
        ["+", "poison", "+"],
        (["Applied", "Applied"], ["ada@example.com", "cleo@example.net"]),
    ),
    "unknown-attribute-type": (
        [BOTH, "active+ rejected", BOTH],
        ["+", "rejected", "+"],
        ["+", "rejected", "+"],
        (["Applied", "Parked", "Applied"], ["ada@example.com", "cleo@example.net"]),
    ),
    "echo-and-losing-edit": (
        [BOTH, BOTH, BOTH, "profile- active-"],
        ["+", "+", "+", "-"],
        ["+", "+", "+", "-"],
        (["Applied", "Ignored", "Ignored", "Ignored"], ["ada@example.com"]),
    ),
    "no-address": (
        [BOTH, BOTH],
        ["+", "+"],
        ["+", "+"],
        (["Parked", "Applied"], ["cleo@example.net"]),
    ),
    "binary-and-38-digits": ([BOTH], ["+"], ["+"], (["Applied"], ["grace@example.com"])),
    "keys-only-stream": (["poison"], ["poison"], ["poison"], ([], [])),
    "snapshot": ([BOTH], ["+"], ["+"], (["Ignored"], [])),
    "empty-batch": ([], [], [], ([], [])),
}
NO_STREAM = {"not-a-stream-event"}
NOT_ARCHIVED = {
    "snapshot": ["Ignored"],
    "empty-batch": [],
    "keys-only-stream": [],
    "poison-record": ["Applied", "Applied"],
}
"""What is no change is never archived; every change is, whatever it holds."""


def test_every_sample_event_has_its_say_here():
    assert {path.stem for path in EVENTS.glob("*.json")} == {*WHAT_HAPPENS, *NO_STREAM}


@pytest.mark.parametrize("name", WHAT_HAPPENS)
def test_what_a_sample_event_makes_happen(name):
    assert (derived(name), indexed(name), mirrored(name), welcomed(name)) == WHAT_HAPPENS[name]


@pytest.mark.parametrize("name", WHAT_HAPPENS)
def test_every_change_of_a_sample_event_is_archived(name):
    changes = [each for each in entries(name) if isinstance(each, Change)]
    archive = S3("archive")
    ends = built.archive(archive).apply(changes, Deadline(float("inf")))
    expected = NOT_ARCHIVED.get(name, ["Applied"] * len(read(name)["Records"]))
    assert [end.status.value for end in ends] == expected
    kept = [line for body in archive.state.values() for line in gzip.decompress(body).splitlines()]
    assert len(kept) == expected.count("Applied")


@pytest.mark.parametrize("name", sorted(NO_STREAM))
def test_an_event_of_no_stream_is_refused(name):
    with pytest.raises(ConfigError):
        entries(name)


def test_the_sample_of_kinesis_looks_as_lambda_delivers_it():
    for record in read("kinesis")["Records"]:
        number = record["kinesis"]["sequenceNumber"]
        assert re.fullmatch(r"\d{56}", number)
        assert record["eventID"] == f"shardId-000000000000:{number}"
        assert record["eventSourceARN"] == "arn:aws:kinesis:eu-west-1:123456789012:stream/changes"
        assert (record["eventSource"], record["eventVersion"]) == ("aws:kinesis", "1.0")


@pytest.mark.parametrize("name", sorted(WHAT_HAPPENS.keys() - {"kinesis"}))
def test_a_sample_event_looks_as_lambda_delivers_it(name):
    records = read(name)["Records"]
    assert len({record["eventID"] for record in records}) == len(records)
    for record in records:
        assert re.fullmatch(r"[0-9a-f]{32}", record["eventID"])
        assert record["eventVersion"] == "1.1"
        assert record["awsRegion"] == "eu-west-1"
        assert re.fullmatch(r"arn:aws:dynamodb:eu-west-1:\d{12}:table/users/stream/[\dT:.-]+", record["eventSourceARN"])
        body = record["dynamodb"]
        assert {"ApproximateCreationDateTime", "SequenceNumber", "SizeBytes", "StreamViewType"} <= set(body)
        assert re.fullmatch(r"\d{21,40}|0", body["SequenceNumber"])


def test_the_extremes_reach_the_replica_and_the_index_exactly():
    (change,) = entries("binary-and-38-digits")
    assert change.new["balance"] == Decimal("-1234567890123456789012345678.9012345678")
    row = MIRROR.plan(change).row
    assert row["avatar"]["B"].startswith(b"\x89PNG\r\n\x1a\n")
    assert row["balance"] == change.new.raw["balance"]
    assert row["preferences"]["L"][3] == {"BS": [b"", b"\x00\x01\x02", b"\xff\xee\xdd"]}
    document = _document(change)
    assert document["balance"] == "-1234567890123456789012345678.9012345678"
    assert document["visits"] == 12345678901
