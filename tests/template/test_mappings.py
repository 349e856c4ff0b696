"""Event source mappings: nothing left to a default, nothing outside what Lambda takes."""

import json

import pytest

from deploy.template import BRANCHES, MORE, resolved
from distributary.derive.settings import DeriveSettings
from local import template as local
from local.intrinsics import Scope, resolve

SETTINGS = {
    "Stream",
    "Enabled",
    "StartingPosition",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "ParallelizationFactor",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "FunctionResponseTypes",
    "FilterCriteria",
    "DestinationConfig",
    "MetricsConfig",
}

# https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
ACCEPTED = {
    "BatchSize": lambda n: 1 <= n <= 10_000,
    "MaximumBatchingWindowInSeconds": lambda n: 0 <= n <= 300,
    "ParallelizationFactor": lambda n: 1 <= n <= 10,
    "MaximumRetryAttempts": lambda n: -1 <= n <= 10_000,
    "MaximumRecordAgeInSeconds": lambda n: n == -1 or 60 <= n <= 604_800,
}


@pytest.fixture(params=[*BRANCHES, "Trunk"])
def mapping(request, template):
    return template.mapping(request.param)


def test_every_setting_is_explicit(mapping):
    assert set(mapping) == SETTINGS


def test_a_failed_record_is_reported_alone_and_its_batch_is_bisected(mapping):
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True


def test_what_lambda_gives_up_goes_whole_to_the_parking_bucket(mapping):
    destination = {"Type": "S3", "Destination": {"Fn::GetAtt": ["ParkingBucket", "Arn"]}}
    assert mapping["DestinationConfig"] == {"OnFailure": destination}


def test_what_lambda_gives_up_is_counted(mapping):
    """https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html#event-source-mapping-metrics"""
    assert mapping["MetricsConfig"] == {"Metrics": ["EventCount"]}


def test_a_mapping_skips_no_record_while_it_is_made(mapping):
    assert mapping["StartingPosition"] == "TRIM_HORIZON"


@pytest.mark.parametrize("setting", ACCEPTED)
@pytest.mark.parametrize("bound", ["Default", "MinValue", "MaxValue"])
def test_lambda_accepts_whatever_a_parameter_admits(setting, bound, mapping, template):
    bounds = {name: parameter.get(bound) for name, parameter in template.document["Parameters"].items()}
    assert ACCEPTED[setting](resolved(mapping[setting], bounds))


def test_a_failing_record_is_given_up_before_the_stream_forgets_it(mapping, template):
    oldest = template.document["Parameters"]["MaximumRecordAgeSeconds"]["MaxValue"]
    assert mapping["MaximumRecordAgeInSeconds"] == {"Ref": "MaximumRecordAgeSeconds"}
    assert 0 < oldest < 24 * 60 * 60


@pytest.mark.parametrize("name", [*(name for name in BRANCHES if name != "Welcome"), "Trunk"])
def test_a_branch_sees_every_kind_of_change(name, template):
    (one,) = template.mapping(name)["FilterCriteria"]["Filters"]
    condition, _, of_stream = one["Pattern"]["Fn::If"]
    assert condition == f"{name}OnKinesis"
    assert json.loads(of_stream) == {"eventName": ["INSERT", "MODIFY", "REMOVE"]}


def test_welcome_sees_what_its_parameter_names(root, template):
    declared = template.document["Parameters"]["WelcomeEventNames"]
    assert declared["Default"] == "INSERT"
    for names in declared["AllowedValues"]:
        given = {"WelcomeSourceArn": "arn:aws:dynamodb:eu-west-1:1:table/t/stream/s", "WelcomeEventNames": names}
        spec = local.Template(root / "template.yaml").function("welcome", given, "eu-west-1")
        assert spec.mappings[0].patterns == ({"eventName": names.split(",")},)
        assert spec.environment["EVENT_NAMES"] == names


@pytest.mark.parametrize("name", BRANCHES)
def test_a_function_is_deployed_only_if_its_source_is_given(name, template):
    condition, source = f"{name}Deployed", f"{name}SourceArn"
    assert template.defaults()[source] == ""
    assert template.document["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": source}, ""]}]}
    resources = template.document["Resources"]
    own = [resources[f"{name}{part}"] for part in ("Function", "Role", "Logs")]
    assert all(each["Condition"] == condition for each in own)
    condition, _, stream = template.mapping(name)["Stream"]["Fn::If"]
    assert (condition, stream) == (f"{name}OnKinesis", {"Ref": source})


