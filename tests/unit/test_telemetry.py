"""Metrics add up, and no log line holds anybody's data."""

import json

import pytest

from distributary.consumer import outcome as outcomes
from distributary.consumer.outcome import APPLIED, IGNORED, SUPERSEDED
from distributary.consumer.telemetry import LISTED, NAMED, Telemetry
from distributary.errors import Rejected, Unavailable
from distributary.stream.change import Undecodable
from tests.fakes.streaming import CREATED
from tests.unit.records import change

COUNTS = ["Received", "Applied", "Superseded", "Ignored", "Parked", "Failed"]
PARKED = outcomes.parked(Rejected("attribute 'email': expected", "secret@example.com"))
FAILED = outcomes.failed(Unavailable("busy", "secret@example.com"))


@pytest.fixture
def service(request, monkeypatch):
    """A service of its own for each test: Powertools keeps a service's log handler, with its stream, for ever."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", request.node.name)
    return request.node.name


@pytest.fixture
def batch(capsys, service):
    def run(entries, ends, now=CREATED + 5.5):
        Telemetry("derive").batch("request-1", entries, ends, now)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        (metrics,) = [line for line in lines if "_aws" in line]
        return metrics, [line for line in lines if "_aws" not in line]

    return run


def some(many):
    return [change(i, new={"email": {"S": "secret@example.com"}}) for i in range(many)]


def test_the_stack_is_a_dimension_of_every_metric_of_its_functions(capsys, service):
    telemetry = Telemetry("index", "shop")
    telemetry.batch("request-1", some(1), [APPLIED], CREATED)
    telemetry.purge({"Purged": 1})
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["stack"] for each in found] == ["shop", "shop"]
    dimensions = [each["_aws"]["CloudWatchMetrics"][0]["Dimensions"] for each in found]
    assert [sorted(names) for (names,) in dimensions] == [["branch", "service", "stack"]] * 2


def test_the_metrics_are_embedded_with_branch_and_service_as_dimensions(batch, service):
    metrics, _ = batch(some(1), [APPLIED])
    (directive,) = metrics["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Distributary"
    assert [sorted(each) for each in directive["Dimensions"]] == [["branch", "service"]]
    assert (metrics["branch"], metrics["service"]) == ("derive", service)
    units = {each["Name"]: each["Unit"] for each in directive["Metrics"]}
    assert units == {**dict.fromkeys(COUNTS, "Count"), "Lag": "Seconds"}


def test_received_is_the_sum_of_the_rest(batch):
    ends = [APPLIED, APPLIED, SUPERSEDED, IGNORED, PARKED, FAILED]
    metrics, _ = batch(some(6), ends)
    assert {name: metrics[name] for name in COUNTS} == {
        "Received": [6],
        "Applied": [2],
        "Superseded": [1],
        "Ignored": [1],
        "Parked": [1],
        "Failed": [1],
    }


def test_every_count_goes_out_also_as_zero_so_that_alarms_see_it_end(batch):
    metrics, _ = batch([], [])
    assert [metrics[name] for name in COUNTS] == [[0]] * 6
    assert "Lag" not in metrics


def test_two_batches_do_not_mix(capsys):
    telemetry = Telemetry("derive")
    telemetry.batch("request-1", some(2), [APPLIED, APPLIED], CREATED)
    telemetry.batch("request-2", some(1), [APPLIED], CREATED)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["Received"] for line in lines] == [[2], [1]]
    assert [line["branch"] for line in lines] == ["derive", "derive"]


def test_what_a_branch_counts_goes_out_with_one_batch_and_no_other(capsys):
    telemetry = Telemetry("derive")
    for _ in range(2):
        telemetry.count("EventsDecoded")
    for _ in range(2):
        telemetry.batch("request", some(1), [APPLIED], CREATED)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("EventsDecoded") for line in lines] == [[2], None]


def test_a_command_counts_apart_and_its_causes_are_logged_with_its_request(capsys, service):
    Telemetry("derive", "shop").commanded("Reconciled", "request-7", [APPLIED, FAILED, PARKED, FAILED])
    metrics, *logs = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (metrics["Reconciled"], metrics["branch"], metrics["stack"]) == ([4], "derive", "shop")
    assert metrics.keys().isdisjoint(COUNTS)
    assert {(line["message"], line["changes"], line["correlation_id"]) for line in logs} == {
        ("failed", 2, "request-7"),
        ("parked", 1, "request-7"),
    }


def test_a_change_without_a_time_of_creation_has_no_lag(batch):
    untimed = change(0)._replace(created=None)
    assert "Lag" not in batch([untimed], [APPLIED])[0]
    assert batch([untimed, change(1)], [APPLIED] * 2)[0]["Lag"] == [5.5]


def test_lag_is_the_oldest_streamed_change_s_in_seconds(batch):
    old = change(1)._replace(created=CREATED - 100)
    snapshot = change(2, distributary={"origin": "snapshot"})._replace(created=0.0)
    metrics, _ = batch([change(0), old, snapshot], [APPLIED] * 3)
    assert metrics["Lag"] == [105.5]


def test_a_clock_that_runs_ahead_makes_no_negative_lag(batch):
    assert batch(some(1), [APPLIED], now=CREATED - 10)[0]["Lag"] == [0.0]


def test_a_good_batch_logs_nothing(batch):
    assert batch(some(3), [APPLIED, SUPERSEDED, IGNORED])[1] == []


def test_each_parked_change_is_named_and_each_cause_of_failure_counted(batch):
    poison = Undecodable("e-9", "", {"email": "secret@example.com"}, "the record has no Keys", "secret@example.com")
    _, logs = batch([*some(3), poison], [PARKED, FAILED, FAILED, PARKED])
    assert [(line["message"], line.get("event_id"), line.get("changes")) for line in logs] == [
        ("parked", f"{0:032x}", None),
        ("parked", "e-9", None),
        ("failed", None, 2),
    ]
    assert {line["correlation_id"] for line in logs} == {"request-1"}
    assert {line["branch"] for line in logs} == {"derive"}


def test_no_line_holds_an_item_s_content(batch):
    metrics, logs = batch(some(2), [PARKED, FAILED])
    assert "secret" not in json.dumps([metrics, logs])
    assert "attribute 'email'" in json.dumps(logs)


def test_each_other_cause_names_the_first_changes_that_have_it(batch):
    _, logs = batch(some(NAMED + 3), [FAILED] * (NAMED + 3))
    (line,) = logs
    assert line["event_ids"] == [each.event_id for each in some(NAMED)]
    assert line["changes"] == NAMED + 3


def test_a_command_has_no_ids_of_events(capsys, service):
    Telemetry("derive").commanded("Reconciled", "request-1", [FAILED])
    (line,) = [json.loads(each) for each in capsys.readouterr().out.splitlines() if "_aws" not in each]
    assert "event_ids" not in line


def test_at_the_level_debug_the_log_names_each_change_under_its_outcome(batch, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "DEBUG")
    _, logs = batch(some(3), [APPLIED, SUPERSEDED, APPLIED])
    assert [(line["message"], line["outcome"], line["event_ids"]) for line in logs] == [
        ("changes", "Applied", [f"{0:032x}", f"{2:032x}"]),
        ("changes", "Superseded", [f"{1:032x}"]),
    ]


def test_at_the_level_debug_no_line_is_longer_than_a_log_event_may_be(batch, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "DEBUG")
    many = some(2 * LISTED + 1)
    _, logs = batch(many, [APPLIED] * len(many))
    assert [len(line["event_ids"]) for line in logs] == [LISTED, LISTED, 1]
    assert [id for line in logs for id in line["event_ids"]] == [each.event_id for each in many]
    assert max(len(json.dumps(line)) for line in logs) < 256_000
