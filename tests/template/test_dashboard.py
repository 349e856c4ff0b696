"""The dashboard shows what is deployed, on metrics that exist, and the saved queries name fields that logs have."""

import json
import re
from itertools import chain, combinations
from uuid import uuid4

import pytest

from deploy.template import BRANCHES, MORE
from distributary.consumer.outcome import Outcome, Status
from distributary.consumer.streams import UNLISTED
from distributary.consumer.telemetry import Telemetry
from distributary.replicate.verify.drift import publish
from distributary.replicate.verify.report import MirrorReport
from distributary.welcome.branch import UNKNOWN
from local import intrinsics
from tests.unit.records import change

STREAM = "arn:aws:dynamodb:eu-west-1:111122223333:table/users/stream/2026-01-01T00:00:00.000"
SUBSETS = list(chain.from_iterable(combinations(BRANCHES, many) for many in range(1, len(BRANCHES) + 1)))
DOMAIN = "arn:aws:es:us-west-2:444455556666:domain/search"
COLLECTION = "arn:aws:aoss:us-west-2:444455556666:collection/abc123"
VARIANTS = {
    "domain": {"OpenSearchService": "es", "OpenSearchArn": DOMAIN},
    "collection": {"OpenSearchService": "aoss", "OpenSearchArn": COLLECTION},
    "neither": {"OpenSearchService": "none", "TargetRoleArn": "arn:aws:iam::444455556666:role/target"},
    "all tables": {f"Derive{each}SourceArn": STREAM for each in MORE}
    | {"Feed": "true", "ReplicaRegion": "a-b-1,c-d-2"},
    "a trunk": {"TrunkSourceArn": STREAM},
}
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/aws-services-cloudwatch-metrics.html
OF_AWS = {
    "AWS/Lambda": {
        ("FunctionName",): {"IteratorAge", "Duration", "Errors", "Throttles", "Invocations"},
        ("EventSourceMappingUUID",): {"OnFailureDestinationDeliveredEventCount", "DroppedEventCount"},
    },
    "AWS/DynamoDB": {
        ("TableName",): {
            "WriteThrottleEvents",
            "ReadThrottleEvents",
            "ConsumedWriteCapacityUnits",
            "ConsumedReadCapacityUnits",
        },
        ("TableName", "Operation"): {"SuccessfulRequestLatency"},
    },
    "AWS/ES": {("DomainName", "ClientId"): {"4xx", "5xx", "ThreadpoolWriteRejected", "IndexingLatency"}},
    "AWS/SES": {(): {"Send", "Reject", "Bounce", "Complaint"}},
    "AWS/S3": {("BucketName", "StorageType"): {"BucketSizeBytes", "NumberOfObjects"}},
    "AWS/Logs": {("LogGroupName",): {"IncomingBytes"}},
}
OPERATIONS = {"PutItem", "UpdateItem", "DeleteItem", "BatchGetItem", "TransactWriteItems"}


@pytest.fixture(autouse=True)
def powertools(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "derive")


@pytest.fixture
def scope(template, monkeypatch):
    """Names of resources as CloudFormation would make them, recognisable in the body."""
    monkeypatch.setattr(intrinsics, "_get_att", lambda path, scope: f"<{path[0]}>")
    monkeypatch.setattr(intrinsics.Scope, "physical", lambda self, logical_id: f"<{logical_id}>")
    kinds = {name: each["Type"] for name, each in template.document["Resources"].items()}
    kinds |= {f"{name}FunctionStream": "AWS::Lambda::EventSourceMapping" for name in BRANCHES}

    def of(functions, **given):
        sources = {f"{name}SourceArn": STREAM if name in functions else "" for name in BRANCHES}
        values = {**template.defaults(), "ReplicaTableName": "replica", "ReplicaRegion": "c-d-2", **sources, **given}
        return intrinsics.Scope(values, kinds, template.document["Conditions"], "eu-west-1", "111122223333", "shop")

    return of


def body(template, scope):
    return json.loads(intrinsics.resolve(template.properties("Dashboard")["DashboardBody"], scope))


