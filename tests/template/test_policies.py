"""Each role allows what its function's code calls, where it calls it, and nothing else."""

import ast
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from samtranslator.translator.transform import transform

from deploy.template import BRANCHES, MORE, Template, listed

LAYER = Path(__file__).parents[2] / "layers" / "distributary"

# Neither service knows a resource for these.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
ANYWHERE = {"dynamodb:ListStreams", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}

LAMBDAS_OWN = ANYWHERE | {
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
    "kinesis:SubscribeToShard",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "s3:ListBucket",
}
"""What the Lambda service does in the function's name."""

SERVICES = {"dynamodb": "dynamodb", "s3": "s3", "sesv2": "ses", "sns": "sns", "events": "events", "sts": "sts"}
"""boto3's names, and IAM's prefixes."""

PREFIXED = "${OpenSearchIndexPrefix}*"

SUPPRESS = ANYWHERE - {"dynamodb:ListStreams"} | {
    "dynamodb:PutItem",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "s3:ListBucket",
    "s3:PutObject",
}
"""It reads no stream."""

OVER_HTTP = {
    "bulk": {"es:ESHttpPost", "aoss:APIAccessAll"},
    "get_many": {"es:ESHttpPost", "aoss:APIAccessAll"},
    "refresh": {"es:ESHttpPost"},
    "search": {"es:ESHttpPost"},
    "scroll": {"es:ESHttpPost"},
    "clear_scroll": {"es:ESHttpDelete"},
    "get_secret": {"secretsmanager:GetSecretValue"},
    "get_parameter": {"ssm:GetParameter"},
}
"""What the methods of OpenSearch's clients and of Powertools need, which no model of boto3 tells."""


@pytest.fixture(params=BRANCHES)
def name(request):
    return request.param


IN_A_TRANSACTION = {"transact_write_items": {"dynamodb:PutItem", "dynamodb:DeleteItem"}}
"""A transaction needs the actions it is made of, here puts and deletes, and none of its own
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html)."""


@pytest.fixture(scope="module")
def action_of():
    """boto3's method names to IAM actions."""
    session = botocore.session.get_session()
    methods = dict(OVER_HTTP)
    for service, prefix in SERVICES.items():
        for operation in session.get_service_model(service).operation_names:
            methods[xform_name(operation)] = {f"{prefix}:{operation}"}
    return methods | IN_A_TRANSACTION


def modules(app: Path):
    """A function's app.py and every module of the layer that it reaches."""
    waiting, seen = [app], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        tree = ast.parse(path.read_text())
        yield tree
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("distributary"):
                module = LAYER / node.module.replace(".", "/")
                names = [module / alias.name for alias in node.names]
                files = [module / "__init__.py", *(each.with_suffix(".py") for each in (module, *names))]
                waiting += [file for file in files if file.exists()]


def called(app: Path, action_of) -> set[str]:
    """The actions behind each method that the code calls or names for a call."""
    actions = set()
    for tree in modules(app):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                named = [each.attr for each in (node.func, *node.args) if isinstance(each, ast.Attribute)]
                actions |= set().union(*(action_of.get(each, set()) for each in named))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                actions |= action_of.get(node.value, set()) if "_" in node.value else set()
    return actions


def test_a_role_allows_exactly_what_the_code_calls_and_lambda_needs(name, template, root, action_of):
    allowed = {action for statement in template.statements(name) for action in listed(statement["Action"])}
    assert allowed - LAMBDAS_OWN == called(root / "functions" / BRANCHES[name] / "app.py", action_of)
    assert allowed >= LAMBDAS_OWN


def test_the_purge_searches_and_deletes_with_its_credentials_and_nothing_else(template, root, action_of):
    """A collection (aoss) has no purge."""
    statements = list(template.own_statements("IndexPurge"))
    allowed = {action for statement in statements for action in listed(statement["Action"])}
    assert allowed - LAMBDAS_OWN == called(root / "functions/index/purge.py", action_of) - {"aoss:APIAccessAll"}
    assert [each["Sid"] for each in statements if "*" in listed(each["Resource"])] == ["Trace"]
    (purging,) = [each["Resource"] for each in statements if "es:ESHttpPost" in listed(each["Action"])]
    assert purging == [
        {"Fn::Sub": f"${{OpenSearchArn}}/{path}"} for path in ("_bulk", f"{PREFIXED}/_refresh", f"{PREFIXED}/_search")
    ]


def test_a_secret_is_read_only_if_one_is_given_and_only_that_one(template):
    for name in ("Index", "IndexPurge"):
        shared = [template.properties("IndexPolicy")] if name == "Index" else []
        policies = [*template.properties(f"{name}Role")["Policies"], *shared]
        found = [s for p in policies for s in p["PolicyDocument"]["Statement"] if "ReadCredentials" in str(s)]
        ((condition, statement, otherwise),) = [each["Fn::If"] for each in found]
        assert condition == "OpenSearchSecretGiven"
        assert statement["Resource"] == {"Ref": "OpenSearchSecretArn"}
        assert otherwise == {"Ref": "AWS::NoValue"}


