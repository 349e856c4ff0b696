"""A record nested deeper than Python's stack is parked alone, on every Python: it never blocks its shard."""

import json
from types import SimpleNamespace

import pytest

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.errors import Rejected
from distributary.replicate.mirror import MirrorBranch
from distributary.stream import codec
from distributary.stream import records as stream_records
from distributary.stream.change import Change, Undecodable
from distributary.stream.entity import guarded
from distributary.welcome import rules
from distributary.welcome.branch import WelcomeBranch
from rules import RULES
from tests.unit.branches import Bucket
from tests.unit.records import event, stream_record

LEVELS = 20_000
AMPLE = Deadline(float("inf"))


def deep(levels=LEVELS):
    value = {"S": "x"}
    for _ in range(levels):
        value = {"L": [value]}
    return value


def decoded(record):
    (entry,) = stream_records.decode(event(record), 0)
    return entry


def test_a_deep_attribute_is_rejected_when_it_is_read():
    found = decoded(stream_record(new={"more": deep()}))
    assert isinstance(found, Change)
    with pytest.raises(Rejected, match="attribute 'more'"):
        found.new["more"]
    with pytest.raises(Rejected, match="attribute 'more'"):
        codec.for_client(deep(), "more")


def test_a_deep_record_that_is_no_change_is_parked():
    record = stream_record()
    record["eventName"], record["more"] = "NONE", deep()
    del record["eventID"]
    one, other = decoded(record), decoded(record)
    assert isinstance(one, Undecodable)
    assert one.event_id == other.event_id


VERSION = "_distributary_version"
NO_TABLE = SimpleNamespace(version_attribute=VERSION, write=lambda writes, deadline: [])


def branches():
    yield WelcomeBranch(rules.check(RULES), None, {}, None, Parallel(1), 10**10)
    yield MirrorBranch(NO_TABLE, "us-west-2/users")


@pytest.mark.parametrize("branch", [*branches()], ids=lambda each: type(each).__name__)
def test_a_deep_record_whose_versions_are_compared_is_parked(branch):
    found = decoded(stream_record(kind="MODIFY", new={VERSION: deep()}, old={VERSION: deep()}))
    (end,) = branch.apply([found], AMPLE)
    assert end.status is Status.PARKED
    assert "nested too deep" in end.cause


def test_a_deep_record_is_parked_without_what_cannot_be_written():
    bucket, found = Bucket(), decoded(stream_record(new={"more": deep()}))
    end = outcomes.parked(Rejected("never"))
    assert Parking(bucket, "parking", "derive", Parallel(1)).park([(found, end)], AMPLE) == [None]
    (body,) = bucket.bodies().values()
    assert body["record"] is None
    assert body["eventID"] == found.event_id
    assert "nested too deep" in body["detail"]


def test_a_declared_function_that_recurses_too_deep_parks_its_change():
    def where(item):
        return where(item)

    with pytest.raises(Rejected, match="where raised RecursionError"):
        guarded("where", where, decoded(stream_record()).new)


def test_what_a_declared_function_makes_is_bounded_as_a_table_bounds_it():
    value = "x"
    for _ in range(LEVELS):
        value = [value]
    with pytest.raises(Rejected, match="nested too deep"):
        codec.encode(value)
    assert codec.encode(json.loads("[" * 32 + "]" * 32))
