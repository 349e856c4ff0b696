"""The trunk: which functions it carries, what it may do, and what a stack refuses."""

import itertools

import pytest

from deploy.template import BRANCHES, listed, resolved
from distributary.trunk.feeder import INVOKE_SECONDS, RUN_SECONDS
from distributary.trunk.settings import DeferredSettings, TrunkSettings
from local import template as local
from local.intrinsics import Scope, resolve
from tests.template.test_network_and_keys import condition
from tests.template.test_policies import LAMBDAS_OWN, called
from tests.template.test_variables import GIVEN, POWERTOOLS, SETTINGS

CARRIED = ("Derive", "Index", "Replicate", "Archive")
"""Those that the trunk runs; of welcome it defers every change."""

NOTHING = {"Ref": "AWS::NoValue"}


def arn(table):
    return f"arn:aws:dynamodb:us-east-1:123456789012:table/{table}/stream/2026-01-01T00:00:00.000"


def scope(template, **given):
    parameters = template.defaults() | given
    return Scope(parameters, {}, template.document["Conditions"], "us-east-1", "123456789012", "shop")


def refused(template, **given):
    """What each assertion that does not hold says."""
    rules, here = template.document["Rules"], scope(template, **given)
    return [
        assertion["AssertDescription"]
        for name in ("AStreamHasTwoReaders", "TrunkCarriesAFunction")
        if resolve(rules[name].get("RuleCondition", True), here)
        for assertion in rules[name]["Assertions"]
        if not resolve(assertion["Assert"], here)
    ]


def sources(*names, stream="users"):
    return {f"{name}SourceArn": arn(stream) for name in names}


@pytest.mark.parametrize("names", list(itertools.combinations(BRANCHES, 3)))
def test_three_readers_of_a_stream_are_refused_and_the_trunk_is_named(names, template):
    (cause,) = refused(template, **sources(*names))
    assert all(BRANCHES[name] in cause for name in names)
    assert "TrunkSourceArn" in cause
    assert refused(template, **sources(*names), TrunkSourceArn=arn("users")) == []
    assert len(refused(template, **sources(*names), TrunkSourceArn=arn("orders"))) == 2


@pytest.mark.parametrize("nth", ["Second", "Third", "Fourth"])
@pytest.mark.parametrize("names", list(itertools.combinations([name for name in BRANCHES if name != "Derive"], 2)))
def test_a_further_table_of_derive_has_two_readers_as_well(names, nth, template):
    further = {**sources("Derive", stream="orders"), f"Derive{nth}SourceArn": arn("users")}
    (cause,) = refused(template, **further, **sources(*names))
    assert f"Derive{nth}SourceArn" in cause
    assert "TrunkSourceArn" in cause
    assert refused(template, **further, **sources(*names), TrunkSourceArn=arn("users")) == []
    assert refused(template, **further, **sources(*names), KinesisReading="shared") == []
    assert refused(template, **further, **sources(names[0])) == []
    assert refused(template, **further, **sources(*names, stream="visits")) == []


@pytest.mark.parametrize("names", list(itertools.combinations(BRANCHES, 2)))
def test_two_readers_of_a_stream_need_no_trunk(names, template):
    assert refused(template, **sources(*names)) == []
    others = [name for name in BRANCHES if name not in names][:2]
    assert refused(template, **sources(*names), **sources(*others, stream="orders")) == []


def test_a_trunk_that_carries_nothing_is_refused(template):
    (cause,) = refused(template, **sources("Derive"), TrunkSourceArn=arn("orders"))
    assert "the source of no function" in cause


@pytest.mark.parametrize("name", BRANCHES)
def test_a_function_in_the_trunk_is_deployed_and_reads_nothing_by_itself(name, template):
    for trunk, alone in (("", True), (arn("orders"), True), (arn("users"), False)):
        given = {**sources(name), "TrunkSourceArn": trunk}
        assert condition(template, f"{name}Deployed", **given) is True
        assert condition(template, f"{name}InTrunk", **given) is not alone
        assert condition(template, f"{name}ReadsAlone", **given) is alone
        assert resolve(template.mapping(name)["Enabled"], scope(template, **given)) is alone
        assert condition(template, "TrunkDeployed", **given) is bool(trunk)
    assert condition(template, f"{name}InTrunk", TrunkSourceArn=arn("users")) is False