def test_no_statement_reaches_everywhere_but_where_iam_knows_no_resource(name, template):
    for statement in template.statements(name):
        assert statement["Effect"] == "Allow"
        if "NotResource" in statement:
            assert (statement["Sid"], listed(statement["Action"])) == ("SendTexts", ["sns:Publish"])
        elif "*" in listed(statement["Resource"]):
            assert set(listed(statement["Action"])) <= ANYWHERE


def test_no_action_is_a_wildcard(name, template):
    assert not [action for each in template.statements(name) for action in listed(each["Action"]) if "*" in action]


def test_a_function_parks_under_its_own_branch_and_lambda_under_its_own_prefix(name, template):
    places = [each["Resource"] for each in template.statements(name) if listed(each["Action"]) == ["s3:PutObject"]]
    branch = BRANCHES[name]
    assert places == [
        {"Fn::Sub": "${ParkingBucket.Arn}/aws/lambda/*"},
        {"Fn::Sub": f"${{ParkingBucket.Arn}}/parked/{branch}/*"},
        *([{"Fn::Sub": "${ParkingBucket.Arn}/conflicts/*"}] if branch == "replicate" else []),
        *([{"Fn::Sub": "${ArchiveBucket.Arn}/*"}] if branch == "archive" else []),
    ]


def test_a_function_reads_its_own_stream_only(name, template):
    (reading,) = [each for each in template.statements(name) if "dynamodb:GetRecords" in listed(each["Action"])]
    own = {"Ref": f"{name}SourceArn"}
    assert reading["Resource"] == ([own, *if_given(lambda source: source)] if name == "Derive" else own)


@pytest.mark.parametrize("name", ["Derive", "Index", "Replicate"])
def test_a_function_reads_the_items_of_its_own_source_only(name, template):
    (reading,) = [each for each in template.statements(name) if each["Sid"] == "ReadItems"]
    assert listed(reading["Action"]) == ["dynamodb:BatchGetItem"]
    own = table_in({"Ref": f"{name}SourceArn"})
    assert reading["Resource"] == ([own, *if_given(table_in)] if name == "Derive" else own)


def table_in(source):
    return {"Fn::Select": [0, {"Fn::Split": ["/stream/", source]}]}


def if_given(of):
    """What derive's role has of each further source, by its name, if the source is given."""
    nothing = {"Ref": "AWS::NoValue"}
    return [{"Fn::If": [f"DeriveHas{each}", of({"Ref": f"Derive{each}SourceArn"}), nothing]} for each in MORE]


def test_sam_adds_no_role_or_policy_of_its_own(template, root, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fresh = Template.read(root / "template.yaml")
    for each in fresh.document["Resources"].values():
        for place in {"CodeUri", "ContentUri", "DefinitionUri"} & set(each.get("Properties", {})):
            each["Properties"][place] = "s3://bucket/key"
    made = transform(dict(fresh.document), {}, None)["Resources"]
    kinds = ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy")
    assert {logical_id for logical_id, each in made.items() if each["Type"] in kinds} == {
        logical_id for kind in kinds for logical_id in template.of_type(kind)
    }


def test_suppress_may_write_into_the_claim_table_and_nothing_else(template, root, action_of):
    own = template.properties("SuppressRole")["Policies"][0]["PolicyDocument"]["Statement"]
    allowed = {action for statement in own for action in listed(statement["Action"])}
    assert allowed == SUPPRESS
    assert called(root / "functions" / "suppress" / "app.py", action_of) >= {"dynamodb:PutItem"}
    assert {"Ref": "FunctionPolicy"} not in template.properties("SuppressRole")["ManagedPolicyArns"]
    assert [each["Sid"] for each in own if "*" in listed(each["Resource"])] == ["Trace"]
    (keeping,) = [each for each in own if listed(each["Action"]) == ["dynamodb:PutItem"]]
    assert keeping["Resource"] == {"Fn::GetAtt": ["ClaimTable", "Arn"]}
    (given_up,) = [each for each in own if listed(each["Action"]) == ["s3:PutObject"]]
    assert given_up["Resource"] == {"Fn::Sub": "${ParkingBucket.Arn}/aws/lambda/async/*"}


def test_replicate_reaches_other_regions_only_where_its_parameter_says(template):
    for statement in template.statements("Replicate"):
        if ":dynamodb:*:" in str(statement["Resource"]):
            assert statement["Condition"] == {
                "StringEquals": {"aws:RequestedRegion": {"Fn::Split": [",", {"Ref": "ReplicaRegion"}]}}
            }


def test_the_arn_of_every_role_is_an_output_where_the_role_is_deployed(template):
    outputs = template.document["Outputs"]
    for role in template.of_type("AWS::IAM::Role"):
        output = outputs[f"{role}Arn"]
        assert output["Value"] == {"Fn::GetAtt": [role, "Arn"]}
        assert output["Condition"] == template.document["Resources"][role]["Condition"]
