"""Every function is watched, on metrics that exist."""

import json
import re

import pytest

from deploy.template import BRANCHES, MORE, resolved
from distributary.consumer.outcome import Outcome, Status
from distributary.consumer.streams import UNLISTED
from distributary.consumer.telemetry import Telemetry
from distributary.stream.change import Undecodable, Unlisted
from distributary.welcome.branch import UNKNOWN

OF_THE_MAPPING = {
    "GivenUp": "OnFailureDestinationDeliveredEventCount",
    "Dropped": "DroppedEventCount",
    "Silent": "PolledEventCount",
}
NAMES = {**OF_THE_MAPPING, "Undelivered": "DestinationDeliveryFailures"}
STACK = {"AWS::StackName": "shop"}
WATCHED = {
    "IteratorAge": "AWS/Lambda",
    "Errors": "AWS/Lambda",
    "Throttles": "AWS/Lambda",
    "Parked": "Distributary",
    UNLISTED: "Distributary",
    "GivenUp": "AWS/Lambda",
    "Dropped": "AWS/Lambda",
    "Silent": "AWS/Lambda",
    "Duration": "AWS/Lambda",
    "Undelivered": "AWS/Lambda",
}


OF_THE_TRUNK = [metric for metric, space in WATCHED.items() if space == "AWS/Lambda"]
"""What the trunk's branches report by themselves is watched by their own alarms."""


@pytest.fixture(params=BRANCHES)
def name(request):
    return request.param


def dimensions(alarm):
    return {each["Name"]: each["Value"] for each in resolved(alarm["Dimensions"], STACK)}


def emitted_by(name, template, monkeypatch, capsys, *batch, first=lambda telemetry: None):
    """What the function's telemetry writes for a batch, in the environment that the template gives it."""
    variables = resolved(template.function(name)["Environment"]["Variables"], STACK)
    for variable in ("POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"):
        monkeypatch.setenv(variable, variables[variable])
    telemetry = Telemetry(BRANCHES[name], variables["STACK_NAME"])
    first(telemetry)
    telemetry.batch("request", *batch, 0.0)
    return next(json.loads(line) for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line)


@pytest.mark.parametrize("metric", WATCHED)
def test_every_function_has_each_alarm_wherever_it_is_deployed(name, metric, template):
    resource = template.document["Resources"][f"{name}{metric}Alarm"]
    alarm = resource["Properties"]
    assert resource["Condition"] == (f"{name}ReadsAlone" if metric == "Silent" else f"{name}Deployed")
    assert (alarm["MetricName"], alarm["Namespace"]) == (NAMES.get(metric, metric), WATCHED[metric])
    assert alarm["TreatMissingData"] == ("breaching" if metric == "Silent" else "notBreaching")
    assert alarm["AlarmActions"]["Fn::If"][0] == "AlarmTopicGiven"


def test_there_are_no_other_alarms(template):
    expected = {f"{name}{metric}Alarm" for name in BRANCHES for metric in (*WATCHED, "Failed")}
    more = {
        "WelcomeUnknownAlarm",
        "ReplicateConflictsAlarm",
        "SuppressErrorsAlarm",
        "DriftAlarm",
        "DriftErrorsAlarm",
        "IndexPurgeErrorsAlarm",
        "FeedFailedAlarm",
        "DeriveRebuildDueAlarm",
        "IndexRebuildDueAlarm",
    }
    more |= {f"{name}DeferredAlarm" for name in BRANCHES} | {f"Trunk{metric}Alarm" for metric in OF_THE_TRUNK}
    more |= {"DeferredErrorsAlarm"}
    of_tables = {f"Derive{each}{metric}Alarm" for each in MORE for metric in OF_THE_MAPPING}
    assert set(template.of_type("AWS::CloudWatch::Alarm")) == expected | more | of_tables


@pytest.mark.parametrize("metric", OF_THE_MAPPING)
@pytest.mark.parametrize("which", MORE)
def test_the_mapping_of_a_further_table_is_watched_as_the_first_one_is(which, metric, template):
    first, own = (template.document["Resources"][f"Derive{each}{metric}Alarm"] for each in ("", which))
    assert own["Condition"] == f"DeriveHas{which}"
    assert dimensions(own["Properties"]) == {"EventSourceMappingUUID": {"Ref": f"Derive{which}Stream"}}
    differing = {key for key in first["Properties"] if first["Properties"][key] != own["Properties"][key]}
    assert differing == {"AlarmDescription", "Dimensions"}
    assert own["Properties"]["AlarmDescription"].startswith(f"derive, {which.lower()} table: ")


def test_a_message_of_which_nobody_knows_rings(template, monkeypatch, capsys):
    end = Outcome(Status.PARKED, "unknown", metric=UNKNOWN)
    emitted = emitted_by("Welcome", template, monkeypatch, capsys, [Undecodable("e", "e", {}, "")], [end])
    alarm = template.properties("WelcomeUnknownAlarm")
    assert emitted[alarm["MetricName"]] == [1]
    assert dimensions(alarm) == {dimension: emitted[dimension] for dimension in dimensions(alarm)}


def test_a_bounce_that_is_not_remembered_rings(template):
    assert dimensions(template.properties("SuppressErrorsAlarm")) == {"FunctionName": {"Ref": "SuppressFunction"}}


@pytest.mark.parametrize("metric", ["IteratorAge", "Errors", "Throttles", "Duration", "Undelivered"])
def test_lambdas_own_metrics_are_watched_for_the_function(name, metric, template):
    alarm = template.properties(f"{name}{metric}Alarm")
    assert dimensions(alarm) == {"FunctionName": {"Ref": f"{name}Function"}}


