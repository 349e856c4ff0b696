"""`distributary backfill --on-aws`: what AWS or the stack refuses is one line that says what to do."""

import io
import json

import pytest

from cli.feed import on_aws
from cli.feed.on_aws import Machine, name_of
from cli.main import main
from distributary.errors import ConfigError
from distributary.feed.task import Task
from tests.fakes.answers import refusal
from tests.integration.town import Town

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:shop-feed"
TASK = Task(function="derive", table="orders", keys=("id",), segments=2)
NAME = name_of(TASK, "first")


class States:
    """Step Functions with one execution; `refused`: an error code by operation."""

    def __init__(self, status="", refused=(), **more):
        self.status, self.refused, self.more = status, dict(refused), more
        self.asked = []

    def _ask(self, operation):
        self.asked.append(operation)
        if operation in self.refused:
            raise refusal(operation, self.refused[operation], "not authorized")

    def describe_execution(self, *, executionArn):
        self._ask("DescribeExecution")
        if not self.status:
            raise refusal("DescribeExecution", "ExecutionDoesNotExist", "Execution Does Not Exist")
        return {"status": self.status, **self.more}

    def start_execution(self, *, stateMachineArn, name, input):
        self._ask("StartExecution")
        self.status = "SUCCEEDED"

    def redrive_execution(self, *, executionArn):
        self._ask("RedriveExecution")
        self.status = "SUCCEEDED"

    def list_map_runs(self, *, executionArn):
        return {"mapRuns": []}


class S3:
    """Results of one part."""

    def get_object(self, *, Bucket, Key):
        part = {"Output": json.dumps({"items": 1, "outcomes": [{"status": "Applied", "cause": "", "items": 1}]})}
        found = [part] if Key == "SUCCEEDED_0.json" else {"ResultFiles": {"SUCCEEDED": [{"Key": "SUCCEEDED_0.json"}]}}
        return {"Body": io.BytesIO(json.dumps(found).encode())}


OUTPUT = {"output": json.dumps({"ResultWriterDetails": {"Bucket": "parking", "Key": "manifest.json"}})}


@pytest.fixture
def town(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    monkeypatch.setattr(on_aws, "POLL_SECONDS", 0)
    found = Town()
    monkeypatch.setattr("cli.target.clients", lambda *_: found.clients)
    return found


@pytest.fixture
def deployed(town, monkeypatch):
    """The command's exit status, where Step Functions is this one."""

    def run(states, *more):
        services = {"stepfunctions": states, "s3": S3()}
        others = town.clients
        monkeypatch.setattr("cli.target.clients", lambda *_: lambda name: services.get(name) or others(name))
        outputs = {"ParkingBucketName": "parking", "FeedStateMachineArn": MACHINE, "DeriveFunctionArn": ARN}
        monkeypatch.setattr(others("cloudformation"), "_outputs", outputs)
        return main(["backfill", "orders", "--function", "derive", "--stack", "shop", "--on-aws", *more])

    return run


ARN = "arn:aws:lambda:eu-west-1:123456789012:function:derive"


def test_a_stack_without_the_state_machine_is_said(town, capsys):
    assert main(["backfill", "orders", "--function", "derive", "--stack", "shop", "--on-aws"]) == 2
    assert "stack 'shop' has no state machine: deploy this version with Feed=true" in capsys.readouterr().err


BACKFILL, REBUILD, REDRIVE = (
    ("backfill", "orders", "--function", "derive"),
    ("rebuild", "derive"),
    ("parked", "redrive"),
)


@pytest.mark.parametrize("option", ["--export", "--archive", "--from", "--to", "--tolerate", "--run", "--concurrency"])
def test_what_is_for_a_run_on_aws_is_refused_elsewhere(town, capsys, option):
    value = {"--export": "s3://a", "--archive": "s3://a", "--from": "2026-11-01", "--to": "2026-11-02"}.get(option, "3")
    commands = (BACKFILL, REBUILD, REDRIVE) if option in ("--run", "--concurrency") else (BACKFILL,)
    for command in commands:
        assert main([*command, "--stack", "shop", option, value]) == 2
        assert f"{option}: it is for a run on AWS: give --on-aws" in capsys.readouterr().err


@pytest.mark.parametrize("command", [BACKFILL, REBUILD, (*REDRIVE, "--branch", "derive")])
def test_functions_of_this_machine_are_not_fed_on_aws(capsys, command):
    assert main([*command, "--on-aws"]) == 2
    assert "--on-aws: give --stack NAME" in capsys.readouterr().err


@pytest.mark.parametrize("operation", ["DescribeExecution", "StartExecution"])
def test_a_missing_permission_is_named(deployed, capsys, operation):
    assert deployed(States("", {operation: "AccessDeniedException"}, **OUTPUT)) == 2
    said = capsys.readouterr().err
    assert operation in said
    assert "your credentials need states:StartExecution, RedriveExecution" in said


def test_a_run_that_failed_too_long_ago_needs_another_name(deployed, capsys):
    assert deployed(States("FAILED", {"RedriveExecution": "ExecutionNotRedrivable"}, **OUTPUT)) == 2
    assert "it ended too long ago to go on with it; give another --run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "asked"),
    [("", "StartExecution"), *((each, "RedriveExecution") for each in on_aws.REDRIVABLE), ("SUCCEEDED", None)],
)
def test_a_run_is_begun_or_gone_on_with_once(deployed, capsys, status, asked):
    states = States(status, **OUTPUT)
    assert deployed(states) == 0
    assert [each for each in states.asked if each != "DescribeExecution"] == ([asked] if asked else [])
    assert "1 items, 0 left" in capsys.readouterr().out


def test_a_dry_run_begins_nothing(deployed, capsys):
    states = States("", **OUTPUT)
    assert deployed(states, "--dry-run") == 0
    assert states.asked == []


@pytest.mark.parametrize(
    ("status", "more", "says"),
    [
        ("ABORTED", {}, "it was stopped; then run this again"),
        ("TIMED_OUT", {}, "TIMED_OUT: ; correct that"),
        ("FAILED", {"error": "ExportFailed", "cause": "see the console"}, "ExportFailed: see the console; correct"),
        ("FAILED", {"error": "ConfigError", "cause": '{"errorMessage": "no such file"}'}, "ConfigError: no such file"),
    ],
)
def test_why_a_run_did_not_succeed_is_said(status, more, says):
    states = States("RUNNING")

    def ended(_):
        states.status, states.more = status, more

    with pytest.raises(ConfigError, match=says):
        Machine(states, S3(), MACHINE, sleep=ended).run(NAME, TASK, {})


def test_a_run_has_its_name_from_what_it_does_and_not_from_its_pace():
    names = {name_of(each, "first") for each in (TASK, Task(**{**TASK.as_json(), "rate": 5.0, "keys": ("id",)}))}
    assert names == {NAME}
    assert name_of(Task(function="derive", table="orders", keys=("id",), segments=3), "first") != NAME
    assert name_of(TASK, "second") != NAME
    assert len(name_of(TASK, "x" * 30)) <= 80
