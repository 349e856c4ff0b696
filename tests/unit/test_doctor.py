"""Every fault is found and says its fix; nothing is changed by looking."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from distributary.replicate.doctor import checks, checkup, other_account, probes
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from distributary.verify import stream_readers
from distributary.verify.finding import Finding, Level, status
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
BACK = {"REPLICA_TABLE": "users", "REPLICA_REGION": "us-east-1"}


def reader(variables=None, **more):
    return checks.Reader({**mapping("old"), "UUID": "u-1", "State": "Enabled", **more}, variables)


def opposite(*readers, shared=False):
    return checks.opposite(HERE, THERE, readers, shared)


STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/users/stream/2026-01-01T00:00:00.000"
READER = "444455556666"


def granted(principal, actions=None, effect="Allow", **more):
    asked = actions or list(other_account.READS)
    statement = {"Effect": effect, "Principal": principal, "Action": asked, "Resource": STREAM, **more}
    return {"Statement": [statement]}


def stream_policy(*policies):
    return other_account.judged(STREAM, READER, {"Statement": [each["Statement"][0] for each in policies]})


CASES = {
    "a stream's policy for our account": (stream_policy(granted({"AWS": f"arn:aws:iam::{READER}:root"})), "ok"),
    "one for a role of our account": (stream_policy(granted({"AWS": [f"arn:aws:iam::{READER}:role/r"]})), "ok"),
    "one for our account by its number": (stream_policy(granted({"AWS": READER})), "ok"),
    "one by wildcards": (stream_policy(granted({"AWS": READER}, "dynamodb:*")), "ok"),
    "one for everybody": (stream_policy(granted("*")), "ok"),
    "actions over two statements": (
        stream_policy(granted({"AWS": READER}, "dynamodb:Get*"), granted({"AWS": READER}, "dynamodb:DescribeStream")),
        "ok",
    ),
    "no policy": (other_account.judged(STREAM, READER, {}), "fault"),
    "one for another account": (stream_policy(granted({"AWS": "999900001111"})), "fault"),
    "one for a service": (stream_policy(granted({"Service": "lambda.amazonaws.com"})), "fault"),
    "one action too few": (stream_policy(granted({"AWS": READER}, "dynamodb:Get*")), "fault"),
    "a policy with a condition": (stream_policy(granted({"AWS": READER}, Condition={"Bool": {}})), "fault"),
    "a denial alone": (stream_policy(granted({"AWS": READER}, effect="Deny")), "fault"),
    "a denial to some": (
        stream_policy(granted({"AWS": READER}), granted("*", "dynamodb:GetRecords", "Deny")),
        "unknown",
    ),
    "no mapping on the replica": (opposite(), "ok"),
    "a reader of the replica that writes elsewhere": (opposite(reader({"DERIVED_TABLE": "users"})), "ok"),
    "a mirror of the replica elsewhere": (opposite(reader({**BACK, "REPLICA_REGION": "us-west-2"})), "ok"),
    "a mirror of the replica into another table": (opposite(reader({**BACK, "REPLICA_TABLE": "orders"})), "ok"),
    "an old mapping that is disabled": (opposite(reader(BACK, State="Disabled")), "ok"),
    "an old mapping beside the reversal": (opposite(reader(BACK)), "fault"),
    "an old mapping that names the table by ARN": (
        opposite(reader({**BACK, "REPLICA_TABLE": HERE["TableArn"]})),
        "fault",
    ),
    "mirrors of different items": (opposite(reader(BACK), shared=True), "note"),
    "a reader whose function cannot be read": (opposite(reader()), "unknown"),
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
    "no reader": (stream_readers.judged(HERE, [], None), "ok"),
    "two readers": (stream_readers.judged(HERE, [mapping("a"), mapping("b")], None), "ok"),
    "two readers, one of them ours": (stream_readers.judged(HERE, [mapping("a"), mapping("r")], "r"), "ok"),
    "two aliases, one of them ours": (
        stream_readers.judged(HERE, [mapping("a:live"), mapping("r:live")], mapping("r")["FunctionArn"]),
        "ok",
    ),
    "two aliases before us": (stream_readers.judged(HERE, [mapping("a:live"), mapping("b:live")], "r"), "fault"),
    "two readers before us": (stream_readers.judged(HERE, [mapping("a"), mapping("b")], "r"), "fault"),
    "two readers and one that the trunk carries": (
        stream_readers.judged(HERE, [mapping("a"), mapping("t"), {**mapping("r"), "State": "Disabled"}], "r"),
        "ok",
    ),
    "three readers": (stream_readers.judged(HERE, [mapping("a"), mapping("b"), mapping("c")], None), "fault"),
    "two mappings of one function and another": (
        stream_readers.judged(HERE, [mapping("a:live"), mapping("a:old"), mapping("b")], None),
        "fault",
    ),
    "a global table's one reader": (stream_readers.judged(GLOBAL, [mapping("a")], None), "ok"),
    "a global table's second": (stream_readers.judged(GLOBAL, [mapping("a")], "r"), "fault"),
    "two tables": (checks.not_global(HERE, THERE), "ok"),
    "a stamp, a mark, and nothing": (checks.marked(HERE, REPLICA_VERSION, [STAMPED, MARKED, {}]), "ok"),
    "a version where regions are all written": (checks.marked(HERE, REPLICA_VERSION, [version()]), "fault"),
    "the application's map": (checks.marked(HERE, REPLICA_VERSION, [{REPLICA_VERSION: {"M": {}}}]), "fault"),
    "an index on the attribute": (checks.marked(table(keys=[(REPLICA_VERSION, "S")]), REPLICA_VERSION, []), "fault"),
    "deletions that end": (checks.expiring("kept", "eu-west-1", ENDING), "ok"),
    "deletions that stay": (checks.expiring("kept", "eu-west-1", {"TimeToLiveStatus": "DISABLED"}), "fault"),
    "deletions by another attribute": (
        checks.expiring("kept", "eu-west-1", {**ENDING, "AttributeName": "ttl"}),
        "fault",
    ),
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
    "rows that a repair wrote": (checks.written_by_us([version(versions.to_text(7, "r"))]), "ok"),
    "rows of others": (checks.written_by_us([version(), {}]), "note"),
    "versions of others": (checks.written_by_us([version("7")]), "fault"),
    "versions of another type": (checks.written_by_us([{REPLICA_VERSION: {"N": "7"}}]), "fault"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_state_is_judged_and_what_is_wrong_says_its_fix(case):
    finding, level = CASES[case]
    assert finding.level == level
    assert finding.found
    assert bool(finding.fix) is (level != "ok")


def test_an_old_mapping_is_disabled_by_the_command_that_its_finding_names():
    finding = opposite(reader({}), reader(BACK))
    assert "old in eu-west-1 carries changes of copy to users" in finding.found
    command = "aws lambda update-event-source-mapping --region eu-west-1 --uuid u-1 --no-enabled"
    assert finding.fix == command


class Lambda:
    """The part of a client that is asked: mappings by page, and one function's environment."""

    def __init__(self, *mappings, refused=""):
        self._mappings, self._refused = mappings, refused

    def get_paginator(self, operation):
        if self._refused == operation:
            raise refusal(operation, "AccessDeniedException", "no")
        pages = [{"EventSourceMappings": [each]} for each in self._mappings]
        return SimpleNamespace(paginate=lambda: pages)

    def get_function_configuration(self, *, FunctionName):
        if self._refused == "get_function_configuration":
            raise refusal("GetFunctionConfiguration", "AccessDeniedException", "no")
        return {"Environment": {"Variables": BACK}} if FunctionName.endswith(":old") else {}


