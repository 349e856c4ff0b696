"""The scheduled look at the mirror: where replicate is, reading and nothing else, heard if it finds something."""

import json

import pytest

from deploy.template import listed, resolved
from distributary.replicate.settings import DriftSettings
from distributary.replicate.verify.drift import publish
from distributary.replicate.verify.report import MirrorReport

POWERTOOLS = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL", "STACK_NAME"}
STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/users/stream/2026-01-01T00:00:00.000"
TABLE = {"Fn::Select": [0, {"Fn::Split": ["/stream/", {"Ref": "ReplicateSourceArn"}]}]}
REPLICAS = {"Fn::Sub": "arn:${AWS::Partition}:dynamodb:*:${AWS::AccountId}:table/${ReplicaTableName}"}


@pytest.fixture
def variables(template):
    return template.function("Drift")["Environment"]["Variables"]


def test_all_of_it_is_deployed_where_replicate_is(template):
    parts = ("Function", "Role", "Logs", "Alarm", "ErrorsAlarm")
    assert {template.document["Resources"][f"Drift{part}"]["Condition"] for part in parts} == {"ReplicateDeployed"}


def test_it_is_built_and_logs_as_every_function_does(template, root):
    function = template.document["Resources"]["DriftFunction"]
    assert function["Metadata"] == {"BuildMethod": "makefile"}
    assert (
        "\nbuild-DriftFunction: build-ReplicateFunction\n"
        in (root / function["Properties"]["CodeUri"] / "Makefile").read_text()
    )
    assert function["Properties"]["LoggingConfig"] == {"LogGroup": {"Ref": "DriftLogs"}}
    assert template.properties("DriftLogs")["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_the_template_sets_exactly_the_variables_that_the_settings_declare(variables):
    assert set(variables) == DriftSettings.variables() | POWERTOOLS
    assert variables["POWERTOOLS_SERVICE_NAME"] == "drift"
    assert variables["SOURCE_TABLE_ARN"] == TABLE


@pytest.mark.parametrize("bound", ["Default", "MinValue", "MaxValue"])
def test_the_settings_accept_whatever_a_parameter_admits(variables, bound, template):
    ends = {name: each[bound] for name, each in template.document["Parameters"].items() if bound in each}
    given = {"ReplicaTableName": "copy", "ReplicaRegion": "eu-west-1", "ParkingBucket": "parking"}
    values = resolved(variables, {**template.defaults(), **ends, **given}) | {
        "SOURCE_TABLE_ARN": STREAM.partition("/stream/")[0]
    }
    assert DriftSettings.load({name: str(value) for name, value in values.items()})


def test_the_second_looks_fit_into_half_of_the_functions_time(template):
    longest = template.document["Parameters"]["DriftPauseSeconds"]["MaxValue"]
    assert 3 * longest < template.function("Drift")["Timeout"] / 2


def test_its_role_reads_both_tables_and_can_write_neither(template):
    (policy,) = template.properties("DriftRole")["Policies"]
    *always, chosen = policy["PolicyDocument"]["Statement"]
    condition, here, elsewhere = chosen["Fn::If"]
    by_sid = {each["Sid"]: each for each in (*always, here, elsewhere)}
    assert {"Ref": "FunctionPolicy"} not in template.properties("DriftRole")["ManagedPolicyArns"]
    assert set(by_sid) == {"NoResourcesInIam", "WriteLogs", "ReadSource", "ReadReplicas", "AssumeTargetRole"}
    for sid in ("ReadSource", "ReadReplicas"):
        assert by_sid[sid]["Action"] == ["dynamodb:BatchGetItem", "dynamodb:DescribeTable", "dynamodb:Scan"]
    assert by_sid["ReadSource"]["Resource"] == TABLE
    assert (condition, here["Resource"]) == ("ReplicaIsHere", REPLICAS)
    regions = {"Fn::Split": [",", {"Ref": "ReplicaRegion"}]}
    assert here["Condition"] == {"StringEquals": {"aws:RequestedRegion": regions}}
    assert (elsewhere["Action"], elsewhere["Resource"]) == ("sts:AssumeRole", {"Ref": "TargetRoleArn"})
    assert by_sid["NoResourcesInIam"]["Action"] == ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    assert [sid for sid, each in by_sid.items() if "*" in listed(each["Resource"])] == ["NoResourcesInIam"]


def test_it_runs_on_its_schedule_and_is_not_repeated(template):
    (event,) = template.function("Drift")["Events"].values()
    assert event["Type"] == "Schedule"
    assert event["Properties"]["Schedule"] == {"Ref": "DriftSchedule"}
    assert event["Properties"]["Enabled"] is True
    assert event["Properties"]["RetryPolicy"]["MaximumRetryAttempts"] == 0


def test_the_alarm_watches_the_metric_that_the_function_emits(template, variables, monkeypatch, capsys):
    for variable in ("POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"):
        monkeypatch.setenv(variable, variables[variable])
    report = MirrorReport()
    report.name("differences", kind="stale", item="user_id=S:ann@example.com")
    assert publish(report, "shop") == {"drift": 1, "compared": 0}
    said = capsys.readouterr().out
    emitted = next(json.loads(line) for line in said.splitlines() if "CloudWatchMetrics" in line)
    (directive,) = emitted["_aws"]["CloudWatchMetrics"]
    alarm = template.properties("DriftAlarm")
    dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    assert (directive["Namespace"], emitted["Drift"]) == (alarm["Namespace"], [1.0])
    assert [set(dimensions)] == [set(each) for each in directive["Dimensions"]]
    expected = {name: emitted[name] for name in dimensions} | {"stack": {"Ref": "AWS::StackName"}}
    assert (dimensions, emitted["stack"]) == (expected, "shop")
    assert "ann@example.com" not in said


def test_an_alarm_stays_until_a_run_says_otherwise(template):
    """Between two runs there is no data: that is no news."""
    for name in ("DriftAlarm", "DriftErrorsAlarm"):
        alarm = template.properties(name)
        assert alarm["TreatMissingData"] == "ignore"
        assert alarm["AlarmActions"]["Fn::If"][0] == "AlarmTopicGiven"
    assert template.properties("DriftErrorsAlarm")["Dimensions"] == [
        {"Name": "FunctionName", "Value": {"Ref": "DriftFunction"}}
    ]
