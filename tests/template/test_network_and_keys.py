"""Functions in a VPC, under customer managed keys, and under a permissions boundary: only if a parameter asks."""

import pytest

from deploy.template import BRANCHES
from local.intrinsics import Scope, resolve

FUNCTIONS = ("Derive", "Index", "IndexPurge", "Welcome", "Suppress", "Replicate", "Drift", "Feed", "Deferred")
NOTHING = {"Ref": "AWS::NoValue"}
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
NETWORK = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}


@pytest.fixture(params=FUNCTIONS)
def name(request):
    return request.param


def condition(template, name, **given):
    parameters = template.defaults() | given
    scope = Scope(parameters, {}, template.document["Conditions"], "eu-west-1", "123456789012", "shop")
    return resolve({"Condition": name}, scope)


def test_a_function_is_in_the_vpc_if_its_condition_says_so(name, template):
    inside, network, outside = template.function(name)["VpcConfig"]["Fn::If"]
    assert inside == ("InVpc" if name.startswith("Index") else "AllInVpc")
    assert network == {"SubnetIds": {"Ref": "VpcSubnetIds"}, "SecurityGroupIds": {"Ref": "VpcSecurityGroupIds"}}
    assert outside == NOTHING


@pytest.mark.parametrize(
    ("given", "index", "others"),
    [
        ({}, False, False),
        ({"VpcFunctions": "all"}, False, False),
        ({"VpcSubnetIds": ["subnet-1"]}, True, False),
        ({"VpcSubnetIds": ["subnet-1", "subnet-2"], "VpcFunctions": "all"}, True, True),
    ],
)
def test_without_subnets_no_function_is_in_a_vpc(given, index, others, template):
    assert condition(template, "InVpc", **given) is index
    assert condition(template, "AllInVpc", **given) is others


def test_a_role_gets_each_further_permission_only_with_its_parameter(name, template):
    role = template.properties(f"{name}Role")
    network = "InVpc" if name.startswith("Index") else "AllInVpc"
    assert role["ManagedPolicyArns"] == [
        *([{"Ref": "FunctionPolicy"}] if name in BRANCHES else []),
        *([{"Ref": f"{name}Policy"}] if name in BRANCHES and name != "Welcome" else []),
        {"Fn::If": [network, {"Ref": "NetworkPolicy"}, NOTHING]},
        {"Fn::If": ["AnyKeyGiven", {"Ref": "KeyPolicy"}, NOTHING]},
    ]
    boundary = {"Fn::If": ["PermissionsAreBounded", {"Ref": "PermissionsBoundary"}, NOTHING]}
    assert role["PermissionsBoundary"] == boundary


def test_a_functions_own_code_cannot_change_the_network(template):
    attach, never = template.properties("NetworkPolicy")["PolicyDocument"]["Statement"]
    assert (attach["Effect"], never["Effect"]) == ("Allow", "Deny")
    assert set(attach["Action"]) == set(never["Action"]) == NETWORK
    assert list(never["Condition"]["ArnLike"]) == ["lambda:SourceFunctionArn"]


def test_keys_are_used_only_through_the_services_that_hold_the_data(template):
    statements = template.properties("KeyPolicy")["PolicyDocument"]["Statement"]
    sources, *buckets = (each["Fn::If"][1] for each in statements)
    for statement in (sources, *buckets):
        assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert sources["Resource"] == {"Ref": "KmsKeyArns"}
    through = [each["Fn::Sub"].partition(".")[0] for each in sources["Condition"]["StringLike"]["kms:ViaService"]]
    assert through == ["dynamodb", "kinesis", "s3", "secretsmanager", "sns", "ssm"]
    archives = template.properties("ArchiveKeyPolicy")["PolicyDocument"]["Statement"]
    assert [each["Resource"] for each in (*buckets, *archives)] == [{"Ref": "ParkingKeyArn"}, {"Ref": "ArchiveKeyArn"}]
    for bucket in (*buckets, *archives):
        assert bucket["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
        assert bucket["Condition"] == {
            "StringEquals": {"kms:ViaService": {"Fn::Sub": "s3.${AWS::Region}.${AWS::URLSuffix}"}}
        }


def test_the_archives_key_is_for_the_roles_that_archive_runs_in(template):
    roles = template.of_type("AWS::IAM::Role")
    found = [name for name in roles if "ArchiveKeyPolicy" in str(template.properties(name))]
    assert found == ["ArchiveRole", "TrunkRole"]
    given = {"ArchiveKeyArn": "arn", "ArchiveSourceArn": "a", "TrunkSourceArn": "b"}
    assert condition(template, "TrunkHasArchiveKey", **given) is False
    assert condition(template, "TrunkHasArchiveKey", **given | {"TrunkSourceArn": "a"}) is True


def test_messages_are_sent_with_the_given_identity_and_no_other(template):
    (sending,) = [each for each in template.own_statements("Welcome") if each["Sid"] == "SendMessages"]
    address, domain, *_ = (each["Fn::If"] for each in sending["Resource"][:2])
    assert (address[0], address[1]) == ("WelcomeIdentityGiven", {"Ref": "WelcomeIdentityArn"})
    assert (domain[0], domain[1]) == ("WelcomeIdentityGiven", NOTHING)
    assert sending["Condition"] == {"StringEquals": {"ses:FromAddress": {"Ref": "WelcomeSender"}}}
