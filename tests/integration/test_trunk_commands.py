"""Commands for the trunk: pause, resume, what is deferred, and what Lambda gave up of it."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import pytest

from cli.feed.deployment import version_of, wait_for_others
from cli.main import main
from cli.stack import Stack
from cli.trunk import rows
from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import APPLIED, IGNORED
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.replay import LATE
from distributary.feed.invoke import Ended, Feed, deployed
from distributary.readers.parked import BRANCHES
from distributary.trunk.breaker import CLOSED, Breakers, Row, State
from distributary.trunk.deferred import Store
from distributary.trunk.feeder import ONCE, Feeder
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.stack import ACCOUNT, Lambda, clients
from tests.fakes.streaming import CREATED
from tests.unit.branches import Ledger
from tests.unit.records import ARN, stream_record
from tests.unit.trunks import deployment

AT = {"region_name": "eu-west-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}


class Town:
    """A stack whose trunk carries derive, welcome and archive; index reads by itself."""

    def __init__(self, url):
        self.bucket = f"deferred-{uuid.uuid4().hex[:8]}"
        self.s3 = boto3.client("s3", endpoint_url=url, **AT)
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.dynamodb = DynamoDB({"breakers": {"id": "S"}})
        self.asked, self.archive, self.welcome = [], Ledger(APPLIED), Ledger(APPLIED)
        functions = {
            "derive": deployment(Ledger(APPLIED), "derive", reconciler=self._reconcile),
            "index": deployment(Ledger(APPLIED), "index"),
            "welcome": deployment(self.welcome, "welcome", replays=True),
            "archive": deployment(self.archive, "archive", replays=True),
        }
        self.functions = Lambda(functions, f"{ARN}=3", carries=("derive", "welcome", "archive"))
        self.clients = clients(self.bucket, self.s3, self.functions, dynamodb=self.dynamodb)
        self.stack = Stack.find("shop", self.clients)
        self.breakers = Breakers(self.dynamodb, "breakers", BRANCHES)
        self.store = Store(self.s3, self.bucket)

    def _reconcile(self, requests, deadline):
        self.asked += requests
        return [APPLIED] * len(requests)

    def give_up(self, *records, name="batch"):
        body = {
            "requestContext": {"functionArn": f"{ACCOUNT}:trunk:live", "condition": "RetryAttemptsExhausted"},
            "payload": json.dumps({"Records": list(records)}),
        }
        self.s3.put_object(Bucket=self.bucket, Key=f"aws/lambda/{name}", Body=json.dumps(body).encode())

    def feed(self):
        def feed(branch, table):
            function = self.stack.function(branch)
            return Feed(deployed(self.functions, branch, function.arn), deadline=ONCE, table=function.named(table))

        def parking(branch):
            return Parking(self.s3, self.bucket, branch, Parallel(1))

        feeder = Feeder(self.store, self.stack.functions, feed, parking, self.breakers)
        return {branch: feeder.run(branch, FOREVER) for branch in ("derive", "welcome", "archive")}

    def objects(self):
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])]


@pytest.fixture
def town(emulators, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    found = Town(emulators.aws)
    monkeypatch.setattr("cli.target.clients", lambda *_: found.clients)
    return found


def run(*arguments):
    return main([*arguments, "--stack", "shop"])


def test_a_branch_is_paused_and_resumed(town, capsys):
    assert run("pause", "derive") == 0
    assert town.breakers.read()["derive"].state is State.PAUSED
    assert "until `distributary resume derive --stack shop`" in capsys.readouterr().out
    assert run("resume", "derive") == 0
    assert town.breakers.read()["derive"].state is State.TRIAL
    assert "0 that were deferred" in capsys.readouterr().out
    assert run("resume", "derive") == 0
    assert capsys.readouterr().out == "derive was not paused: it is trial\n"


@pytest.mark.parametrize(
    ("branch", "cause"),
    [
        ("index", "is not in a trunk, so nothing defers its changes"),
        ("idnex", "there is no branch 'idnex': give one of"),
    ],
)
def test_what_nothing_defers_cannot_be_paused(branch, cause, town, capsys):
    assert run("pause", branch) == 2
    assert cause in capsys.readouterr().err
    assert town.dynamodb.state["breakers"] == {}


def test_a_pause_of_a_branch_that_keeps_failing_stays_until_it_is_resumed(town):
    town.breakers.move("archive", CLOSED, Row(State.OPEN, 1.0))
    assert run("pause", "archive") == 0
    assert town.breakers.read()["archive"].state is State.PAUSED


def test_the_rows_are_those_of_the_trunk_and_of_what_is_left(town):
    town.give_up(stream_record(1), stream_record(2, user="b"))
    assert run("parked", "redrive") == 0
    town.breakers.move("derive", CLOSED, Row(State.OPEN, CREATED + 60.0))
    town.functions.carries = ("derive", "archive")
    town.stack = Stack.find("shop", town.clients)
    now = datetime.fromtimestamp(CREATED, UTC) + timedelta(hours=1)
    found = rows(town.stack, lambda: now)
    assert [(each["branch"], each["state"], each["deferred"], each["oldest"]) for each in found] == [
        ("derive", "open", 2, 3600),
        ("welcome", "closed", 2, 3600),
        ("archive", "closed", 2, 3600),
    ]
    assert found[0]["since"] == datetime.fromtimestamp(CREATED + 60, UTC).isoformat()


def test_the_status_is_1_while_a_branch_rests_or_something_waits_for_long(town, capsys):
    fresh = stream_record(1)
    fresh["dynamodb"]["ApproximateCreationDateTime"] = int(datetime.now(UTC).timestamp()) - 60
    town.give_up(fresh)
    assert run("parked", "redrive") == 0
    capsys.readouterr()
    assert run("deferred") == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["derive", "closed"],
        ["welcome", "closed"],
        ["archive", "closed"],
    ]
    town.breakers.pause("archive")
    assert run("deferred", "--json", "-") == 1
    found = json.loads(capsys.readouterr().out)["branches"]
    assert [(each["branch"], each["state"], each["deferred"]) for each in found][2] == ("archive", "paused", 1)
    town.breakers.resume("archive")
    town.breakers.move("archive", town.breakers.read()["archive"], CLOSED)
    town.give_up(stream_record(0))
    assert run("parked", "redrive") == 0
    assert run("deferred") == (1 if datetime.now(UTC).timestamp() - 900 > CREATED else 0)


def test_what_lambda_gave_up_of_the_trunk_is_listed_and_given_to_each_branch(town, capsys):
    records = [stream_record(1), stream_record(2, user="b")]
    town.give_up(*records)
    assert run("parked", "list") == 0
    assert "2  trunk" in capsys.readouterr().out
    assert run("parked", "redrive") == 0
    assert capsys.readouterr().out == "2 redriven, 0 left\n"
    assert {name.split("/")[1] for name in town.objects()} == {"derive", "welcome", "archive"}
    found = town.feed()
    assert {branch: fed.done for branch, fed in found.items()} == {"derive": 2, "welcome": 2, "archive": 2}
    assert sorted(each.keys["user_id"]["S"] for each in town.asked) == ["b", "u-1"]
    assert {each.version // 10**40 for each in town.asked} == {3}
    assert [dict(each.record) for each in town.archive.seen] == records
    assert town.objects() == []


@pytest.mark.parametrize(("branch", "reached"), [("derive", True), ("index", False)])
def test_a_redrive_of_a_branch_reaches_what_lambda_gave_up_of_its_trunk(branch, reached, town, capsys):
    town.give_up(stream_record(1))
    assert run("parked", "redrive", "--branch", branch, "--dry-run") == 0
    assert capsys.readouterr().out == f"{int(reached)} changes would be redriven\n"
    assert run("parked", "redrive", "--branch", branch) == 0
    assert ("aws/lambda/batch" in town.objects()) is not reached
    assert len(town.objects()) == (3 if reached else 1)


def test_a_redrive_on_aws_defers_what_lambda_gave_up_of_the_trunk_first(town, capsys, monkeypatch):
    began = []

    class Machine:
        def run(self, name, task, given):
            began.append((task.function, task.cause, town.objects()))
            return SimpleNamespace(items=5, left=1, ends={Ended("Failed", "no answer"): 1, Ended("Applied"): 4})

    monkeypatch.setattr("cli.parking.machine_of", lambda stack, told: Machine())
    town.give_up(stream_record(1), stream_record(2, user="b"))
    town.give_up(stream_record(3), name="index")
    assert run("parked", "redrive", "--on-aws", "--branch", "derive", "--json", "-") == 1
    ((function, _, objects),) = began
    assert function == "derive"
    assert {name.split("/")[1] for name in objects} == {"derive", "welcome", "archive"}
    assert json.loads(capsys.readouterr().out)["redriven"] == 7
    assert town.feed()["derive"].done == 3


def test_a_redrive_on_aws_of_a_cause_leaves_the_trunk_what_has_another(town, monkeypatch):
    machine = SimpleNamespace(run=lambda *_: SimpleNamespace(items=0, left=0, ends={}))
    monkeypatch.setattr("cli.parking.machine_of", lambda stack, told: machine)
    town.give_up(stream_record(1))
    assert run("parked", "redrive", "--on-aws", "--branch", "derive", "--cause", "only numbers") == 0
    assert town.objects() == ["aws/lambda/batch"]
    assert run("parked", "redrive", "--on-aws", "--branch", "derive", "--cause", "RetryAttemptsExhausted") == 0
    assert "aws/lambda/batch" not in town.objects()


def test_a_given_up_batch_that_is_deferred_twice_is_the_same_objects(town, monkeypatch):
    """The command ended before it removed the batch."""
    town.give_up(stream_record(1))
    remove = town.s3.delete_object
    monkeypatch.setattr(town.s3, "delete_object", lambda **_: None)
    assert run("parked", "redrive") == 0
    before = town.objects()
    monkeypatch.setattr(town.s3, "delete_object", remove)
    assert run("parked", "redrive") == 0
    assert set(town.objects()) == set(before) - {"aws/lambda/batch"}


def test_a_given_up_batch_stays_if_one_of_its_records_cannot_be_read(town, capsys):
    broken = stream_record(2, user="b")
    del broken["dynamodb"]["Keys"]
    town.give_up(stream_record(1), broken)
    assert run("parked", "redrive") == 1
    assert "1 redriven, 1 left" in capsys.readouterr().out
    assert "aws/lambda/batch" in town.objects()


def test_a_message_that_is_deferred_for_too_long_is_parked_and_sent_if_asked(town, capsys):
    town.welcome.default = IGNORED._replace(cause=LATE)
    town.give_up(stream_record(1))
    run("parked", "redrive")
    assert town.feed()["welcome"].parked == 1
    capsys.readouterr()
    assert run("parked", "list") == 0
    assert LATE in capsys.readouterr().out


def test_the_trunk_counts_as_a_writer_of_its_branches(town):
    assert version_of(town.stack.function("derive")) == "1-8"
    assert version_of(town.stack.function("index")) == "1"
    town.functions.trunk_version = "9"
    assert version_of(town.stack.function("derive")) == "1-9"
    waited = []
    wait_for_others(town.stack.function("derive"), waited.append)
    wait_for_others(town.stack.function("index"), waited.append)
    assert waited == [90, 60]
