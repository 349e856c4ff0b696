"""`distributary doctor --stack`: whether the roles may read a Kinesis data stream, and decrypt it."""

import json
from pathlib import Path

import pytest

from cli.main import main
from deploy.template import Template
from local.intrinsics import Scope, resolve
from tests.fakes.monitored import BRANCHES, TABLE, Monitored, role
from tests.fakes.s3 import Versioned

STACKS, OWNER = "123456789012", "111122223333"
DATA_STREAM = f"arn:aws:kinesis:eu-west-1:{STACKS}:stream/changes"
ELSEWHERE = DATA_STREAM.replace(STACKS, OWNER)
CONSUMER = "consumer/shop-derive:1700000000"
KEY = f"arn:aws:kms:eu-west-1:{STACKS}:key/11111111-2222-3333-4444-555555555555"
VIA = {"StringLike": {"kms:ViaService": ["dynamodb.*.amazonaws.com", "kinesis.*.amazonaws.com"]}}
READING = {"Effect": "Allow", "Action": "kinesis:*", "Resource": "*"}
DECRYPTING = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "arn:aws:kms:*", "Condition": VIA}
ROOT = {"AWS": f"arn:aws:iam::{STACKS}:root"}


@pytest.fixture
def seen(monkeypatch):
    """`derive` alone reads a data stream."""
    found = Monitored(Versioned("parking"), "parking", "derive")
    monkeypatch.setattr("cli.target.clients", lambda endpoint, region: found.clients)
    found.listed, found.destinations = f"{TABLE}/stream/kinesis/changes", {DATA_STREAM: "ACTIVE"}
    found.mappings["derive"] = [found.mapping(EventSourceArn=DATA_STREAM)]
    return found


@pytest.fixture
def examined(capsys):
    """What is found of roles, policies and keys, by check, and the exit status."""

    def run():
        status = main(["doctor", "--stack", "shop", "--json"])
        findings = json.loads(capsys.readouterr().out)["findings"]
        found = [each for each in findings if each["check"].partition(" ")[0] in ("role", "policy", "key")]
        return status, found

    return run


def levels(found):
    return [(each["check"], each["level"]) for each in found]


def encrypted(seen, policy, *statements, name=KEY, manager="CUSTOMER", key=KEY):
    """By a key with this policy; the role's own statements."""
    seen.key, seen.kms.managers, seen.kms.names = name, {key: manager}, {name: key}
    seen.kms.policies = {key: {"Statement": policy}}
    seen.iam.roles[role("derive")] = [READING, *statements]


def moved(seen, table, data_stream):
    """To where else these are."""
    seen.listed, seen.destinations = f"{table}/stream/kinesis/changes", {data_stream: "ACTIVE"}
    seen.mappings["derive"] = [seen.mapping(EventSourceArn=data_stream)]
    seen.clients("dynamodb")._answers["describe_kinesis_streaming_destination"] = lambda TableName: {
        "KinesisDataStreamDestinations": [{"StreamArn": data_stream, "DestinationStatus": "ACTIVE"}]
    }


def foreign(seen):
    """The table and the data stream are another account's."""
    moved(seen, TABLE.replace(STACKS, OWNER), ELSEWHERE)


@pytest.mark.parametrize("by_consumer", [False, True])
@pytest.mark.parametrize("name", [*BRANCHES, "trunk"])
def test_the_roles_of_the_template_pass(name, by_consumer, seen, examined):
    template = Template.read(Path("template.yaml"))
    document, parameter = template.document, f"{name.capitalize()}SourceArn"
    source = f"{TABLE}/stream/kinesis/changes"
    given = {parameter: source, "DeriveSourceArn": source, "KmsKeyArns": [KEY]}
    kinds = {key: each["Type"] for key, each in document["Resources"].items()}
    defaults = {key: each.get("Default", "") for key, each in document["Parameters"].items()}
    scope = Scope({**defaults, **given}, kinds, document["Conditions"], "eu-west-1", STACKS, "shop")
    (own,) = template.properties(f"{name.capitalize()}Role")["Policies"]
    chosen = [each for each in own["PolicyDocument"]["Statement"] if "DataStream" in str(each)]
    statements = [found for each in chosen if (found := resolve([each], scope))]
    keys = resolve(template.properties("KeyPolicy")["PolicyDocument"]["Statement"], scope)
    if name == "trunk":
        seen.carries, seen.mappings["derive"] = ("derive",), [seen.mapping(State="Disabled")]
    elif name != "derive":
        seen.branches = (name,)
    reader = DATA_STREAM if not by_consumer else f"{DATA_STREAM}/{CONSUMER}"
    seen.mappings[name] = [seen.mapping(EventSourceArn=reader)]
    encrypted(seen, [{"Effect": "Allow", "Principal": ROOT, "Action": "kms:*", "Resource": "*"}])
    seen.iam.roles = {role(name): [part for each in statements for part in each] + keys}
    status, found = examined()
    assert (status, {each["level"] for each in found}) == (0, {"ok"}), found
    subscribing = [each for each in found if "kinesis:SubscribeToShard" in each["found"]]
    assert [each["found"].rpartition(" ")[2] for each in subscribing] == [f"stream/changes/{CONSUMER}"] * by_consumer
    assert levels(found)[0] == (f"role of {name}", "ok")


