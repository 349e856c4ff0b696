"""Every fault is found and says its mend; nothing is changed by looking."""

from datetime import UTC, datetime, timedelta

import pytest

from distributary.replicate.doctor import checks as judge
from distributary.replicate.doctor import probes as dry_run
from distributary.replicate.doctor.finding import Finding, Level, status
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from tests.fakes.answers import refusal
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.faults import Faults

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BOTH = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
KNOWN = ["us-east-1", "eu-west-1"]


def table(region="us-east-1", name="users", keys=(("user_id", "S"),), **more):
    schema = [{"AttributeName": key, "KeyType": role} for (key, _), role in zip(keys, ("HASH", "RANGE"), strict=False)]
    return {
        "TableName": name,
        "TableArn": f"arn:aws:dynamodb:{region}:123456789012:table/{name}",
        "KeySchema": schema,
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": kind} for key, kind in keys],
        **more,
    }


def mapping(name):
    return {"FunctionArn": f"arn:aws:lambda:us-east-1:123456789012:function:{name}"}


def version(text=None):
    return {REPLICA_VERSION: {"S": text or versions.to_text(7)}}


HERE, THERE = table(StreamSpecification=BOTH), table("eu-west-1", "copy")
GLOBAL = table(Replicas=[{"RegionName": "eu-west-1"}])
STAMPED = {REPLICA_VERSION: {"M": {name: {"S": ""} for name in ("time", "region", "version", "digest")}}}
MARKED = {REPLICA_VERSION: {"S": "live.digest.[]"}}
ENDING = {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
LATE = NOW - timedelta(seconds=400)
CASES = {
    "a stream of both images": (judge.stream(HERE), "ok"),
    "no stream": (judge.stream(table()), "fault"),
    "keys only": (judge.stream(table(StreamSpecification={**BOTH, "StreamViewType": "KEYS_ONLY"})), "fault"),
    "equal keys": (judge.keys(HERE, THERE), "ok"),
    "another key": (judge.keys(HERE, table(keys=[("id", "S")])), "fault"),
    "another type": (judge.keys(HERE, table(keys=[("user_id", "N")])), "fault"),
    "a sort key more": (judge.keys(HERE, table(keys=[("user_id", "S"), ("at", "S")])), "fault"),
    "roles reversed": (
        judge.keys(table(keys=[("a", "S"), ("b", "S")]), table(keys=[("b", "S"), ("a", "S")])),
        "fault",
    ),
    "no reader": (judge.readers(HERE, [], None), "ok"),
    "two readers": (judge.readers(HERE, [mapping("a"), mapping("b")], None), "ok"),
    "two readers, one of them ours": (judge.readers(HERE, [mapping("a"), mapping("r")], "r"), "ok"),
    "two readers before us": (judge.readers(HERE, [mapping("a"), mapping("b")], "r"), "fault"),
    "three readers": (judge.readers(HERE, [mapping("a"), mapping("b"), mapping("c")], None), "fault"),
    "a global table's one reader": (judge.readers(GLOBAL, [mapping("a")], None), "ok"),
    "a global table's second": (judge.readers(GLOBAL, [mapping("a")], "r"), "fault"),
    "two tables": (judge.not_global(HERE, THERE), "ok"),
    "a stamp, a mark, and nothing": (judge.marked(HERE, REPLICA_VERSION, [STAMPED, MARKED, {}]), "ok"),
    "a version where regions are all written": (judge.marked(HERE, REPLICA_VERSION, [version()]), "fault"),
    "the application's map": (judge.marked(HERE, REPLICA_VERSION, [{REPLICA_VERSION: {"M": {}}}]), "fault"),
    "an index on the attribute": (judge.marked(table(keys=[(REPLICA_VERSION, "S")]), REPLICA_VERSION, []), "fault"),
    "deletions that end": (judge.forgetting("kept", ENDING), "ok"),
    "deletions that stay": (judge.forgetting("kept", {"TimeToLiveStatus": "DISABLED"}), "fault"),
    "deletions by another attribute": (judge.forgetting("kept", {**ENDING, "AttributeName": "ttl"}), "fault"),
    "one table": (judge.not_global(HERE, HERE), "fault"),
    "its own global replica": (judge.not_global(GLOBAL, table("eu-west-1")), "fault"),
    "a global table's other namesake": (judge.not_global(GLOBAL, table("us-west-2")), "ok"),
    "a table of its own beside a global one": (judge.not_global(GLOBAL, THERE), "ok"),
    "the replica is global": (
        judge.not_global(HERE, table("eu-west-1", "copy", Replicas=[{"RegionName": "x"}])),
        "note",
    ),
    "regions as asked": (judge.regions(HERE, THERE, ("us-east-1", "eu-west-1"), KNOWN), "ok"),
    "another region": (judge.regions(HERE, THERE, ("us-east-1", "eu-west-2"), KNOWN), "fault"),
    "a region of an emulator": (judge.regions(table("ddblocal"), THERE, ("us-east-1", "eu-west-1"), KNOWN), "unknown"),
    "a region unheard of": (judge.regions(HERE, table("mars-east-1"), ("us-east-1", None), KNOWN), "note"),
    "one region": (judge.regions(HERE, table(name="copy"), ("us-east-1", None), KNOWN), "note"),
    "clocks agree": (judge.clock({"a": NOW, "b": NOW - timedelta(seconds=2)}, NOW), "ok"),
    "a clock ahead": (judge.clock({"a": NOW, "b": LATE}, NOW), "fault"),
    "a clock behind": (judge.clock({"a": NOW}, LATE), "fault"),
    "no date": (judge.clock({"a": NOW, "b": None}, NOW), "unknown"),
    "the attribute is free": (judge.unused([{"user_id": {"S": "a"}}], HERE), "ok"),
    "the attribute is taken": (judge.unused([{}, version()], HERE), "fault"),
    "an index stands on it": (judge.unused([], table(keys=[("user_id", "S"), (REPLICA_VERSION, "S")])), "fault"),
    "rows of ours": (judge.written_by_us([version(), version()]), "ok"),
    "rows of others": (judge.written_by_us([version(), {}]), "note"),
    "versions of others": (judge.written_by_us([version("7")]), "fault"),
    "versions of another type": (judge.written_by_us([{REPLICA_VERSION: {"N": "7"}}]), "fault"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_state_is_judged_and_what_is_wrong_says_its_mend(case):
    finding, level = CASES[case]
    assert finding.level == level
    assert finding.found
    assert bool(finding.mend) is (level != "ok")


def test_the_mends_of_a_stream_are_commands_for_that_table():
    command = "aws dynamodb update-table --table-name users --stream-specification StreamEnabled=true"
    assert judge.stream(table()).mend.startswith(command)


def test_which_way_a_clock_is_wrong_is_said():
    assert "400 s ahead of b" in judge.clock({"b": LATE}, NOW).found
    assert "400 s behind a" in judge.clock({"a": NOW}, LATE).found


@pytest.mark.parametrize(
    ("levels", "exit"),
    [
        ([], 0),
        ([Level.OK, Level.NOTE], 0),
        ([Level.OK, Level.UNKNOWN], 2),
        ([Level.UNKNOWN, Level.FAULT], 1),
    ],
)
def test_a_fault_is_1_and_not_knowing_is_2(levels, exit):
    assert status([Finding("", level, "") for level in levels]) == exit


@pytest.mark.parametrize("kind", ["S", "N", "B"])
def test_permission_to_write_is_proved_without_a_write(kind):
    service = DynamoDB({"copy": {"key": kind}})
    found = list(dry_run.writes(service, "replica", table(name="copy", keys=[("key", kind)])))
    assert [each.level for each in found] == [Level.OK, Level.OK]
    assert service.state["copy"] == {}
    assert service.calls == {"PutItem": 1, "DeleteItem": 1}


def test_a_write_cannot_succeed_even_where_its_item_stands(monkeypatch):
    service = DynamoDB({"copy": {"user_id": "S"}})
    service.put_item(TableName="copy", Item={"user_id": {"S": "u"}})
    monkeypatch.setattr(dry_run, "_nobody", lambda _: {"user_id": {"S": "u"}})
    assert [each.level for each in dry_run.writes(service, "replica", table(name="copy"))] == [Level.OK, Level.OK]
    assert service.state["copy"] == {("u",): {"user_id": {"S": "u"}}}


@pytest.mark.parametrize(
    ("code", "level"),
    [("AccessDeniedException", Level.FAULT), ("ThrottlingException", Level.UNKNOWN)],
)
def test_a_refusal_is_a_fault_and_any_other_failure_is_unknown(code, level):
    def refused(call, service):
        raise refusal("PutItem", code, "no")

    faults = Faults()
    faults.when(lambda *_: True, refused)
    client = faults(DynamoDB({"copy": {"user_id": "S"}}), None)
    found = [
        *dry_run.writes(client, "replica", table(name="copy")),
        *dry_run.reads(client, "replica", table(name="copy")),
    ]
    assert [each.level for each in found] == [level] * 4
    assert all(code in each.found and each.mend for each in found)
