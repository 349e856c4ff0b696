"""`distributary trace`: one change through every branch, by the one id that it has everywhere."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.main import main
from cli.status.row import TRACED
from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import parked as end_of
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.errors import Rejected
from distributary.replicate.multi_active.conflicts import Conflicts, Side
from distributary.replicate.multi_active.crdt import Time
from distributary.stream import version as versions
from distributary.welcome import INSERTED, Content, Entity, Rule, Ses
from distributary.welcome.branch import claim_ids
from tests.fakes.answers import refusal
from tests.fakes.built import archive
from tests.fakes.monitored import Monitored
from tests.fakes.s3 import S3, Versioned
from tests.unit.records import change, stream_record

EVENT, OTHER = f"{7:032x}", f"{8:032x}"
KEY = '{"user_id": {"S": "u-1"}}'
RULES = """
from distributary.welcome import INSERTED, Content, Entity, Rule, Ses
USER = Entity(name="user", keys=("user_id",), attributes=("email",))
RULES = [Rule(name="hello", on=INSERTED, of=USER, channel=Ses, to="email", content={"en": Content("Hi", "Hi")})]
"""
USER = Entity(name="user", keys=("user_id",), attributes=("email",))
RULE = Rule(name="hello", on=INSERTED, of=USER, channel=Ses, to="email", content={"en": Content("Hi", "Hi")})


class Buckets:
    """Several of S3's, by name; `denied` are operations that are refused."""

    def __init__(self, **buckets):
        self._buckets, self.denied = buckets, set()

    def __getattr__(self, name):
        def call(*, Bucket, **given):
            if name in self.denied:
                raise refusal(
                    {"list_object_versions": "ListObjectVersions", "get_object": "GetObject"}[name],
                    "AccessDenied",
                    "",
                    403,
                )
            return getattr(self._buckets[Bucket], name)(Bucket=Bucket, **given)

        return call

    def get_paginator(self, operation):
        outer = self

        class Pages:
            def paginate(self, *, Bucket, **given):
                return outer._buckets[Bucket].get_paginator(operation).paginate(Bucket=Bucket, **given)

        return Pages()


class Town:
    """A stack in which one change was archived, parked, in conflict, logged and written about."""

    def __init__(self, folder, monkeypatch, capsys):
        self.parking, self.archive = Versioned("parking"), S3("archive")
        self.s3 = Buckets(parking=self.parking, archive=self.archive)
        self.seen = Monitored(self.s3, "parking")
        self.capsys, self.folder, self.now = capsys, folder, datetime.now(UTC)
        monkeypatch.setattr("cli.target.clients", lambda endpoint, region: self.seen.clients)
        rules = folder / "functions" / "welcome" / "rules.py"
        rules.parent.mkdir(parents=True)
        rules.write_text(RULES)
        (folder / "template.yaml").write_text("")
        self.change, self.other = change(7, new={"email": {"S": "secret@example.com"}}), change(8, user="u-2")
        self.happen()

    def happen(self):
        archive(self.archive).apply([self.change, self.other], FOREVER)
        for branch, each in (("derive", self.change), ("index", self.other)):
            end = end_of(Rejected("no text", "secret@example.com"))
            assert Parking(self.parking, "parking", branch, Parallel(1)).park([(each, end)], FOREVER) == [None]
        batch = {
            "Records": [stream_record(7, new={"email": {"S": "secret@example.com"}}), stream_record(8, user="u-2")]
        }
        given_up = {
            "requestContext": {
                "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:archive:live",
                "condition": "RetryAttemptsExhausted",
            },
            "payload": json.dumps(batch),
        }
        body = json.dumps(given_up).encode()
        self.parking.put_object(Bucket="parking", Key="aws/lambda/1", Body=body, ContentType="application/json")
        sides = [Side(region, Time(at, 0), False, None) for at, region in enumerate(("a-b-1", "c-d-2"), 1)]
        conflicts = Conflicts(self.parking, "parking", "last", lambda: None, "users")
        conflicts.record(self.change.keys.raw, tuple(sides), sides[1], [EVENT])
        own, _ = claim_ids(RULE, self.change, str(versions.position_of(self.change.version)))
        lease = {"N": str(int(self.now.timestamp()))}
        row = {"id": {"S": own[0]}, "state": {"S": "sent"}, "message_id": {"S": "m-1"}, "lease": lease}
        self.seen.claims[own[0]] = row
        line = {"message": "failed", "branch": "replicate", "changes": 3, "cause": "busy", "event_ids": [EVENT, OTHER]}
        for minutes in (3, 2):
            self.log("replicate", minutes, line)

    def log(self, branch, minutes, line):
        lines = self.seen.logs.setdefault(f"/aws/lambda/shop-{branch}", [])
        lines.append((self.now - timedelta(minutes=minutes), json.dumps(line)))

    def trace(self, what, *arguments):
        code = main(["--project", str(self.folder), "trace", what, "--stack", "shop", "--hours", "90000", *arguments])
        return code, self.capsys.readouterr()

    def steps(self, what, *arguments):
        code, out = self.trace(what, "--json", "-", *arguments)
        report = json.loads(out.out)
        return code, report["steps"], report["unread"]


