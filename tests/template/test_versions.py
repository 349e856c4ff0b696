"""Events go to published versions: code, layer and settings change together, at once or gradually."""

import re

import pytest
from samtranslator.translator.transform import transform

from deploy.template import BRANCHES, MORE, Template

INVOKED = (*BRANCHES, "IndexPurge", "Suppress", "Drift", "Trunk", "Deferred")
FUNCTIONS = (*INVOKED, "Feed")
"""Feed is invoked by its state machine, which names the alias."""
GRADUAL = ("Canary10Percent10Minutes", "Linear10PercentEvery1Minute")
STREAM = "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/1"
UNVERSIONED = {"Events", "DeploymentPreference", "Role", "LoggingConfig", "ReservedConcurrentExecutions", "CodeUri"}
NUMBERED = {"Description", "VersionDescription"}
"""Properties of a function that are not part of a version, or carry the configuration's number."""


class NoPolicies:
    """SAM asks for AWS's managed policies; every role here is written out."""

    def load(self):
        return {}


MADE = {}


@pytest.fixture
def transformed(root, monkeypatch):
    """What SAM makes of the template once its artifacts are in S3; made once for the same arguments."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    def resources(layer="layer-1", code="code-1", **given):
        asked = layer, code, *sorted(given.items())
        if asked not in MADE:
            MADE[asked] = made(layer, code, given)
        return MADE[asked]

    def made(layer, code, given):
        document = Template.read(root / "template.yaml").document
        for each in document["Resources"].values():
            if each["Type"] == "AWS::Serverless::Function":
                each["Properties"]["CodeUri"] = f"s3://artifacts/{code}"
            elif each["Type"] == "AWS::Serverless::LayerVersion":
                each["Properties"]["ContentUri"] = f"s3://artifacts/{layer}"
            elif each["Type"] == "AWS::Serverless::StateMachine":
                each["Properties"]["DefinitionUri"] = "s3://artifacts/definition"
        return transform(document, {f"{name}SourceArn": STREAM for name in BRANCHES} | given, NoPolicies())["Resources"]

    return resources


def version_of(name, resources):
    alias = resources[f"{name}FunctionAliaslive"]["Properties"]
    assert alias["FunctionName"] == {"Ref": f"{name}Function"}
    return alias["FunctionVersion"]["Fn::GetAtt"][0]


def named(value, conditions):
    """What a part of the template refers to, also through its conditions."""
    if isinstance(value, list):
        return set().union(*(named(each, conditions) for each in value))
    if not isinstance(value, dict):
        return set()
    match value:
        case {"Ref": str(name)}:
            return {name}
        case {"Fn::Sub": str(text)}:
            return {name.partition(".")[0] for name in re.findall(r"\$\{([^}]+)\}", text)}
        case {"Condition": str(condition)}:
            return named(conditions[condition], conditions)
        case {"Fn::If": [str(condition), *rest]}:
            return named(conditions[condition], conditions) | named(rest, conditions)
    return set().union(*(named(each, conditions) for each in value.values()))


@pytest.mark.parametrize("name", INVOKED)
def test_whatever_invokes_a_function_invokes_its_published_version(name, transformed):
    resources = transformed()
    alias = f"{name}FunctionAliaslive"
    callers = [each for key, each in resources.items() if key.startswith(f"{name}Function") and key != alias]
    permitted = [each["Properties"] for each in callers if each["Type"] == "AWS::Lambda::Permission"]
    mapped = [each["Properties"] for each in callers if each["Type"] == "AWS::Lambda::EventSourceMapping"]
    assert permitted or mapped
    assert all(each["FunctionName"] == {"Ref": alias} for each in (*permitted, *mapped))
    targets = [
        t["Arn"] for each in callers if each["Type"] == "AWS::Events::Rule" for t in each["Properties"]["Targets"]
    ]
    endpoints = [each["Properties"]["Endpoint"] for each in callers if each["Type"] == "AWS::SNS::Subscription"]
    assert all(each == {"Ref": alias} for each in (*targets, *endpoints))
    assert len(mapped) + len(targets) + len(endpoints) == 1


@pytest.mark.parametrize("which", MORE)
def test_a_further_mapping_of_derive_invokes_the_published_version(which, transformed):
    assert transformed()[f"Derive{which}Stream"]["Properties"]["FunctionName"] == {"Ref": "DeriveFunctionAliaslive"}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("change", [{"layer": "layer-2"}, {"code": "code-2"}])
def test_new_code_and_a_new_layer_are_published(name, change, transformed):
    assert version_of(name, transformed()) != version_of(name, transformed(**change))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_version_is_published_anew_when_the_configuration_changes(name, template, transformed):
    """CloudFormation replaces a version whose description differs, and Lambda publishes only what differs."""
    version = transformed()[version_of(name, transformed())]["Properties"]
    assert version["Description"] == {"Fn::Sub": "configuration ${Configuration.VersionNumber}"}
    assert "(configuration ${Configuration.VersionNumber})" in template.function(name)["Description"]["Fn::Sub"]


def test_what_a_function_takes_from_a_parameter_is_in_the_configuration(template):
    conditions, content = template.document["Conditions"], template.properties("Configuration")["Content"]
    taken = named(template.document["Globals"]["Function"], conditions)
    for name in FUNCTIONS:
        own = template.properties(f"{name}Function").items()
        taken |= named([value for key, value in own if key not in UNVERSIONED | NUMBERED], conditions)
    taken -= {f"{name}Function" for name in BRANCHES}  # their ARNs stay as long as they exist
    taken -= {"DistributaryLayer", *(name for name in taken if name.startswith("AWS::"))}
    text, lists = content["Fn::Sub"]
    written = dict(line.split("=", 1) for line in text.splitlines())
    assert set(written) == taken
    for name, value in written.items():
        inner = value.removeprefix("${").removesuffix("}")
        assert inner == name or lists[inner] == {"Fn::Join": [",", {"Ref": name}]}


def test_a_mapping_keeps_its_place_when_a_stack_gets_the_alias():
    """CloudFormation replaces a mapping only for these properties. A new one would begin at the oldest record again."""
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # it takes a second

    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", "AWS::Lambda::EventSourceMapping").schema
    replaced = {path.rpartition("/")[2] for path in schema["createOnlyProperties"]}
    assert "EventSourceArn" in replaced
    assert "FunctionName" not in replaced


def test_what_suppress_could_not_take_is_kept_for_its_version(template, transformed):
    invocations = transformed()["SuppressInvocations"]
    assert invocations["DependsOn"] == "SuppressFunctionAliaslive"
    assert "SuppressFunctionAliaslive" in transformed()
    assert invocations["Properties"]["Qualifier"] == "live"


def test_by_default_a_version_takes_over_at_once(template, transformed):
    resources = transformed()
    assert template.defaults()["GradualDeployment"] == "none"
    assert not [key for key, each in resources.items() if each["Type"].startswith("AWS::CodeDeploy::")]
    assert not [key for key, each in resources.items() if "UpdatePolicy" in each]


@pytest.mark.parametrize("preference", GRADUAL)
@pytest.mark.parametrize("name", BRANCHES)
def test_a_gradual_deployment_is_rolled_back_by_the_functions_alarms(name, preference, transformed):
    resources = transformed(GradualDeployment=preference)
    group = resources[f"{name}FunctionDeploymentGroup"]
    assert group["Condition"] == resources[f"{name}FunctionAliaslive"]["Condition"] == f"{name}Deployed"
    alarms = group["Properties"]["AlarmConfiguration"]["Alarms"]
    assert alarms == [{"Name": {"Ref": f"{name}{kind}Alarm"}} for kind in ("Errors", "Failed", "Parked")]
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["Properties"]["AutoRollbackConfiguration"]["Events"]
    assert group["Properties"]["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": preference}
    update = resources[f"{name}FunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert update["DeploymentGroupName"] == {"Ref": f"{name}FunctionDeploymentGroup"}


def test_every_kind_of_deployment_is_known_to_the_mapping(template):
    declared = template.document["Parameters"]["GradualDeployment"]["AllowedValues"]
    gradual = {kind: each["IsGradual"] for kind, each in template.document["Mappings"]["Deployments"].items()}
    assert gradual == {kind: "false" if kind == "none" else "true" for kind in declared}


def test_a_deployment_outlives_the_period_of_the_alarms_that_stop_it(template):
    """A canary of five minutes could end before an alarm of five minutes goes off."""
    declared = template.document["Parameters"]["GradualDeployment"]["AllowedValues"]
    assert "Canary10Percent5Minutes" not in declared
    assert all(template.properties(f"{name}ErrorsAlarm")["Period"] <= 300 for name in BRANCHES)


def test_the_role_of_deployments_is_bounded_like_every_other(template, transformed):
    assert "CodeDeployServiceRole" not in transformed(GradualDeployment=GRADUAL[0])
    role = template.document["Resources"]["DeploymentRole"]
    assert role["Condition"] == "IsGradual"
    assert role["Properties"]["PermissionsBoundary"]["Fn::If"][0] == "PermissionsAreBounded"


def test_no_role_that_sam_adds_escapes_the_boundary(template, transformed):
    resources = transformed(GradualDeployment=GRADUAL[0])
    roles = {key for key, each in resources.items() if each["Type"] == "AWS::IAM::Role"}
    assert roles == set(template.of_type("AWS::IAM::Role"))
    assert all(
        resources[role]["Properties"]["PermissionsBoundary"]["Fn::If"][0] == "PermissionsAreBounded" for role in roles
    )