@pytest.mark.parametrize(
    ("stream", "refused", "level"),
    [
        (f"{THERE['TableArn']}/stream/2026-01-01", "", Level.FAULT),
        (f"{THERE['TableArn']}-2/stream/2026-01-01", "", Level.OK),
        (f"{THERE['TableArn']}/stream/2026-01-01", "get_function_configuration", Level.UNKNOWN),
        ("", "list_event_source_mappings", Level.UNKNOWN),
    ],
)
def test_mappings_of_every_stream_of_the_replica_are_looked_at(stream, refused, level):
    service = Lambda(
        {**mapping("other"), "State": "Enabled"}, {**mapping("old"), "EventSourceArn": stream}, refused=refused
    )
    place = SimpleNamespace(client=lambda _: service)
    finding = checkup._opposite(checkup.Patient(place, place, None, None), HERE, THERE)
    assert finding.level is level


def test_the_fixes_of_a_stream_are_commands_for_that_table():
    command = "aws dynamodb update-table --region eu-west-1 --table-name users --stream-specification"
    assert checks.stream(table("eu-west-1")).fix.startswith(f"{command} StreamEnabled=true")


def test_the_fix_of_a_table_of_deletions_is_a_command_for_its_region():
    command = "aws dynamodb update-time-to-live --region eu-west-1 --table-name kept "
    assert checks.expiring("kept", "eu-west-1", {}).fix.startswith(command)


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
    monkeypatch.setattr(probes, "_unused_key", lambda _: {"user_id": {"S": "u"}})
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


class Policies:
    """A client of the owner's DynamoDB, with the policy of the stream or a refusal."""

    def __init__(self, answer):
        self.answer = answer

    def get_resource_policy(self, ResourceArn):
        assert ResourceArn == STREAM
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"Policy": json.dumps(self.answer)}


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (granted({"AWS": READER}), "ok"),
        (refusal("GetResourcePolicy", "PolicyNotFoundException", "none"), "fault"),
        (refusal("GetResourcePolicy", "AccessDeniedException", "no"), "unknown"),
    ],
)
def test_a_function_of_another_account_needs_the_streams_policy(answer, level):
    function = f"arn:aws:lambda:us-east-1:{READER}:function:shop-replicate:live"
    (finding,) = other_account.examine(Policies(answer), STREAM, function)
    assert (finding.check, finding.level) == ("stream's policy", level)


@pytest.mark.parametrize("function", [None, "replicate", mapping("replicate")["FunctionArn"]])
def test_a_function_of_the_streams_account_needs_no_policy(function):
    assert list(other_account.examine(Policies(AssertionError("asked")), STREAM, function)) == []


def test_the_policy_that_is_printed_is_enough():
    policy = json.loads(other_account.needed(STREAM, READER))
    assert other_account.judged(STREAM, READER, policy).level is Level.OK
