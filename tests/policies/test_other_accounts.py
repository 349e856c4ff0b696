"""Across accounts a call is allowed if the stack's role and the other account both allow it, and not otherwise."""

import json
import re

import pytest

from cli.data_stream_access import READS
from deploy.template import Template
from local.intrinsics import Scope, resolve

pytestmark = pytest.mark.node

OWNER, STACK, REPLICAS = "111122223333", "444455556666", "777788889999"
TABLE = f"arn:aws:dynamodb:eu-west-1:{OWNER}:table/orders"
STREAM = f"{TABLE}/stream/2026-11-01T00:00:00.000"
DATA_STREAM = f"arn:aws:kinesis:eu-west-1:{OWNER}:stream/orders-changes"
KEY = f"arn:aws:kms:eu-west-1:{OWNER}:key/11111111-2222-3333-4444-555555555555"
REPLICA = f"arn:aws:dynamodb:eu-central-1:{REPLICAS}:table/orders-copy"
TARGET = f"arn:aws:iam::{REPLICAS}:role/target"
ROLE = f"arn:aws:iam::{STACK}:role/shop-role"
DRIFT = f"arn:aws:iam::{STACK}:role/shop-drift"
STRANGER = "arn:aws:iam::999900001111:role/other"
VIA_DYNAMODB = {"kms:ViaService": "dynamodb.eu-west-1.amazonaws.com"}
READERS = ("Derive", "Index", "Welcome", "Replicate", "Archive")
REPAIRED = ("Derive", "Index", "Replicate")
GIVEN = {
    **{f"{name}SourceArn": STREAM for name in READERS},
    "KmsKeyArns": [KEY],
    "ReplicaTableName": "orders-copy",
    "ReplicaRegion": "eu-central-1",
    "TargetRoleArn": TARGET,
}


def scope_of(template, given, account, region):
    defaults = {name: each.get("Default", "") for name, each in template.document["Parameters"].items()}
    return Scope({**defaults, **given}, {}, template.document.get("Conditions", {}), region, account, "shop")


