"""The state machine of a feed: deployed where it is asked for, allowed what it does, and as Step Functions takes it."""

import json

import pytest
import yaml

from deploy.regions import faults
from deploy.template import listed, resolved
from distributary.feed.part import INVOKE_SECONDS, RESERVE_SECONDS
from distributary.feed.settings import FeedSettings

POWERTOOLS = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL", "STACK_NAME"}
FED = ("Derive", "Index", "Replicate")
SOURCES = ("Derive", "DeriveSecond", "DeriveThird", "DeriveFourth", "Index", "Replicate")
EXPORTS = {"Fn::Sub": "${ParkingBucket.Arn}/feed/exports/*"}
RESULTS = {"Fn::Sub": "${ParkingBucket.Arn}/feed/results/*"}
STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/users/stream/2026-01-01T00:00:00.000"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:feed:live"


def alias(name):
    return {"Fn::If": [f"{name}Deployed", {"Fn::Sub": f"${{{name}Function.Arn}}:live"}, {"Ref": "AWS::NoValue"}]}


def source(name):
    table = {"Fn::Select": [0, {"Fn::Split": ["/stream/", {"Ref": f"{name}SourceArn"}]}]}
    condition = f"{name}Deployed" if name in FED else name.replace("Derive", "DeriveHas")
    return {"Fn::If": [condition, table, {"Ref": "AWS::NoValue"}]}


def statements(template, role):
    (policy,) = template.properties(role)["Policies"]
    found = [each["Fn::If"][1] if "Fn::If" in each else each for each in policy["PolicyDocument"]["Statement"]]
    return {each["Sid"]: each for each in found}


@pytest.fixture(scope="module")
def text(root):
    return (root / "statemachines" / "feed.asl.yaml").read_text()


@pytest.fixture(scope="module")
def definition(text):
    return yaml.safe_load(text)


def test_nothing_of_it_is_deployed_unless_it_is_asked_for(template):
    assert template.document["Parameters"]["Feed"]["Default"] == "false"
    assert template.document["Conditions"]["FeedDeployed"] == {"Fn::Equals": [{"Ref": "Feed"}, "true"]}
    parts = {name: each for name, each in template.document["Resources"].items() if name.startswith("Feed")}
    assert len(parts) == 7
    assert {each["Condition"] for each in parts.values()} == {"FeedDeployed"}
    outputs = {name: each for name, each in template.document["Outputs"].items() if name.startswith("Feed")}
    assert {each["Condition"] for each in outputs.values()} == {"FeedDeployed"}