@pytest.mark.parametrize(
    "action", ["DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards"]
)
def test_a_role_that_lacks_an_action_is_a_fault(action, seen, examined):
    rest = {"DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards"} - {action}
    seen.iam.roles[role("derive")] = [{**READING, "Action": [f"kinesis:{each}" for each in rest]}]
    status, (finding,) = examined()
    assert (status, finding["level"]) == (1, "fault")
    assert f"may not call kinesis:{action} on stream/changes: no policy allows it" in finding["found"]
    assert finding["fix"].startswith("deploy the stack again")


def test_a_role_that_may_read_another_data_stream_only_is_a_fault(seen, examined):
    seen.iam.roles[role("derive")] = [{**READING, "Resource": f"{DATA_STREAM}-2"}]
    assert levels(examined()[1]) == [("role of derive", "fault")]


def test_fan_out_without_subscribing_is_a_fault(seen, examined):
    reads = [*(f"kinesis:{each}" for each in ("Describe*", "Get*", "List*"))]
    seen.iam.roles[role("derive")] = [{**READING, "Action": reads}]
    assert examined()[0] == 0
    seen.mappings["derive"] = [seen.mapping(EventSourceArn=f"{DATA_STREAM}/{CONSUMER}")]
    status, (ok, finding) = examined()
    assert (status, ok["level"], finding["level"]) == (1, "ok", "fault")
    assert f"may not call kinesis:SubscribeToShard on stream/changes/{CONSUMER}" in finding["found"]


def test_a_consumer_that_nobody_reads_by_any_more_is_left_out(seen, examined):
    resting = seen.mapping(EventSourceArn=f"{DATA_STREAM}/{CONSUMER}", State="Disabled")
    other = seen.mapping(EventSourceArn=f"{DATA_STREAM}-2/{CONSUMER}")
    seen.mappings["derive"] = [seen.mapping(EventSourceArn=DATA_STREAM), resting, other]
    assert [each["found"].rpartition(" ")[2] for each in examined()[1]] == ["stream/changes"]


def test_a_simulator_that_tells_no_single_resource_is_understood(seen, examined):
    seen.iam.each_resource = False
    assert examined()[0] == 0
    seen.iam.roles[role("derive")] = []
    assert examined()[0] == 1


def test_what_denies_reading_is_named(seen, examined):
    shop = role("derive")
    seen.iam.roles[shop] = [READING, {"Effect": "Deny", "Action": "kinesis:GetRecords", "Resource": "*"}]
    assert "kinesis:GetRecords on stream/changes: a policy denies it" in examined()[1][0]["found"]
    seen.iam.roles[shop], seen.iam.boundaries[shop] = [READING], [{**READING, "Action": "kinesis:D*"}]
    status, (finding,) = examined()
    assert (status, finding["fix"]) == (1, "change that policy")
    assert "permissions boundary" in finding["found"]
    seen.iam.boundaries, seen.iam.organization_allows = {}, False
    assert "organization's policies" in examined()[1][0]["found"]


def test_a_condition_on_the_region_is_judged_and_another_is_unknown(seen, examined):
    def on(key, value):
        seen.iam.roles[role("derive")] = [{**READING, "Condition": {"StringEquals": {key: value}}}]
        return examined()

    assert on("aws:RequestedRegion", "eu-west-1")[0] == 0
    assert on("aws:RequestedRegion", "us-east-1")[0] == 1
    status, (finding,) = on("aws:SourceVpc", "vpc-1")
    assert (status, finding["level"]) == (2, "unknown")
    assert "it depends on aws:SourceVpc" in finding["found"]


def test_the_trunks_role_reads_for_the_branches_that_it_carries(seen, examined):
    seen.carries, seen.mappings["trunk"] = ("derive",), [seen.mapping(EventSourceArn=DATA_STREAM)]
    seen.iam.roles = {role("trunk"): [READING], role("derive"): []}
    assert (examined()[0], levels(examined()[1])) == (0, [("role of trunk", "ok")])