def allowing(statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


@pytest.fixture(scope="module")
def template(root):
    return Template.read(root / "template.yaml")


@pytest.fixture(scope="module")
def role(template):
    """The statements with these names of a function's role, in a stack that reads the other account's table."""

    def of(name, *sids, given=GIVEN):
        scope = scope_of(template, given, STACK, "eu-west-1")
        own = [each for each in template.own_statements(name) if each.get("Sid") in sids]
        assert own, f"{name} has no statement {' or '.join(sids)}"
        return allowing(resolve(own, scope))

    return of


@pytest.fixture(scope="module")
def documented(root):
    """The page's policies by the name of their statement."""
    page = (root / "docs" / "other-accounts.md").read_text()
    policies = map(json.loads, re.findall(r"^```json\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    return {policy["Statement"][0]["Sid"]: policy for policy in policies}


def both_sides(allowed, request, policy, resource_policy):
    """Whether it is allowed with both sides, with each side alone (the role first), and to a stranger."""
    nothing = allowing([{"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}])
    request = {"principal": ROLE, **request}
    return allowed(
        [
            {**request, "policy": policy, "resourcePolicy": resource_policy},
            {**request, "policy": policy},
            {**request, "policy": nothing, "resourcePolicy": resource_policy},
            {**request, "policy": policy, "resourcePolicy": resource_policy, "principal": STRANGER},
        ]
    )


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("action", ["DescribeStream", "GetRecords", "GetShardIterator"])
def test_a_function_reads_the_stream_if_its_owner_lets_it(name, action, role, documented, allowed):
    request = {"action": f"dynamodb:{action}", "resource": STREAM, "owner": OWNER}
    decided = both_sides(allowed, request, role(name, "ReadStream"), documented["ReadStream"])
    assert decided == [True, False, False, False]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("action", [each.partition(":")[2] for each in READS])
def test_a_function_reads_the_data_stream_if_its_owner_lets_it(name, action, role, documented, allowed):
    given = {f"{each}SourceArn": f"{TABLE}/stream/kinesis/orders-changes" for each in READERS}
    request = {"action": f"kinesis:{action}", "resource": DATA_STREAM, "owner": OWNER}
    own = role(name, "ReadDataStream", given=given)
    assert both_sides(allowed, request, own, documented["ReadDataStream"]) == [True, False, False, False]


@pytest.mark.parametrize("name", REPAIRED)
def test_a_function_reads_items_as_they_are_now_if_their_owner_lets_it(name, role, documented, allowed):
    request = {"action": "dynamodb:BatchGetItem", "resource": TABLE, "owner": OWNER}
    decided = both_sides(allowed, request, role(name, "ReadItems"), documented["ReadItems"])
    assert decided == [True, False, False, False]


def test_the_owner_lets_nobody_write(role, documented, allowed):
    writes = [f"dynamodb:{each}" for each in ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")]
    everything = allowing([{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}])
    asked = {"policy": everything, "principal": ROLE, "owner": OWNER, "resource": TABLE}
    assert not any(allowed([{**asked, "action": each, "resourcePolicy": documented["ReadItems"]} for each in writes]))


def test_the_streams_key_is_used_through_dynamodb_alone(template, documented, allowed):
    scope = scope_of(template, GIVEN, STACK, "eu-west-1")
    policy = resolve(template.properties("KeyPolicy")["PolicyDocument"], scope)
    request = {"action": "kms:Decrypt", "resource": KEY, "owner": OWNER}
    through = both_sides(allowed, {**request, "context": VIA_DYNAMODB}, policy, documented["DecryptForReaders"])
    assert through == [True, False, False, False]
    elsewhere = {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}
    assert not any(both_sides(allowed, {**request, "context": elsewhere}, policy, documented["DecryptForReaders"]))


def test_documents_reach_another_accounts_domain(template, documented, allowed):
    request = {
        "action": "es:ESHttpPost",
        "resource": f"arn:aws:es:eu-west-1:{OWNER}:domain/search/_bulk",
        "owner": OWNER,
    }
    request["principal"] = f"arn:aws:iam::{STACK}:role/shop-IndexRole"
    own = allowing([{"Effect": "Allow", "Action": "es:ESHttpPost", "Resource": request["resource"]}])
    assert both_sides(allowed, request, own, documented["WriteDocuments"]) == [True, False, False, False]


@pytest.fixture(scope="module")
def target(root):
    """The target role's trust and what it allows."""
    read = Template.read(root / "target-role.yaml")
    scope = scope_of(
        read, {"ReplicaTableName": "orders-copy", "FunctionRoleArns": [ROLE, DRIFT]}, REPLICAS, "eu-central-1"
    )
    properties = resolve(read.properties("TargetRole"), scope)
    return properties["AssumeRolePolicyDocument"], properties["Policies"][0]["PolicyDocument"]


@pytest.mark.parametrize(("name", "principal"), [("Replicate", ROLE), ("Drift", DRIFT)])
def test_replicate_and_drift_assume_the_target_role(name, principal, role, target, allowed):
    request = {"action": "sts:AssumeRole", "resource": TARGET, "owner": REPLICAS, "principal": principal}
    assert both_sides(allowed, request, role(name, "AssumeTargetRole"), target[0]) == [True, False, False, False]


def test_the_target_role_keeps_one_replica_and_reaches_nothing_else(target, allowed):
    asked = {"policy": target[1], "principal": TARGET, "owner": REPLICAS}
    calls = [f"dynamodb:{each}" for each in ("BatchGetItem", "PutItem", "DeleteItem", "Scan", "DescribeTable")]
    assert all(allowed([{**asked, "action": each, "resource": REPLICA} for each in calls]))
    others = (f"{REPLICA}-2", REPLICA.replace("eu-central-1", "eu-west-1"))
    assert not any(allowed([{**asked, "action": each, "resource": other} for each in calls for other in others]))
    more = [f"dynamodb:{each}" for each in ("UpdateItem", "DeleteTable", "UpdateTable", "Query")]
    assert not any(allowed([{**asked, "action": each, "resource": REPLICA} for each in more]))