def test_the_trunk_runs_the_functions_whose_source_it_reads(template, root):
    given = {**sources("Derive", "Welcome", "Archive"), **sources("Index", stream="orders")}
    found = local.Template(root / "template.yaml").function(
        "trunk", {**given, "TrunkSourceArn": arn("users")}, "us-east-1"
    )
    settings = TrunkSettings.load(found.environment)
    assert settings.branches == ("derive", "welcome", "archive")
    assert settings.own_streams == (arn("users"),)
    assert settings.defer_after_seconds == template.defaults()["DeferAfterSeconds"]


def test_the_trunk_has_every_variable_that_its_branches_have(template):
    found = template.function("Trunk")["Environment"]["Variables"]
    wanted = set().union(*(SETTINGS[name].variables() for name in CARRIED))
    assert set(found) == wanted | TrunkSettings.variables() | POWERTOOLS | {"SSL_CERT_FILE"}
    for name in CARRIED:
        own = template.function(name)["Environment"]["Variables"]
        same = set(own) - {"POWERTOOLS_SERVICE_NAME", "STREAMS", "SOURCES", "SSL_CERT_FILE"}
        assert {each: found[each] for each in same} == {each: own[each] for each in same}


@pytest.mark.parametrize("name", CARRIED)
@pytest.mark.parametrize("bound", ["Default", "MinValue", "MaxValue"])
def test_the_settings_accept_whatever_a_parameter_admits(name, bound, template, root):
    parameters = template.document["Parameters"]
    ends = {key: str(each[bound]) for key, each in parameters.items() if bound in each and key not in GIVEN}
    given = {key: value for key, value in GIVEN.items() if key in parameters}
    stream = {**sources(name), "TrunkSourceArn": arn("users")}
    project = local.Template(root / "template.yaml")
    found = project.function("trunk", {**ends, **given, **stream}, "us-east-1").environment
    assert TrunkSettings.load(found).branches == (BRANCHES[name],)
    settings = SETTINGS[name].load(found)
    assert settings.own_streams == (arn("users"),)


def test_the_feeder_knows_every_function_that_is_deployed(template, root):
    given = {**sources("Derive", "Welcome"), **sources("Index", stream="orders"), "TrunkSourceArn": arn("users")}
    variables = template.function("Deferred")["Environment"]["Variables"]
    assert set(variables) == DeferredSettings.variables() | POWERTOOLS
    found = local.Template(root / "template.yaml").function("deferred", given, "us-east-1").environment
    functions = DeferredSettings.load(found).functions
    assert list(functions) == ["derive", "index", "welcome"]
    assert {name: list(each.sources) for name, each in functions.items()} == {
        "derive": ["users"],
        "index": ["orders"],
        "welcome": ["users"],
    }


READS = ("ReadStream", "ReadDataStream", "WriteLogs")


def statements(template, role):
    (policy,) = template.properties(role)["Policies"]
    found = [each.get("Fn::If", [each, each])[1] for each in policy["PolicyDocument"]["Statement"]]
    return {each["Sid"]: each for each in found}


def test_the_trunk_is_allowed_what_its_branches_are_and_no_more(template):
    role = template.properties("TrunkRole")
    shared = [{"Fn::If": [f"{name}InTrunk", {"Ref": f"{name}Policy"}, NOTHING]} for name in CARRIED]
    assert role["ManagedPolicyArns"][:5] == [{"Ref": "FunctionPolicy"}, *shared]
    assert (
        len(role["ManagedPolicyArns"]) <= 10
    )  # of a role (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)
    own = statements(template, "TrunkRole")
    assert {sid: listed(each["Action"]) for sid, each in own.items() if sid not in READS} == {
        "ParkForWelcome": ["s3:PutObject"],
        "DeferChanges": ["s3:PutObject"],
        "MoveBreakers": ["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:PutItem"],
    }
    assert own["ReadStream"]["Resource"] == {"Ref": "TrunkSourceArn"}
    assert own["DeferChanges"]["Resource"] == {"Fn::Sub": "${DeferredBucket.Arn}/deferred/*"}
    assert own["MoveBreakers"]["Resource"] == {"Fn::GetAtt": ["BreakerTable", "Arn"]}