@pytest.mark.parametrize("metric", OF_THE_MAPPING)
def test_what_lambda_reads_and_gives_up_is_watched_for_the_functions_mapping(name, metric, template):
    """SAM calls a mapping by its function and its event."""
    assert "Stream" in template.function(name)["Events"]
    alarm = template.properties(f"{name}{metric}Alarm")
    assert dimensions(alarm) == {"EventSourceMappingUUID": {"Ref": f"{name}FunctionStream"}}


def test_the_parked_alarm_watches_the_metric_that_the_function_emits(name, template, monkeypatch, capsys):
    emitted = emitted_by(name, template, monkeypatch, capsys, [], [])
    (directive,) = emitted["_aws"]["CloudWatchMetrics"]
    alarm = template.properties(f"{name}ParkedAlarm")
    assert directive["Namespace"] == alarm["Namespace"]
    assert alarm["MetricName"] in {each["Name"] for each in directive["Metrics"]}
    assert [set(dimensions(alarm))] == [set(each) for each in directive["Dimensions"]]
    assert dimensions(alarm) == {dimension: emitted[dimension] for dimension in dimensions(alarm)}


def test_a_stream_that_is_not_listed_triggers_an_alarm(name, template, monkeypatch, capsys):
    end = Outcome(Status.FAILED, "not listed", metric=UNLISTED)
    emitted = emitted_by(name, template, monkeypatch, capsys, [Unlisted("e", "e", {}, "")], [end])
    alarm = template.properties(f"{name}UnlistedStreamAlarm")
    assert emitted[alarm["MetricName"]] == [1]
    assert dimensions(alarm) == {dimension: emitted[dimension] for dimension in dimensions(alarm)}


@pytest.mark.parametrize("name", ["Derive", "Index"])
def test_a_rebuild_that_is_due_triggers_an_alarm(name, template, monkeypatch, capsys):
    emitted = emitted_by(name, template, monkeypatch, capsys, [], [], first=Telemetry.rebuild_due)
    alarm = template.properties(f"{name}RebuildDueAlarm")
    assert emitted[alarm["MetricName"]] == [1]
    assert (alarm["Namespace"], alarm["TreatMissingData"]) == ("Distributary", "notBreaching")
    assert template.document["Resources"][f"{name}RebuildDueAlarm"]["Condition"] == f"{name}Deployed"
    assert dimensions(alarm) == {dimension: emitted[dimension] for dimension in dimensions(alarm)}


def test_logs_are_kept_for_the_stated_days(name, template):
    assert template.properties(f"{name}Logs")["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert template.function(name)["LoggingConfig"] == {"LogGroup": {"Ref": f"{name}Logs"}}


def test_the_failed_alarm_compares_metrics_that_the_function_emits(name, template, monkeypatch, capsys):
    emitted = emitted_by(name, template, monkeypatch, capsys, [], [])
    rate, *counts = template.properties(f"{name}FailedAlarm")["Metrics"]
    assert rate["Expression"] == "100 * failed / received"
    assert [each["Id"] for each in counts] == ["failed", "received"]
    for each in counts:
        metric = each["MetricStat"]["Metric"]
        assert emitted[metric["MetricName"]] == [0]
        assert dimensions(metric) == {dimension: emitted[dimension] for dimension in dimensions(metric)}


def test_silence_is_a_missing_count_and_never_a_count_of_zero(name, template):
    alarm = template.properties(f"{name}SilentAlarm")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 0)
    assert template.mapping(name)["MetricsConfig"] == {"Metrics": ["EventCount"]}


def test_a_duration_is_watched_against_the_functions_own_timeout(name, template):
    milliseconds = 1000 * template.function(name)["Timeout"]
    assert template.properties(f"{name}DurationAlarm")["Threshold"] == 0.9 * milliseconds


def test_an_alarm_on_own_metrics_watches_its_own_stack_only(template):
    for logical_id, each in template.of_type("AWS::CloudWatch::Alarm").items():
        alarm = each["Properties"]
        watched = [m["MetricStat"]["Metric"] for m in alarm.get("Metrics", [{}])[1:]] or [alarm]
        for metric in watched:
            if metric["Namespace"] == "Distributary":
                assert dimensions(metric)["stack"] == "shop", logical_id


def test_the_description_of_every_alarm_names_its_section_of_the_runbook(template, root):
    headings = re.findall(r"^#+ (.+)$", (root / "docs/alarms.md").read_text(), re.MULTILINE)
    sections = {heading.lower().replace(" ", "-") for heading in headings}
    for logical_id, alarm in template.of_type("AWS::CloudWatch::Alarm").items():
        (section,) = re.findall(r"; see docs/alarms\.md#([a-z-]+)$", alarm["Properties"]["AlarmDescription"])
        assert section in sections
        assert logical_id.lower().endswith(section)


@pytest.mark.parametrize(
    "file", ["derive/app", "index/app", "index/purge", "welcome/app", "replicate/app", "archive/app"]
)
def test_every_function_gives_its_telemetry_the_stacks_name(file, root):
    """Without it the metrics lack a dimension, and no alarm would ever start."""
    source = (root / "functions" / f"{file}.py").read_text()
    assert re.search(r'Telemetry\("[a-z]+", os\.environ\.get\("STACK_NAME", ""\)\)', source)


def test_drift_publishes_under_the_stacks_name(root):
    assert 'publish(report, os.environ.get("STACK_NAME", ""))' in (root / "functions/replicate/drift.py").read_text()