@pytest.mark.parametrize(
    ("denied", "missing", "where"),
    [
        ("SimulatePrincipalPolicy", "iam:SimulatePrincipalPolicy", "role of derive"),
        ("ListEventSourceMappings", "lambda:ListEventSourceMappings", "role of derive"),
        ("DescribeKey", "kms:DescribeKey", "key of stream/changes"),
        ("GetKeyPolicy", "lets", "policy of key/11111111-2222-3333-4444-555555555555"),
    ],
)
def test_what_may_not_be_looked_up_of_access_is_unknown(denied, missing, where, seen, examined):
    encrypted(seen, [{"Effect": "Allow", "Principal": ROOT, "Action": "kms:*"}], DECRYPTING)
    seen.denied.add(denied)
    status, found = examined()
    (finding,) = [each for each in found if each["level"] == "unknown" and each["check"] == where]
    assert (status, missing in finding["fix"]) == (2, True)


@pytest.mark.parametrize("name", [KEY, KEY.rpartition("/")[2], "alias/shop"])
def test_a_customers_key_must_let_the_role_decrypt(name, seen, examined):
    asked = KEY if name == KEY else f"{KEY.rpartition(':')[0]}:{'' if name.startswith('alias') else 'key/'}{name}"
    encrypted(seen, [{"Effect": "Allow", "Principal": ROOT, "Action": "kms:*"}], DECRYPTING, name=name)
    seen.kms.names = {asked: KEY}
    assert examined()[0] == 0
    seen.iam.roles[role("derive")] = [READING]
    status, found = examined()
    assert (status, levels(found)[1]) == (1, ("key of stream/changes", "fault"))
    assert "KmsKeyArns" in found[1]["fix"]


def test_a_key_through_another_service_does_not_decrypt(seen, examined):
    other = {**DECRYPTING, "Condition": {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}}
    encrypted(seen, [{"Effect": "Allow", "Principal": ROOT, "Action": "kms:*"}], other)
    assert levels(examined()[1])[1] == ("key of stream/changes", "fault")


def test_services_have_names_of_their_own_in_china(seen, examined):
    here = [each.replace("arn:aws:", "arn:aws-cn:").replace("eu-west-1", "cn-north-1") for each in (TABLE, DATA_STREAM)]
    moved(seen, *here)
    key = KEY.replace("arn:aws:", "arn:aws-cn:").replace("eu-west-1", "cn-north-1")
    through = {"StringEquals": {"kms:ViaService": "kinesis.cn-north-1.amazonaws.com.cn"}}
    allowing = {"Effect": "Allow", "Action": "kms:Decrypt", "Condition": through}
    encrypted(seen, [{**allowing, "Principal": ROOT}], {**allowing, "Resource": key}, name=key, key=key)
    assert examined()[0] == 0


POLICIES = {
    "the account, through Kinesis": (
        {"Effect": "Allow", "Principal": ROOT, "Action": "kms:Decrypt", "Condition": VIA},
        "ok",
    ),
    "the role": ({"Effect": "Allow", "Principal": {"AWS": role("derive")}, "Action": "kms:De*"}, "ok"),
    "another role": ({"Effect": "Allow", "Principal": {"AWS": role("index")}, "Action": "kms:*"}, "fault"),
    "another action": ({"Effect": "Allow", "Principal": ROOT, "Action": "kms:Encrypt"}, "fault"),
    "another service": (
        {
            "Effect": "Allow",
            "Principal": ROOT,
            "Action": "kms:*",
            "Condition": {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}},
        },
        "fault",
    ),
    "a condition of another kind": (
        {
            "Effect": "Allow",
            "Principal": ROOT,
            "Action": "kms:*",
            "Condition": {"Bool": {"kms:GrantIsForAWSResource": True}},
        },
        "fault",
    ),
}


@pytest.mark.parametrize("case", POLICIES)
def test_a_keys_policy_must_let_the_account_or_the_role_decrypt(case, seen, examined):
    statement, level = POLICIES[case]
    encrypted(seen, [statement], DECRYPTING)
    _, found = examined()
    assert levels(found)[1:] == [("key of stream/changes", "ok"), (f"policy of key/{KEY.rpartition('/')[2]}", level)]


def test_a_role_that_its_accounts_key_names_needs_no_policy_of_its_own(seen, examined):
    named = {"Effect": "Allow", "Principal": {"AWS": role("derive")}, "Action": "kms:Decrypt"}
    encrypted(seen, [named])
    assert examined()[0] == 0
    encrypted(seen, [named], {"Effect": "Deny", "Action": "kms:*", "Resource": "*"})
    assert examined()[0] == 1


