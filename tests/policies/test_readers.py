"""A reader of `readers.yaml` sees the partitions and the attributes that were given, and nothing else."""

import copy

import pytest

from deploy.template import Template
from local.intrinsics import Scope, resolve

pytestmark = pytest.mark.node

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/shop-derived"
OWN, OTHER = "CUSTOMER#ada", "CUSTOMER#bob"
TAG = {"aws:PrincipalTag/customer": "ada"}
EXACT = {"Partitions": ["CUSTOMER#${aws:PrincipalTag/customer}", "OPEN"]}
PREFIX = {"PartitionPatterns": ["DAY#2026-*"]}
NAMED = {"Attributes": ["total", "status"]}
READS = ("GetItem", "BatchGetItem", "Query")


def policy_of(template, given):
    """The policy that the template makes of these parameters."""
    defaults = {"PermissionsBoundary": "", "IdentityPoolId": "", "DerivedTableName": "shop-derived"}
    lists = {"Partitions": [""], "PartitionPatterns": [""], "Attributes": [""]}
    scope = Scope({**defaults, **lists, **given}, {}, template.document["Conditions"], "eu-west-1", "123456789012", "s")
    return resolve(template.properties("ReaderPolicy")["PolicyDocument"], scope)


def asked(policy, operation, keys, *, attributes=(), select=None, resource=TABLE, tags=TAG):
    """A request as DynamoDB presents it to IAM: a key without values is not there."""
    context = {**tags}
    if keys:
        context["dynamodb:LeadingKeys"] = list(keys)
    if attributes:
        context["dynamodb:Attributes"] = ["pk", "sk", *attributes]
    if select:
        context["dynamodb:Select"] = select
    return {"policy": policy, "action": f"dynamodb:{operation}", "resource": resource, "context": context}


@pytest.fixture(scope="module")
def template(root):
    return Template.read(root / "readers.yaml")


@pytest.fixture(scope="module", params=["exact", "prefix"])
def partitions(request):
    """Parameters, a partition that they allow and one that they do not."""
    return (EXACT, OWN, OTHER) if request.param == "exact" else (PREFIX, "DAY#2026-11-27", "DAY#2025-11-27")


@pytest.mark.parametrize("operation", READS)
def test_a_reader_reads_its_own_partitions(operation, template, partitions, allowed):
    given, own, other = partitions
    policy = policy_of(template, given)
    requests = [
        asked(policy, operation, [own]),
        asked(policy, operation, [other]),
        asked(policy, operation, [own, other]),
    ]
    assert allowed(requests) == [True, False, False]


def test_a_request_that_names_no_partition_is_refused(template, partitions, allowed):
    policy = policy_of(template, partitions[0])
    assert not any(
        allowed([asked(policy, each, []) for each in (*READS, "Scan", "PartiQLSelect", "ExportTableToPointInTime")])
    )


def test_a_reader_writes_nothing_and_scans_nothing(template, partitions, allowed):
    given, own, _ = partitions
    policy = policy_of(template, given)
    others = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "Scan", "PartiQLSelect", "PartiQLUpdate")
    assert not any(
        allowed([asked(policy, each, [own], attributes=["total"], select="SPECIFIC_ATTRIBUTES") for each in others])
    )


def test_a_reader_reads_no_other_table_and_no_index(template, partitions, allowed):
    given, own, _ = partitions
    policy = policy_of(template, given)
    elsewhere = (f"{TABLE}-other", f"{TABLE}/index/by-day", TABLE.replace("eu-west-1", "us-east-1"))
    assert not any(allowed([asked(policy, "Query", [own], resource=each) for each in elsewhere]))


def test_a_user_without_the_tag_reads_nothing(template, allowed):
    policy = policy_of(template, {"Partitions": ["CUSTOMER#${aws:PrincipalTag/customer}"]})
    requests = [
        asked(policy, "Query", [key], tags={}) for key in (OWN, "CUSTOMER#", "CUSTOMER#${aws:PrincipalTag/customer}")
    ]
    assert not any(allowed(requests))


def test_exact_partitions_know_no_wildcards(template, allowed):
    policy = policy_of(template, {"Partitions": ["CUSTOMER#*", "CUSTOMER#${aws:PrincipalTag/customer}"]})
    requests = [
        asked(policy, "Query", [OTHER]),
        asked(policy, "Query", [OTHER], tags={"aws:PrincipalTag/customer": "*"}),
    ]
    assert allowed(requests) == [False, False]


def test_a_reader_of_named_attributes_queries_these_alone(template, partitions, allowed):
    given, own, other = partitions
    policy = policy_of(template, given | NAMED)
    right = {"attributes": ["total"], "select": "SPECIFIC_ATTRIBUTES"}
    refused = [
        asked(policy, "Query", [other], **right),
        asked(policy, "Query", [], **right),
        asked(policy, "Query", [own], attributes=["total", "card_number"], select="SPECIFIC_ATTRIBUTES"),
        asked(policy, "Query", [own], attributes=["total"], select="ALL_ATTRIBUTES"),
        asked(policy, "Query", [own], attributes=["total"]),
        asked(policy, "Query", [own], select="SPECIFIC_ATTRIBUTES"),
        asked(policy, "GetItem", [own], attributes=["total"]),
        asked(policy, "BatchGetItem", [own], attributes=["total"]),
    ]
    assert allowed([asked(policy, "Query", [own], **right), *refused]) == [True, *[False] * len(refused)]


def conditions(policy):
    """The policy without each of its conditions in turn, by what was removed."""
    for place, statement in enumerate(policy["Statement"]):
        for operator, keys in statement["Condition"].items():
            for key in keys:
                mutated = copy.deepcopy(policy)
                del mutated["Statement"][place]["Condition"][operator][key]
                yield f"{operator} {key}", mutated


@pytest.mark.parametrize("more", [{}, NAMED], ids=["all attributes", "named attributes"])
def test_each_condition_refuses_something_that_no_other_does(more, template, partitions, allowed):
    given, own, other = partitions
    right = {"attributes": ["total"], "select": "SPECIFIC_ATTRIBUTES"}
    wrong = [
        ([other], right),
        ([], right),
        ([own], {**right, "attributes": ["card_number"]}),
        ([own], {**right, "attributes": []}),
        ([own], {**right, "select": "ALL_ATTRIBUTES"}),
    ]
    mutants = dict(conditions(policy_of(template, given | more)))
    assert len(mutants) == (5 if more else 2)
    decided = allowed([asked(policy, "Query", keys, **rest) for policy in mutants.values() for keys, rest in wrong])
    for place, removed in enumerate(mutants):
        let_through = decided[place * len(wrong) : (place + 1) * len(wrong)]
        assert any(let_through), f"without {removed} nothing more is allowed: no test needs it"


def test_only_signed_in_users_of_the_pool_get_the_role(template):
    trusted = template.properties("ReaderRole")["AssumeRolePolicyDocument"]["Statement"]
    assert [each["Principal"] for each in trusted] == [{"Federated": "cognito-identity.amazonaws.com"}]
    assert trusted[0]["Condition"] == {
        "StringEquals": {"cognito-identity.amazonaws.com:aud": {"Ref": "IdentityPoolId"}},
        "ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "authenticated"},
    }
