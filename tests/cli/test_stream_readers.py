"""`distributary doctor --stack`: how many read each stream of a stack, and how many it serves."""

import json

import pytest

from cli.main import main
from tests.fakes.answers import refusal
from tests.fakes.monitored import BRANCHES, STREAM, TABLE, Monitored
from tests.fakes.s3 import Versioned
from tests.fakes.stack import ACCOUNT

DATA_STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream/changes"
SUMMARY = {"StreamDescriptionSummary": {"RetentionPeriodHours": 24}}


@pytest.fixture
def seen(monkeypatch):
    found = Monitored(Versioned("parking"), "parking")
    monkeypatch.setattr("cli.target.clients", lambda endpoint, region: found.clients)
    return found


def keep(seen, *branches):
    """All others' mappings are disabled, as the trunk's branches' are."""
    for branch in BRANCHES:
        seen.mappings[branch] = [seen.mapping(State="Enabled" if branch in branches else "Disabled")]


def stranger(name, **more):
    return {"EventSourceArn": STREAM, "FunctionArn": f"{ACCOUNT}:{name}", "State": "Enabled", **more}


def examined(capsys):
    status = main(["doctor", "--stack", "shop", "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    return status, findings


def test_three_functions_on_a_stream_are_a_fault_and_the_trunk_is_the_way_out(seen, capsys):
    keep(seen, "derive", "index", "archive")
    status, (finding,) = examined(capsys)
    assert (status, finding["check"]) == (1, "readers of users")
    assert "3 of 2 event source mappings are taken: shop-archive, shop-derive, shop-index" in finding["found"]
    assert "TrunkSourceArn" in finding["fix"]


def test_the_trunk_and_one_other_are_as_many_as_a_stream_serves(seen, capsys):
    keep(seen)
    seen.carries = BRANCHES
    seen.mappings["trunk"] = [seen.mapping()]
    assert examined(capsys)[0] == 0
    seen.strangers = [stranger("another")]
    status, (finding,) = examined(capsys)
    assert (status, finding["level"]) == (0, "ok")
    assert "2 of 2 event source mappings are taken: another, shop-trunk" in finding["found"]
    seen.strangers.append(stranger("third"))
    assert examined(capsys)[0] == 1


def test_a_global_table_serves_the_trunk_alone(seen, capsys):
    keep(seen)
    seen.is_global, seen.carries = True, BRANCHES
    seen.mappings["trunk"] = [seen.mapping()]
    assert examined(capsys)[0] == 0
    seen.mappings["welcome"] = [seen.mapping()]
    status, (finding,) = examined(capsys)
    assert (status, finding["level"]) == (1, "fault")
    assert "2 of 1" in finding["found"]
    assert "a global table serves one" in finding["fix"]


@pytest.mark.parametrize(
    ("denied", "level", "missing"),
    [
        ("ListEventSourceMappings", "unknown", "lambda:ListEventSourceMappings"),
        ("DescribeTable", "unknown", "dynamodb:DescribeTable"),
    ],
)
def test_what_may_not_be_looked_up_is_unknown(denied, level, missing, seen, capsys):
    keep(seen, "derive")
    seen.denied.add(denied)
    status, (finding,) = examined(capsys)
    assert (status, finding["level"]) == (2, level)
    assert missing in finding["fix"]


def test_each_stream_of_the_stack_is_examined_once(seen, capsys, monkeypatch):
    keep(seen, "derive")
    other = STREAM.replace("users", "orders")
    configuration = seen._configuration

    def several(*, FunctionName):
        found = configuration(FunctionName=FunctionName)
        if ":derive:" in FunctionName:
            found["Environment"]["Variables"]["SOURCES"] = f"{STREAM},{other}"
        return found

    monkeypatch.setitem(seen.clients("lambda")._answers, "get_function_configuration", several)
    monkeypatch.setitem(seen.clients("dynamodb")._answers, "describe_table", lambda TableName: {"Table": {}})
    seen.strangers = [{**stranger(name), "EventSourceArn": other} for name in ("a", "b", "c")]
    status, findings = examined(capsys)
    assert status == 1
    assert [(each["check"], each["level"]) for each in findings] == [
        ("readers of users", "ok"),
        ("readers of orders", "fault"),
    ]


@pytest.fixture
def kinesis(seen):
    """All functions read a data stream, which the table writes into."""
    keep(seen, *BRANCHES)
    seen.listed, seen.destinations = f"{TABLE}/stream/kinesis/changes", {DATA_STREAM: "ACTIVE"}
    return seen


def test_a_kinesis_data_stream_serves_more_than_two(kinesis, capsys):
    status, findings = examined(capsys)
    assert (status, {each["level"] for each in findings}) == (0, {"ok"})
    assert [each["check"] for each in findings] == [
        "readers of users",
        "destination of users",
        "retention of changes",
        *(f"role of {branch}" for branch in BRANCHES),
    ]
    assert "stream/changes serves as many" in findings[0]["found"]


@pytest.mark.parametrize("destinations", [{}, {DATA_STREAM: "DISABLED"}])
def test_a_data_stream_that_gets_no_changes_is_a_fault(kinesis, destinations, capsys, monkeypatch):
    kinesis.destinations = {**destinations}
    monkeypatch.setitem(kinesis.clients("kinesis")._answers, "describe_stream_summary", lambda StreamARN: SUMMARY)
    status, (_, finding, *_) = examined(capsys)
    assert (status, finding["level"]) == (1, "fault")
    assert "gets no changes" in finding["found"]
    assert "docs/runbooks/kinesis.md" in finding["fix"]


def test_times_in_milliseconds_are_told_with_what_they_cost(kinesis, capsys):
    kinesis.precision = "MILLISECOND"
    status, (_, finding, *_) = examined(capsys)
    assert (status, finding["level"]) == (0, "note")
    assert "MICROSECOND" in finding["fix"]


@pytest.mark.parametrize(
    ("days", "forget"),
    [
        (7, []),
        (8, ["derive", "index", "replicate"]),
        (30, ["derive", "index", "welcome", "replicate"]),
    ],
)
def test_what_comes_later_than_a_function_remembers_is_a_fault(days, forget, kinesis, capsys):
    kinesis.retention_hours = days * 24
    status, (_, _, *found) = examined(capsys)
    assert status == bool(forget)
    assert [
        each["found"].split(" forgets")[0].rpartition(" ")[2] for each in found if each["level"] == "fault"
    ] == forget
    assert all(f"above {days}" in each["fix"] for each in found if each["level"] == "fault")


@pytest.mark.parametrize(
    ("denied", "missing"),
    [
        ("DescribeKinesisStreamingDestination", "dynamodb:DescribeKinesisStreamingDestination"),
        ("DescribeStreamSummary", "kinesis:DescribeStreamSummary"),
    ],
)
def test_what_may_not_be_looked_up_of_a_data_stream_is_unknown(denied, missing, kinesis, capsys):
    kinesis.denied.add(denied)
    status, findings = examined(capsys)
    (finding,) = [each for each in findings if each["level"] == "unknown"]
    assert (status, missing in finding["fix"]) == (2, True)


def test_a_function_that_stayed_on_the_stream_is_named_with_what_to_do(seen, capsys):
    """Its stack goes by Generation=4, and its stream had 3."""
    seen.listed = f"{STREAM}=4,{STREAM}"
    assert main(["doctor", "--stack", "shop"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"derive cannot start: STREAMS: give one generation to '{STREAM}'")
    assert "this one goes along" in said


def test_a_table_that_is_gone_is_no_missing_permission(kinesis, capsys, monkeypatch):
    def gone(**_):
        raise refusal("DescribeKinesisStreamingDestination", "ResourceNotFoundException", "gone")

    monkeypatch.setitem(kinesis.clients("dynamodb")._answers, "describe_kinesis_streaming_destination", gone)
    status, (_, finding, *_) = examined(capsys)
    assert (status, finding["fix"].startswith("check that there is still a table users")) == (2, True)


def test_a_table_beside_the_stack_is_wrong_usage(seen, capsys):
    assert main(["doctor", "users", "--stack", "shop"]) == 2
    assert "--stack" in capsys.readouterr().err
