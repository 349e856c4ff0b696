"""Every function is watched, on metrics that exist."""

import json

import pytest

from deploy.template import BRANCHES
from distributary.consumer.outcome import Outcome, Status
from distributary.consumer.streams import UNLISTED
from distributary.consumer.telemetry import Telemetry
from distributary.stream.change import Undecodable, Unlisted
from distributary.welcome.branch import UNKNOWN

GIVEN_UP = {"GivenUp": "OnFailureDestinationDeliveredEventCount", "Dropped": "DroppedEventCount"}
WATCHED = {
    "IteratorAge": "AWS/Lambda",
    "Errors": "AWS/Lambda",
    "Throttles": "AWS/Lambda",
    "Parked": "Distributary",
    UNLISTED: "Distributary",
    "GivenUp": "AWS/Lambda",
    "Dropped": "AWS/Lambda",
}


@pytest.fixture(params=BRANCHES)
def name(request):
    return request.param


def dimensions(alarm):
    return {each["Name"]: each["Value"] for each in alarm["Dimensions"]}


@pytest.mark.parametrize("metric", WATCHED)
def test_every_function_has_each_alarm_wherever_it_is_deployed(name, metric, template):
    resource = template.document["Resources"][f"{name}{metric}Alarm"]
    alarm = resource["Properties"]
    assert resource["Condition"] == f"{name}Deployed"
    assert (alarm["MetricName"], alarm["Namespace"]) == (GIVEN_UP.get(metric, metric), WATCHED[metric])
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmActions"]["Fn::If"][0] == "AlarmTopicGiven"


def test_there_are_no_other_alarms(template):
    expected = {f"{name}{metric}Alarm" for name in BRANCHES for metric in WATCHED}
    more = {"WelcomeUnknownAlarm", "SuppressErrorsAlarm", "DriftAlarm", "DriftErrorsAlarm", "IndexPurgeErrorsAlarm"}
    assert set(template.of_type("AWS::CloudWatch::Alarm")) == expected | more


def test_a_message_of_which_nobody_knows_rings(template, monkeypatch, capsys):
    variables = template.function("Welcome")["Environment"]["Variables"]
    for variable in ("POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"):
        monkeypatch.setenv(variable, variables[variable])
    end = Outcome(Status.PARKED, "unknown", metric=UNKNOWN)
    Telemetry("welcome").batch("request", [Undecodable("e", "e", {}, "")], [end], 0.0)
    emitted = next(json.loads(line) for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line)
    alarm = template.properties("WelcomeUnknownAlarm")
    assert emitted[alarm["MetricName"]] == [1]
    assert dimensions(alarm) == {dimension: emitted[dimension] for dimension in dimensions(alarm)}


def test_a_bounce_that_is_not_remembered_rings(template):
    assert dimensions(template.properties("SuppressErrorsAlarm")) == {"FunctionName": {"Ref": "SuppressFunction"}}


@pytest.mark.parametrize("metric", ["IteratorAge", "Errors", "Throttles"])
def test_lambdas_own_metrics_are_watched_for_the_function(name, metric, template):
    alarm = template.properties(f"{name}{metric}Alarm")
    assert dimensions(alarm) == {"FunctionName": {"Ref": f"{name}Function"}}


@pytest.mark.parametrize("metric", GIVEN_UP)
def test_what_lambda_gives_up_is_watched_for_the_functions_mapping(name, metric, template):
    """SAM calls a mapping by its function and its event."""
    assert "Stream" in template.function(name)["Events"]
    alarm = template.properties(f"{name}{metric}Alarm")
    assert dimensions(alarm) == {"EventSourceMappingUUID": {"Ref": f"{name}FunctionStream"}}


def test_the_parked_alarm_watches_the_metric_that_the_function_emits(name, template, monkeypatch, capsys):
    variables = template.function(name)["Environment"]["Variables"]
    for variable in ("POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"):
        monkeypatch.setenv(variable, variables[variable])
    Telemetry(BRANCHES[name]).batch("request", [], [], 0.0)
    emitted = next(json.loads(line) for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line)
    (directive,) = emitted["_aws"]["CloudWatchMetrics"]
    alarm = template.properties(f"{name}ParkedAlarm")
    assert directive["Namespace"] == alarm["Namespace"]
    assert alarm["MetricName"] in {each["Name"] for each in directive["Metrics"]}
    assert [set(dimensions(alarm))] == [set(each) for each in directive["Dimensions"]]
    assert dimensions(alarm) == {dimension: emitted[dimension] for dimension in dimensions(alarm)}


def test_a_stream_that_is_not_listed_triggers_an_alarm(name, template, monkeypatch, capsys):
    variables = template.function(name)["Environment"]["Variables"]
    for variable in ("POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"):
        monkeypatch.setenv(variable, variables[variable])
    end = Outcome(Status.FAILED, "not listed", metric=UNLISTED)
    Telemetry(BRANCHES[name]).batch("request", [Unlisted("e", "e", {}, "")], [end], 0.0)
    emitted = next(json.loads(line) for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line)
    alarm = template.properties(f"{name}UnlistedStreamAlarm")
    assert emitted[alarm["MetricName"]] == [1]
    assert dimensions(alarm) == {dimension: emitted[dimension] for dimension in dimensions(alarm)}


def test_logs_are_kept_for_the_stated_days(name, template):
    assert template.properties(f"{name}Logs")["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert template.function(name)["LoggingConfig"] == {"LogGroup": {"Ref": f"{name}Logs"}}
