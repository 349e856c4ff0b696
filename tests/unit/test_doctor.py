"""Every fault is found and says its fix; nothing is changed by looking."""

from datetime import UTC, datetime, timedelta

import pytest

from distributary.replicate.doctor import checks, probes
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
    "a stream of both images": (checks.stream(HERE), "ok"),
    "no stream": (checks.stream(table()), "fault"),
    "keys only": (checks.stream(table(StreamSpecification={**BOTH, "StreamViewType": "KEYS_ONLY"})), "fault"),
    "equal keys": (checks.keys(HERE, THERE), "ok"),
    "another key": (checks.keys(HERE, table(keys=[("id", "S")])), "fault"),
    "another type": (checks.keys(HERE, table(keys=[("user_id", "N")])), "fault"),
    "a sort key more": (checks.keys(HERE, table(keys=[("user_id", "S"), ("at", "S")])), "fault"),
    "roles reversed": (
        checks.keys(table(keys=[("a", "S"), ("b", "S")]), table(keys=[("b", "S"), ("a", "S")])),
        "fault",
    ),
    "no reader": (checks.readers(HERE, [], None), "ok"),
    "two readers": (checks.readers(HERE, [mapping("a"), mapping("b")], None), "ok"),
    "two readers, one of them ours": (checks.readers(HERE, [mapping("a"), mapping("r")], "r"), "ok"),
    "two aliases, one of them ours": (
        checks.readers(HERE, [mapping("a:live"), mapping("r:live")], mapping("r")["FunctionArn"]),
        "ok",
    ),
    "two aliases before us": (checks.readers(HERE, [mapping("a:live"), mapping("b:live")], "r"), "fault"),
    "two readers before us": (checks.readers(HERE, [mapping("a"), mapping("b")], "r"), "fault"),
    "three readers": (checks.readers(HERE, [mapping("a"), mapping("b"), mapping("c")], None), "fault"),
    "a global table's one reader": (checks.readers(GLOBAL, [mapping("a")], None), "ok"),
    "a global table's second": (checks.readers(GLOBAL, [mapping("a")], "r"), "fault"),
    "two tables": (checks.not_global(HERE, THERE), "ok"),
    "a stamp, a mark, and nothing": (checks.marked(HERE, REPLICA_VERSION, [STAMPED, MARKED, {}]), "ok"),
    "a version where regions are all written": (checks.marked(HERE, REPLICA_VERSION, [version()]), "fault"),
    "the application's map": (checks.marked(HERE, REPLICA_VERSION, [{REPLICA_VERSION: {"M": {}}}]), "fault"),
    "an index on the attribute": (checks.marked(table(keys=[(REPLICA_VERSION, "S")]), REPLICA_VERSION, []), "fault"),
    "deletions that end": (checks.forgetting("kept", ENDING), "ok"),
    "deletions that stay": (checks.forgetting("kept", {"TimeToLiveStatus": "DISABLED"}), "fault"),
    "deletions by another attribute": (checks.forgetting("kept", {**ENDING, "AttributeName": "ttl"}), "fault"),
    "one table": (checks.not_global(HERE, HERE), "fault"),
    "its own global replica": (checks.not_global(GLOBAL, table("eu-west-1")), "fault"),
    "a global table's other namesake": (checks.not_global(GLOBAL, table("us-west-2")), "ok"),
    "a table of its own beside a global one": (checks.not_global(GLOBAL, THERE), "ok"),
    "the replica is global": (
        checks.not_global(HERE, table("eu-west-1", "copy", Replicas=[{"RegionName": "x"}])),
        "note",
    ),
    "regions as asked": (checks.regions(HERE, THERE, ("us-east-1", "eu-west-1"), KNOWN), "ok"),
    "another region": (checks.regions(HERE, THERE, ("us-east-1", "eu-west-2"), KNOWN), "fault"),
    "a region of an emulator": (checks.regions(table("ddblocal"), THERE, ("us-east-1", "eu-west-1"), KNOWN), "unknown"),
    "a region unheard of": (checks.regions(HERE, table("mars-east-1"), ("us-east-1", None), KNOWN), "note"),
    "one region": (checks.regions(HERE, table(name="copy"), ("us-east-1", None), KNOWN), "note"),
    "clocks agree": (checks.clock({"a": NOW, "b": NOW - timedelta(seconds=2)}, NOW), "ok"),
    "a clock ahead": (checks.clock({"a": NOW, "b": LATE}, NOW), "fault"),
    "a clock behind": (checks.clock({"a": NOW}, LATE), "fault"),
    "no date": (checks.clock({"a": NOW, "b": None}, NOW), "unknown"),
    "the attribute is free": (checks.unused([{"user_id": {"S": "a"}}], HERE), "ok"),
    "the attribute is taken": (checks.unused([{}, version()], HERE), "fault"),
    "an index stands on it": (checks.unused([], table(keys=[("user_id", "S"), (REPLICA_VERSION, "S")])), "fault"),
    "rows of ours": (checks.written_by_us([version(), version()]), "ok"),
    "rows of others": (checks.written_by_us([version(), {}]), "note"),
    "versions of others": (checks.written_by_us([version("7")]), "fault"),
    "versions of another type": (checks.written_by_us([{REPLICA_VERSION: {"N": "7"}}]), "fault"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_state_is_judged_and_what_is_wrong_says_its_mend(case):
    finding, level = CASES[case]
    assert finding.level == level
    assert finding.found
    assert bool(finding.fix) is (level != "ok")


def test_the_mends_of_a_stream_are_commands_for_that_table():
    command = "aws dynamodb update-table --table-name users --stream-specification StreamEnabled=true"
    assert checks.stream(table()).fix.startswith(command)


def test_which_way_a_clock_is_wrong_is_said():
    assert "400 s ahead of b" in checks.clock({"b": LATE}, NOW).found
    assert "400 s behind a" in checks.clock({"a": NOW}, LATE).found


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
    found = list(probes.writes(service, "replica", table(name="copy", keys=[("key", kind)])))
    assert [each.level for each in found] == [Level.OK, Level.OK]
    assert service.state["copy"] == {}
    assert service.calls == {"PutItem": 1, "DeleteItem": 1}


def test_a_write_cannot_succeed_even_where_its_item_stands(monkeypatch):
    service = DynamoDB({"copy": {"user_id": "S"}})
    service.put_item(TableName="copy", Item={"user_id": {"S": "u"}})
    monkeypatch.setattr(probes, "_nobody", lambda _: {"user_id": {"S": "u"}})
    assert [each.level for each in probes.writes(service, "replica", table(name="copy"))] == [Level.OK, Level.OK]
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
        *probes.writes(client, "replica", table(name="copy")),
        *probes.reads(client, "replica", table(name="copy")),
    ]
    assert [each.level for each in found] == [level] * 4
    assert all(code in each.found and each.fix for each in found)