def test_it_is_refused_where_there_is_nothing_to_feed(template):
    rule = template.document["Rules"]["FeedNeedsAFunctionToFeed"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Feed"}, "true"]}
    asked = [{"Fn::Not": [{"Fn::Equals": [{"Ref": f"{name}SourceArn"}, ""]}]} for name in FED]
    assert rule["Assertions"][0]["Assert"] == {"Fn::Or": asked}


def test_the_template_sets_exactly_the_variables_that_the_settings_declare(template):
    variables = template.function("Feed")["Environment"]["Variables"]
    assert set(variables) == FeedSettings.variables() | POWERTOOLS
    for name in FED:
        assert variables[f"{name.upper()}_FUNCTION"] == alias(name)
        own = template.function(name)["Environment"]["Variables"]
        streams = {"Fn::If": [f"{name}Deployed", own["STREAMS"], {"Ref": "AWS::NoValue"}]}
        assert variables[f"{name.upper()}_STREAMS"] == streams
    own = template.function("Derive")["Environment"]["Variables"]
    assert variables["DERIVE_SOURCES"] == {"Fn::If": ["DeriveDeployed", own["SOURCES"], {"Ref": "AWS::NoValue"}]}


@pytest.mark.parametrize("bound", ["Default", "MinValue", "MaxValue"])
def test_the_settings_accept_whatever_a_parameter_admits(template, bound):
    ends = {name: each[bound] for name, each in template.document["Parameters"].items() if bound in each}
    values = resolved(
        template.function("Feed")["Environment"]["Variables"],
        {**template.defaults(), **ends, "ParkingBucket": "parking"},
    )
    texts = {name: each if isinstance(each, str) else str(each) for name, each in values.items()}
    given = {"_FUNCTION": FUNCTION, "_STREAMS": f"{STREAM}=0", "_SOURCES": STREAM}
    fed = {name: given[f"_{name.split('_')[-1]}"] for name in values if name.endswith(tuple(given))}
    assert FeedSettings.load({**texts, **fed}).target("derive", "users").source == STREAM.partition("/stream/")[0]


def test_the_function_reads_its_sources_redrives_and_invokes_what_it_feeds(template):
    found = statements(template, "FeedRole")
    assert {"Ref": "FunctionPolicy"} not in template.properties("FeedRole")["ManagedPolicyArns"]
    assert {sid: listed(each["Action"]) for sid, each in found.items()} == {
        "NoResourcesInIam": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
        "WriteLogs": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "ReadSources": ["dynamodb:Scan"],
        "FeedFunctions": ["lambda:InvokeFunction"],
        "FindExportsAndArchive": ["s3:ListBucket"],
        "ReadExportsAndArchive": ["s3:GetObject"],
        "FindParked": ["s3:ListBucketVersions"],
        "RedriveParked": ["s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"],
        "RedriveBatches": ["s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectVersion"],
        "DecryptArchive": ["kms:Decrypt"],
    }
    assert found["ReadSources"]["Resource"] == [source(name) for name in SOURCES]
    parked = [{"Fn::Sub": f"${{ParkingBucket.Arn}}/parked/{name.lower()}/*"} for name in FED]
    assert found["RedriveParked"]["Resource"] == parked
    assert found["RedriveBatches"]["Resource"] == {"Fn::Sub": "${ParkingBucket.Arn}/aws/lambda/*"}
    assert found["FeedFunctions"]["Resource"] == [alias(name) for name in FED]
    bucket = "arn:${AWS::Partition}:s3:::${FeedBucketName}"
    given = {"Fn::If": ["FeedBucketGiven", {"Fn::Sub": f"{bucket}/*"}, {"Ref": "AWS::NoValue"}]}
    assert found["ReadExportsAndArchive"]["Resource"] == [EXPORTS, {"Fn::Sub": "${ArchiveBucket.Arn}/*"}, given]
    assert [sid for sid, each in found.items() if "*" in listed(each["Resource"])] == ["NoResourcesInIam"]


def test_the_state_machine_invokes_feed_exports_sources_and_writes_below_feed(template):
    found = statements(template, "FeedStateMachineRole")
    assert set(found) == {"InvokeFeed", "ExportSources", "LookAtExports", "WriteExports", "WriteResults"}
    assert found["InvokeFeed"]["Resource"] == {"Fn::Sub": "${FeedFunction.Arn}:live"}
    assert found["ExportSources"]["Resource"] == [source(name) for name in SOURCES]
    assert len(found["LookAtExports"]["Resource"]) == len(SOURCES)
    assert [found[sid]["Resource"] for sid in ("WriteExports", "WriteResults")] == [EXPORTS, RESULTS]
    (trust,) = template.properties("FeedStateMachineRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "states.amazonaws.com"}


def test_the_state_machine_starts_and_redrives_its_own_children_alone(template):
    policy = template.properties("FeedChildrenPolicy")
    assert policy["Roles"] == [{"Ref": "FeedStateMachineRole"}]
    execution = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:execution:${FeedStateMachine.Name}"
    own = [(listed(each["Action"]), each["Resource"]) for each in policy["PolicyDocument"]["Statement"]]
    assert own == [
        (["states:StartExecution"], {"Ref": "FeedStateMachine"}),
        (["states:DescribeExecution", "states:StopExecution"], {"Fn::Sub": f"{execution}:*"}),
        (["states:RedriveExecution"], {"Fn::Sub": f"{execution}/Parts:*"}),
    ]


def test_step_functions_takes_the_definition(text, tmp_path):
    """cfn-lint knows the schema of the states language, in the partition `aws`."""
    values = {"Partition": "aws", "Bucket": "parking", "FeedFunction": FUNCTION}
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    properties = {"RoleArn": "arn:aws:iam::123456789012:role/feed", "Definition": yaml.safe_load(text)}
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    template = tmp_path / "template.json"
    template.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Machine": machine}}))
    assert faults(template, ["us-east-1"]) == []
    assert "${" not in text


def test_the_template_gives_every_value_that_the_definition_names(template, text):
    given = template.properties("FeedStateMachine")["DefinitionSubstitutions"]
    assert template.properties("FeedStateMachine")["DefinitionUri"] == "statemachines/feed.asl.yaml"
    assert {name for name in given if f"${{{name}}}" in text} == set(given)


def test_what_can_be_corrected_only_by_somebody_is_not_tried_again(definition):
    parts = definition["States"]["Parts"]
    for task in (definition["States"]["Plan"], parts["ItemProcessor"]["States"]["Feed"]):
        never, others = task["Retry"]
        assert (never["ErrorEquals"], never["MaxAttempts"]) == (["ConfigError"], 0)
        assert others["ErrorEquals"] == ["States.ALL"]
        waits = [min(2 * 2**tried, others["MaxDelaySeconds"]) for tried in range(others["MaxAttempts"])]
        assert sum(waits) > 3600


def test_step_functions_distributes_the_parts(definition):
    parts = definition["States"]["Parts"]
    assert parts["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert "ItemBatcher" not in parts
    assert parts["ResultWriter"]["Parameters"]["Prefix.$"] == "States.Format('feed/results/{}', $$.Execution.Name)"
    assert (parts["MaxConcurrencyPath"], parts["ToleratedFailurePercentagePath"]) == ("$.concurrency", "$.tolerated")


def test_the_function_ends_what_is_under_way_before_its_timeout(template):
    """An invocation of a function that is fed takes its timeout at most."""
    fed = max(template.function(name)["Timeout"] for name in FED)
    assert fed < RESERVE_SECONDS < template.function("Feed")["Timeout"] <= INVOKE_SECONDS


def test_a_run_that_failed_raises_an_alarm(template):
    alarm = template.properties("FeedFailedAlarm")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/States", "ExecutionsFailed")
    assert alarm["Dimensions"] == [{"Name": "StateMachineArn", "Value": {"Ref": "FeedStateMachine"}}]