@pytest.fixture
def town(tmp_path, monkeypatch, capsys):
    return Town(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("what", [EVENT, KEY])
def test_a_change_is_found_wherever_it_left_its_id(town, what):
    code, steps, unread = town.steps(what)
    assert (code, unread) == (0, [])
    assert sorted((each["where"], each["what"]) for each in steps) == [
        ("archive", "given up"),
        ("derive", "parked"),
        ("replicate", "conflict"),
        ("replicate", "failed"),
        ("replicate", "failed"),
        ("users", "INSERT"),
        ("welcome", "message"),
    ]
    assert all(EVENT in each["event"] for each in steps)


def test_the_steps_are_in_order_of_time(town):
    _, steps, _ = town.steps(EVENT)
    times = [datetime.fromisoformat(each["time"]) for each in steps]
    assert times == sorted(times)
    assert steps[0]["what"] == "INSERT"


def test_a_message_has_the_providers_id(town):
    _, steps, _ = town.steps(EVENT)
    (said,) = [each["said"] for each in steps if each["what"] == "message"]
    assert "rule hello, sent" in said
    assert "m-1" in said


def test_another_change_is_not_among_them(town):
    _, steps, _ = town.steps(OTHER)
    assert {(each["where"], each["what"]) for each in steps} == {
        ("users", "INSERT"),
        ("index", "parked"),
        ("archive", "given up"),
        ("replicate", "failed"),
    }


def test_nothing_of_an_item_but_its_key_is_shown(town):
    for what in (EVENT, KEY):
        assert "secret" not in town.trace(what)[1].out
        assert "secret" not in town.trace(what, "--json", "-")[1].out


def test_nothing_that_was_written_breaks_out_of_its_line(town):
    hostile = change(9, user="u\n\x1b[31m\u2028")
    archive(town.archive).apply([hostile], FOREVER)
    end = end_of(Rejected("a\ncause\x1b[0m"))
    Parking(town.parking, "parking", "derive", Parallel(1)).park([(hostile, end)], FOREVER)
    out = town.trace(hostile.event_id)[1].out
    assert len(out.splitlines()) == 2
    assert all(line.isprintable() for line in out.splitlines())


def test_what_is_known_nowhere_ends_with_1(town):
    code, out = town.trace("f" * 32)
    assert (code, "nothing was found" in out.out) == (1, True)
    assert town.steps('{"user_id": {"S": "nobody"}}')[:2] == (1, [])


def test_a_key_of_another_table_is_another_item(town):
    assert town.steps(KEY, "--table", "orders")[1] == []


def test_a_missing_permission_is_a_line_and_the_rest_is_shown(town):
    town.seen.denied.add("FilterLogEvents")
    code, steps, unread = town.steps(EVENT)
    assert code == 2
    assert len(steps) == 5
    assert {each["found"] for each in unread} == {"the permission logs:FilterLogEvents is missing"}
    town.s3.denied.add("list_object_versions")
    code, steps, unread = town.steps(EVENT)
    assert (code, len(steps)) == (2, 2)
    assert "the permission s3:ListBucketVersions is missing" in {each["found"] for each in unread}


def test_a_trace_only_reads(town):
    town.trace(EVENT)
    assert town.seen.called <= TRACED.keys()
    assert all(operation.startswith(("Get", "List", "Describe", "Filter", "Batch")) for operation in TRACED)


def test_a_stack_without_an_archive_shows_what_else_is_known(tmp_path, monkeypatch, capsys):
    town = Town(tmp_path, monkeypatch, capsys)
    town.seen.branches = ("derive", "replicate")
    assert {each["where"] for each in town.steps(EVENT)[1]} == {"derive", "replicate"}


def test_what_was_removed_in_between_is_left_out(town, monkeypatch):
    """A redrive removes an object after it was listed."""
    listed = town.parking.list_object_versions

    def removing(**given):
        found = listed(**given)
        for each in found["Versions"]:
            town.parking.delete_object(Bucket="parking", Key=each["Key"], VersionId=each["VersionId"])
        return found

    monkeypatch.setattr(town.parking, "list_object_versions", removing)
    code, steps, unread = town.steps(EVENT)
    assert (code, unread) == (0, [])
    assert {each["where"] for each in steps} == {"users", "welcome", "replicate"}


@pytest.mark.parametrize("key", ['{"id": {"S": "u-1"}}', '{"user_id": {"N": "1"}}'])
def test_a_key_that_no_table_has_is_said_where_nothing_is_found(town, key):
    code, out = town.trace(key)
    assert (code, out.out) == (2, "")
    assert out.err == 'EVENT_ID|KEY: users has another key: give {"user_id": {"S": "..."}}\n'


def test_without_the_permission_to_compare_a_key_nothing_was_found(town):
    town.seen.denied.add("DescribeTable")
    code, out = town.trace('{"id": {"S": "u-1"}}')
    assert (code, "nothing was found" in out.out) == (1, True)


@pytest.mark.parametrize("what", ["{}", '{"user_id": "u-1"}', "{", "user_id=u-1", "USER#1", ""])
def test_a_key_that_is_none_is_refused(town, what):
    assert town.trace(what)[0] == 2
    assert town.seen.called == set()


def test_the_page_names_every_permission():
    page = (Path(__file__).parents[2] / "docs/watching.md").read_text().partition("## One change")[2]
    assert [each for names in TRACED.values() for each in names.split(" and ") if f"`{each}`" not in page] == []