@pytest.mark.parametrize("name", CARRIED)
def test_a_shared_policy_names_no_stream_and_no_log_and_is_small_enough(name, template):
    """6,144 characters without spaces (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""
    policy = template.properties(f"{name}Policy")["PolicyDocument"]
    text = str(resolved(policy, template.defaults()))
    assert "GetRecords" not in text
    assert "Logs" not in text
    assert len(text.replace(" ", "")) < 6144


def test_the_feeder_invokes_finds_deletes_parks_and_moves_breakers(template, root):
    action_of = {"list_objects_v2": {"s3:ListBucket"}, "get_object": {"s3:GetObject"}, "put_object": {"s3:PutObject"}}
    action_of |= {"delete_object": {"s3:DeleteObject"}}
    own = statements(template, "DeferredRole")
    allowed = {action for each in own.values() for action in listed(each["Action"])}
    assert called(root / "layers/distributary/distributary/trunk/deferred.py", action_of) <= allowed
    assert allowed - LAMBDAS_OWN == {
        "dynamodb:BatchGetItem",
        "dynamodb:DeleteItem",
        "dynamodb:PutItem",
        "lambda:InvokeFunction",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:PutObject",
    }
    aliases = [
        {"Fn::If": [f"{name}Deployed", {"Fn::Sub": f"${{{name}Function.Arn}}:live"}, NOTHING]} for name in BRANCHES
    ]
    assert own["FeedFunctions"]["Resource"] == aliases
    assert [sid for sid, each in own.items() if "*" in listed(each["Resource"])] == ["NoResourcesInIam"]


def test_a_run_ends_before_its_timeout_and_begins_nothing_beside_the_next_one(template):
    function = template.properties("DeferredFunction")
    assert function["Events"]["EveryMinute"]["Properties"]["Schedule"] == "rate(1 minute)"
    assert RUN_SECONDS < 60 < INVOKE_SECONDS
    assert function["Timeout"] > RUN_SECONDS + INVOKE_SECONDS
    fed = max(template.function(name)["Timeout"] for name in BRANCHES)
    assert fed < INVOKE_SECONDS


def test_the_trunk_is_in_the_vpc_if_index_is(template):
    inside, *_ = template.function("Trunk")["VpcConfig"]["Fn::If"]
    assert inside == "TrunkInVpc"
    vpc = {"VpcSubnetIds": ["subnet-1"], "TrunkSourceArn": arn("users")}
    assert condition(template, "TrunkInVpc", **vpc, **sources("Derive")) is False
    assert condition(template, "TrunkInVpc", **vpc, **sources("Index")) is True
    assert condition(template, "TrunkInVpc", **vpc, **sources("Derive"), VpcFunctions="all") is True


@pytest.mark.parametrize("name", BRANCHES)
def test_what_stays_deferred_raises_an_alarm_and_so_does_silence(name, template):
    resource = template.document["Resources"][f"{name}DeferredAlarm"]
    assert resource["Condition"] == f"{name}InTrunk"
    alarm = resource["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("Distributary", "DeferredAge")
    assert alarm["TreatMissingData"] == "breaching"
    dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    branch = BRANCHES[name]
    assert dimensions == {"branch": branch, "service": branch, "stack": {"Ref": "AWS::StackName"}}


def test_nothing_of_the_trunk_is_deployed_without_its_source(template):
    for kind in ("Trunk", "Deferred"):
        own = {name: each for name, each in template.document["Resources"].items() if name.startswith(kind)}
        state = ("DeferredBucket", "DeferredBucketPolicy", "TrunkConsumer")
        assert {each.get("Condition") for name, each in own.items() if name not in state} == {"TrunkDeployed"}