@pytest.mark.parametrize("which", MORE)
def test_a_further_table_of_derive_is_read_as_the_first_one_is(which, template):
    own = template.document["Resources"][f"Derive{which}Stream"]
    expected = _of_further_table(template.mapping("Derive"), which) | {"Enabled": True}
    given = {"EventSourceArn": expected.pop("Stream"), "FunctionName": {"Ref": "DeriveFunction.Alias"}}
    destination = {"OnFailure": {"Destination": expected["DestinationConfig"]["OnFailure"]["Destination"]}}
    assert own["Properties"] == {**expected, **given, "DestinationConfig": destination}
    assert own["Type"] == "AWS::Lambda::EventSourceMapping"
    assert own["Condition"] == f"DeriveHas{which}"


def _of_further_table(mapping, which):
    """The first table's mapping, with the further one's parameter, conditions and consumer."""
    text = json.dumps(mapping)
    for part in ("SourceArn", "OnKinesis", "FansOut", "Consumer"):
        text = text.replace(f"Derive{part}", f"Derive{which}{part}")
    return json.loads(text)


@pytest.mark.parametrize("which", MORE)
def test_a_further_table_is_read_only_if_it_and_the_first_are_given(which, template):
    conditions, further = template.document["Conditions"], f"Derive{which}SourceArn"
    parameters = template.document["Parameters"]
    assert parameters[further]["AllowedPattern"] == parameters["DeriveSourceArn"]["AllowedPattern"]
    (assertion,) = template.document["Rules"]["DeriveHasAFirstSource"]["Assertions"]
    rule = template.document["Rules"]["DeriveHasAFirstSource"]["RuleCondition"]
    for first, second in ((False, False), (True, False), (False, True), (True, True)):
        given = template.defaults() | {"DeriveSourceArn": "arn" * first, further: "arn" * second}
        scope = Scope(given, {}, conditions, "", "", "")
        assert resolve(conditions[f"DeriveHas{which}"], scope) is (first and second)
        refused = resolve(rule, scope) and not resolve(assertion["Assert"], scope)
        assert refused is (second and not first)


def test_the_function_knows_all_of_its_sources_and_the_earlier_streams(root):
    def arn(name):
        return f"arn:aws:dynamodb:eu-west-1:123456789012:table/{name}/stream/2026-11-20T09:12:44.017"

    given = {"DeriveSourceArn": arn("orders"), "DeriveThirdSourceArn": arn("customers"), "Generation": "2"}
    given |= {"EarlierStreams": f"{arn('former')}=0"}
    environment = local.Template(root / "template.yaml").function("derive", given, "eu-west-1").environment
    settings = DeriveSettings.load(environment)
    assert settings.streams == {arn("orders"): 2, arn("customers"): 2, arn("former"): 0}
    assert settings.tables == ("orders", "customers")


@pytest.mark.parametrize("name", [None, *BRANCHES])
def test_a_stack_without_any_source_is_refused(name, template):
    (assertion,) = template.document["Rules"]["AtLeastOneSourceIsGiven"]["Assertions"]
    given = template.defaults() | ({f"{name}SourceArn": "arn"} if name else {})
    assert resolve(assertion["Assert"], Scope(given, {}, {}, "", "", "")) is (name is not None)


@pytest.mark.parametrize(
    ("region", "refused"), [("eu-west-1", True), ("us-east-1", False), ("us-east-1,eu-west-2", False)]
)
def test_multi_active_is_refused_if_its_other_region_is_its_own(region, refused, template):
    rule = template.document["Rules"]["MultiActiveNamesTheOtherRegions"]
    given = {"ReplicateSourceArn": "arn", "TombstoneTableName": "deletions", "ReplicaRegion": region}
    scope = Scope(template.defaults() | given, {}, {}, "eu-west-1", "", "")
    (assertion,) = rule["Assertions"]
    assert resolve(rule["RuleCondition"], scope) is True
    assert resolve(assertion["Assert"], scope) is not refused
    mirror = Scope(template.defaults() | given | {"TombstoneTableName": ""}, {}, {}, "eu-west-1", "", "")
    assert resolve(rule["RuleCondition"], mirror) is False