def test_a_keys_policy_that_denies_some_is_unknown(seen, examined):
    policy = [
        {"Effect": "Allow", "Principal": ROOT, "Action": "kms:*"},
        {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt"},
    ]
    encrypted(seen, policy, DECRYPTING)
    status, found = examined()
    assert (status, found[-1]["level"], "denies kms:Decrypt" in found[-1]["found"]) == (2, "unknown", True)


def test_the_key_of_aws_asks_for_no_permission(seen, examined):
    encrypted(seen, [], name="alias/aws/kinesis", manager="AWS")
    seen.kms.names = {f"arn:aws:kms:eu-west-1:{STACKS}:alias/aws/kinesis": KEY}
    assert (examined()[0], levels(examined()[1])[1:]) == (0, [("key of stream/changes", "ok")])


def share(*actions, principal, **more):
    return {"Statement": [{"Effect": "Allow", "Principal": principal, "Action": [*actions], **more}]}


@pytest.mark.parametrize(
    ("policy", "level"),
    [
        (share("kinesis:Describe*", "kinesis:Get*", "kinesis:ListShards", principal={"AWS": role("derive")}), "ok"),
        (share("kinesis:*", principal=ROOT), "ok"),
        ({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "kinesis:*"}}, "ok"),
        (share("kinesis:*", principal={"Service": "lambda.amazonaws.com"}), "fault"),
        (share("kinesis:*", principal={"AWS": STACKS}), "ok"),
        (share("kinesis:*", principal={"AWS": role("index")}), "fault"),
        (share("kinesis:Get*", "kinesis:ListShards", principal=ROOT), "fault"),
        (share("kinesis:*", principal=ROOT, Condition={"Bool": {"aws:SecureTransport": "true"}}), "fault"),
        (None, "fault"),
    ],
)
def test_another_accounts_data_stream_must_be_shared_with_the_role(policy, level, seen, examined):
    foreign(seen)
    seen.sharing.policies = {ELSEWHERE: policy} if policy else {}
    status, found = examined()
    assert levels(found) == [("role of derive", "ok"), ("policy of stream/changes", level)]
    assert status == (level == "fault")
    seen.iam.roles[role("derive")] = []
    assert levels(examined()[1])[0] == ("role of derive", "fault")


def test_another_accounts_consumer_must_be_shared_too(seen, examined):
    foreign(seen)
    consumer = f"{ELSEWHERE}/{CONSUMER}"
    seen.mappings["derive"] = [seen.mapping(EventSourceArn=consumer)]
    seen.sharing.policies = {ELSEWHERE: share("kinesis:*", principal=ROOT)}
    assert levels(examined()[1])[2:] == [("role of derive", "ok"), (f"policy of stream/changes/{CONSUMER}", "fault")]
    seen.sharing.policies[consumer] = share("kinesis:SubscribeToShard", principal=ROOT)
    assert examined()[0] == 0


def test_another_accounts_policy_that_cannot_be_seen_is_unknown(seen, examined):
    foreign(seen)
    seen.denied.add("GetResourcePolicy")
    status, found = examined()
    assert (status, found[1]["level"]) == (2, "unknown")
    assert all(each in found[1]["fix"] for each in (OWNER, role("derive"), "kinesis:GetRecords"))


def test_another_accounts_key_cannot_be_that_of_aws(seen, examined):
    foreign(seen)
    seen.sharing.policies = {ELSEWHERE: share("kinesis:*", principal=ROOT)}
    theirs = KEY.replace(STACKS, OWNER)
    encrypted(seen, [], DECRYPTING, name=theirs, key=theirs, manager="AWS")
    status, found = examined()
    assert (status, levels(found)[-1]) == (1, ("key of stream/changes", "fault"))
    assert "customer managed key" in found[-1]["fix"]


def test_another_accounts_key_needs_the_role_and_its_own_policy(seen, examined):
    foreign(seen)
    seen.sharing.policies = {ELSEWHERE: share("kinesis:*", principal=ROOT)}
    theirs = KEY.replace(STACKS, OWNER)
    encrypted(seen, [], DECRYPTING, name=theirs, key=theirs)
    status, found = examined()
    assert (status, levels(found)[2:]) == (
        2,
        [("key of stream/changes", "ok"), (f"policy of key/{KEY.rpartition('/')[2]}", "unknown")],
    )
    seen.iam.roles[role("derive")] = [READING]
    assert examined()[0] == 1