def metrics(found):
    """Each metric of each widget, whole: `...`-less arrays, with the name of its widget."""
    for widget in found["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            yield widget["properties"]["title"], metric


def deployed(template, scope, logical_id):
    """Whether a resource is there; SAM's mapping is there with its function."""
    resource = (
        template.document["Resources"].get(logical_id)
        or template.document["Resources"][logical_id.removesuffix("Stream")]
    )
    return intrinsics.resolve({"Condition": resource["Condition"]}, scope) if "Condition" in resource else True


COMBINED = [
    pytest.param(subset, given, id=f"{'-'.join(subset)}-{name}")
    for subset in SUBSETS
    for name, given in VARIANTS.items()
]


@pytest.mark.parametrize(("functions", "given"), COMBINED)
def test_the_dashboard_shows_exactly_what_is_deployed(functions, given, template, scope):
    own = scope(functions, **given)
    found = body(template, own)
    named = set(re.findall(r"<(\w+)>", json.dumps(found)))
    assert [name for name in named if not deployed(template, own, name)] == []
    alarms = [each for each in template.of_type("AWS::CloudWatch::Alarm") if deployed(template, own, each)]
    shown = [arn for widget in found["widgets"] if widget["type"] == "alarm" for arn in widget["properties"]["alarms"]]
    assert sorted(shown) == sorted(f"<{each}>" for each in alarms)
    titles = " ".join(str(widget["properties"].get("title")) for widget in found["widgets"])
    for name, branch in BRANCHES.items():
        parts = ("freshness", "outcomes", "invocations", "parked and given up", "Lambda")
        assert all((f"{branch}: {part}" in titles) == (name in functions) for part in parts)


@pytest.mark.parametrize(("functions", "given"), COMBINED)
def test_every_widget_is_one_that_cloudwatch_takes(functions, given, template, scope):
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html"""
    found = body(template, scope(functions, **given))
    assert len(found["widgets"]) <= 500
    for widget in found["widgets"]:
        assert widget.keys() == {"type", "width", "height", "properties"}
        assert widget["type"] in ("alarm", "metric", "text")
        assert 1 <= widget["width"] <= 24
        if widget["type"] == "metric":
            assert re.fullmatch(r"[a-z]+-[a-z]+-\d", widget["properties"]["region"])
            assert widget["properties"]["metrics"]
        assert len(widget["properties"].get("alarms", [1])) in range(1, 101)
    kinds = [widget["type"] for widget in found["widgets"]]
    last = len(kinds) - kinds[::-1].index("alarm")
    assert kinds[:last] == ["text", *["alarm"] * (last - 1)], "alarms come first"


@pytest.mark.parametrize(("functions", "given"), COMBINED)
def test_every_metric_of_aws_is_one_with_these_dimensions(functions, given, template, scope):
    for title, metric in metrics(body(template, scope(functions, **given))):
        if isinstance(metric[0], dict):
            assert metric[0]["expression"]
        elif metric[0] != "Distributary":
            namespace, name, *pairs = metric[:-1]
            assert name in OF_AWS[namespace][tuple(pairs[::2])], title
            assert dict(zip(pairs[::2], pairs[1::2], strict=True)).get("Operation", "PutItem") in OPERATIONS
            assert metric[-1]["stat"] in ("Sum", "Maximum", "Average", "p99")


def emitted(capsys, monkeypatch):
    """Each metric that the functions emit, with its dimensions, as CloudWatch gets it."""
    capsys.readouterr()
    for branch in BRANCHES.values():
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", branch)
        telemetry = Telemetry(branch, "shop")
        if branch in ("derive", "index"):
            telemetry.rebuild_due()
        if branch == "replicate":
            telemetry.count("Conflicts")
        ends = [Outcome(Status.FAILED, "", metric=UNLISTED), Outcome(Status.DEFERRED)]
        ends += [Outcome(Status.PARKED, "", metric=UNKNOWN)] if branch == "welcome" else []
        telemetry.batch("request", [change(place) for place in range(len(ends))], ends, 0.0)
        telemetry.fed(1, 2, 3.0)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "drift")
    publish(MirrorReport(), "shop")
    lines = [json.loads(each) for each in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in each]
    return {
        (each["Name"], frozenset((name, line[name]) for name in directive["Dimensions"][0]))
        for line in lines
        for directive in line["_aws"]["CloudWatchMetrics"]
        for each in directive["Metrics"]
    }


def test_every_own_metric_is_emitted_with_these_dimensions(template, scope, capsys, monkeypatch):
    known = emitted(capsys, monkeypatch)
    shown = body(template, scope(BRANCHES, TrunkSourceArn=STREAM))
    own = [metric for _, metric in metrics(shown) if metric[0] == "Distributary"]
    named = {(each[1], frozenset(zip(each[2:-1:2], each[3:-1:2], strict=True))) for each in own}
    assert named - known == set()
    assert {name for name, _ in known - named} == {"Received"}, "all others are shown; it is their sum"


def test_conflicts_are_counted_under_the_name_that_is_shown(root):
    assert 'partial(telemetry.count, "Conflicts")' in (root / "functions/replicate/app.py").read_text()


def test_gigabyte_seconds_are_of_the_memory_that_functions_have(template, scope):
    memory = template.document["Globals"]["Function"]["MemorySize"] / 1024
    assert all("MemorySize" not in template.properties(f"{name}Function") for name in BRANCHES)
    found = [metric[0]["expression"] for _, metric in metrics(body(template, scope(set(BRANCHES)))) if len(metric) == 1]
    assert found.count(f"ms / 1000 * {memory}") == len(BRANCHES)


def test_a_domain_and_a_replica_are_looked_at_where_they_are(template, scope):
    found = body(template, scope(set(BRANCHES), **VARIANTS["domain"]))
    where = {each["properties"].get("title"): each["properties"].get("region") for each in found["widgets"]}
    assert where["index: the domain"] == "us-west-2"
    assert where["replicate: the replica in c-d-2"] == "c-d-2"


def test_whoever_wants_no_dashboard_has_none(template, scope):
    assert template.document["Resources"]["Dashboard"]["Condition"] == "HasDashboard"
    assert not intrinsics.resolve({"Condition": "HasDashboard"}, scope({"Derive"}, ShowDashboard="false"))


def queries(template):
    return template.of_type("AWS::Logs::QueryDefinition")


@pytest.mark.parametrize("functions", SUBSETS, ids="-".join)
def test_the_saved_queries_ask_the_logs_of_deployed_functions(functions, template, scope):
    for query in queries(template).values():
        groups = intrinsics.resolve(query["Properties"]["LogGroupNames"], scope(functions))
        assert sorted(groups) == sorted(f"<{name}Logs>" for name in functions)


BY_CLOUDWATCH = {"@timestamp", "@message", "@type", "@duration", "@maxMemoryUsed", "@initDuration", "@log"}
WORDS = {"filter", "fields", "stats", "sort", "by", "as", "desc", "asc", "or", "in", "like", "ispresent", "count"}
WORDS |= {"sum", "max", "pct", "bin"}


def logged(capsys, monkeypatch, ends):
    """The lines of a batch, of a function of its own: Powertools' logger keeps the output that it first met."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", uuid4().hex)
    capsys.readouterr()
    Telemetry("derive", "shop").batch("request", [change(place) for place in range(len(ends))], ends, 0.0)
    return [json.loads(each) for each in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" not in each]


def test_the_saved_queries_name_fields_that_log_lines_have(template, capsys, monkeypatch):
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html"""
    lines = logged(capsys, monkeypatch, [Outcome(Status.PARKED, "why"), Outcome(Status.FAILED, "why")])
    known = set().union(*lines) | BY_CLOUDWATCH | WORDS
    for name, query in queries(template).items():
        text = query["Properties"]["QueryString"]
        made = set(re.findall(r"as (\w+)", text))
        plain = re.sub(r'"[^"]*"|/[^/|]*/ *$|like /.*?/', "", text, flags=re.MULTILINE)
        assert set(re.findall(r"(?<![\w@])@?[A-Za-z_]\w*", plain)) - made - known == set(), name


def test_the_query_for_parked_changes_finds_the_line_that_says_parked(template, capsys, monkeypatch):
    (line,) = logged(capsys, monkeypatch, [Outcome(Status.PARKED, "why")])
    assert f'message = "{line["message"]}"' in queries(template)["ParkedChangesQuery"]["Properties"]["QueryString"]
    assert line["event_id"] == change(0).event_id
