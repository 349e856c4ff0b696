"""Whether the role of each function that reads a Kinesis data stream may read it, and decrypt it with its key."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cli.stack import Function, Stack
from distributary.consumer.aws import AwsError, code_of
from distributary.verify import resource_policy
from distributary.verify.finding import Finding, fault, ok, unknown
from distributary.verify.stream_readers import function_name, is_live

READS = (
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
)
SUBSCRIBES = ("kinesis:SubscribeToShard",)
"""https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-create.html, the second by enhanced fan-out."""

DECRYPTS = ("kms:Decrypt",)
"""https://docs.aws.amazon.com/streams/latest/dev/permissions-user-key-KMS.html"""

_ABSENT = "ResourceNotFoundException"
_HERE = "docs/other-accounts.md has the policy"


def examine(
    stack: Stack, data_stream: str, readers: Sequence[Function], summary: Mapping[str, Any]
) -> Iterator[Finding]:
    """Findings for each of the functions that read the data stream. `summary`: DescribeStreamSummary's of it, empty if
    that could not be looked up."""
    for reader in readers:
        yield from _streams(stack, reader, data_stream)
    if summary.get("EncryptionType") == "KMS":
        yield from _key(stack, data_stream, str(summary.get("KeyId", "")), readers)


def _streams(stack: Stack, reader: Function, data_stream: str) -> Iterator[Finding]:
    """What its role may do with the data stream and with its consumer there; and what a stream of another account
    lets it do."""
    check = f"role of {function_name(reader.arn)}"
    try:
        streams = [str(each.get("EventSourceArn", "")) for each in reader.mappings() if is_live(each)]
    except AwsError as error:
        fix = "allow lambda:ListEventSourceMappings to these credentials"
        yield unknown(check, f"its mappings cannot be listed: {code_of(error)}", fix)
        return
    consumers = [each for each in streams if each.startswith(f"{data_stream}/consumer/")]
    asked = [(data_stream, READS), *((consumer, SUBSCRIBES) for consumer in consumers)]
    for resource, actions in asked:
        yield _allowed(stack, check, reader.role, actions, resource)
        if _account(resource) != _account(reader.role):
            yield _shared(stack, reader.role, actions, resource)


def _allowed(stack: Stack, check: str, role: str, actions: Sequence[str], resource: str) -> Finding:
    """What the role's policies say."""
    try:
        refused = _refused(stack, role, actions, resource, {})
    except AwsError as error:
        return _not_simulated(check, error)
    return _judged(check, role, actions, resource, refused, "deploy the stack again, its template allows it")


def _judged(
    check: str, role: str, actions: Sequence[str], resource: str, refused: Mapping[str, str], fix: str
) -> Finding:
    name = _name(resource)
    if not refused:
        return ok(check, f"it may call {', '.join(actions)} on {name}")
    causes = ", ".join(sorted(set(refused.values())))
    said = f"{role} may not call {', '.join(refused)} on {name}: {causes}"
    if any(each.startswith("it depends on") for each in refused.values()):
        return unknown(check, said, "make sure that Lambda's calls in its name fulfil that condition")
    return fault(check, said, fix if causes == _NOTHING else "change that policy")


_NOTHING = "no policy allows it"


def _refused(
    stack: Stack, role: str, actions: Sequence[str], resource: str, context: Mapping[str, str]
) -> dict[str, str]:
    """The actions that IAM's simulator finds the role may not call on the resource, with the cause. Policies of the
    resource are no part of it. Raises ClientError."""
    given = {"aws:RequestedRegion": resource.split(":")[3], **context}
    entries = [
        {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"} for key, value in given.items()
    ]
    pages = stack.clients("iam").get_paginator("simulate_principal_policy")
    asked = {"PolicySourceArn": role, "ActionNames": list(actions), "ResourceArns": [resource]}
    found = [each for page in pages.paginate(**asked, ContextEntries=entries) for each in page["EvaluationResults"]]
    causes = {each["EvalActionName"]: _cause(each) for each in found}
    return {action: cause for action, cause in causes.items() if cause}


def _cause(result: Mapping[str, Any]) -> str:
    """Why an action is not allowed; empty if it is. Across accounts the simulator also counts that it knows no policy
    of the resource: what it says of the role alone is what is asked here."""
    (found, *_) = result.get("ResourceSpecificResults") or [result]
    decided = str(found.get("EvalResourceDecision", result["EvalDecision"]))
    details = found.get("EvalDecisionDetails") or {}
    of_role = [str(value) for key, value in details.items() if "resource" not in key.lower()]
    if decided == "allowed" or (of_role and all(each == "allowed" for each in of_role)):
        return ""
    if not result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True):
        return "the organization's policies do not allow it"
    if not found.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary", True):
        return "its permissions boundary does not allow it"
    if absent := found.get("MissingContextValues") or result.get("MissingContextValues"):
        return f"it depends on {', '.join(absent)}"
    return "a policy denies it" if decided == "explicitDeny" else _NOTHING


def _shared(stack: Stack, role: str, actions: Sequence[str], resource: str) -> Finding:
    """What the policy of another account's data stream, or of its consumer, lets the role do."""
    check, owner = f"policy of {_name(resource)}", _account(resource)
    try:
        text = stack.clients("kinesis").get_resource_policy(ResourceARN=resource).get("Policy")
    except AwsError as error:
        if code_of(error) != _ABSENT:
            fix = f"let account {owner} look at it: it must let {role} call {', '.join(actions)}; {_HERE}"
            return unknown(check, f"it cannot be looked up: {code_of(error)}", fix)
        text = None
    return _lets(check, json.loads(text or "{}"), role, actions, {}, f"ask account {owner} to allow it; {_HERE}")


def _lets(
    check: str, policy: resource_policy.Policy, role: str, actions: Sequence[str], context: Mapping[str, str], fix: str
) -> Finding:
    if missing := resource_policy.missing(policy, actions, lambda named: named in _principals(role), context):
        return fault(check, f"it does not let {role} call {', '.join(missing)}", fix)
    if denied := resource_policy.denied(policy, actions):
        said = f"it lets {role} read, and denies {', '.join(denied)} to some"
        return unknown(check, said, "make sure that this role is not among those")
    return ok(check, f"it lets {role} read")


def _principals(role: str) -> tuple[str, ...]:
    """How a policy names the role, or its whole account."""
    partition, account = role.split(":")[1], _account(role)
    return role, account, f"arn:{partition}:iam::{account}:root"


def _key(stack: Stack, data_stream: str, named: str, readers: Sequence[Function]) -> Iterator[Finding]:
    """Whether the roles may decrypt, if the key is a customer's."""
    check = f"key of {_name(data_stream)}"
    try:
        key = stack.clients("kms").describe_key(KeyId=_arn_of_key(data_stream, named))["KeyMetadata"]
    except AwsError as error:
        yield unknown(check, f"it cannot be looked up: {code_of(error)}", f"allow kms:DescribeKey on {named}")
        return
    if key["KeyManager"] == "AWS":
        yield from _of_aws(check, data_stream, readers)
        return
    through = f"kinesis.{data_stream.split(':')[3]}.{_suffix(data_stream)}"
    for reader in readers:
        yield from _decrypts(stack, check, reader, key["Arn"], through)


def _of_aws(check: str, data_stream: str, readers: Sequence[Function]) -> Iterator[Finding]:
    strangers = [each.role for each in readers if _account(each.role) != _account(data_stream)]
    if strangers:
        fix = "ask its owner to encrypt the data stream with a customer managed key"
        yield fault(check, f"it is AWS's own, which no other account can use, so not {', '.join(strangers)}", fix)
    else:
        yield ok(check, "it is AWS's own, which asks for no permission")


def _decrypts(stack: Stack, check: str, reader: Function, key: str, through: str) -> Iterator[Finding]:
    """A key's policy lets the account's own policies decide, or names the role; another account's key needs both."""
    role, via = reader.role, {"kms:ViaService": through}
    try:
        refused = _refused(stack, role, DECRYPTS, key, via)
    except AwsError as error:
        yield _not_simulated(check, error)
        return
    context = {**via, "kms:CallerAccount": _account(role)}
    policy, why = _policy_of_key(stack, key)
    own = policy is not None and _account(key) == _account(role)
    if own and not resource_policy.missing(policy or {}, DECRYPTS, lambda named: named == role, context):
        refused = {action: cause for action, cause in refused.items() if cause != _NOTHING}
    yield _judged(check, role, DECRYPTS, key, refused, "give the key's ARN in the stack's KmsKeyArns")
    check = f"policy of {_name(key)}"
    if policy is None:
        allow = f"make sure that the policy of {key} lets {role} call kms:Decrypt; {_HERE}"
        yield unknown(check, f"it cannot be looked up: {why}", allow)
    else:
        yield _lets(check, policy, role, DECRYPTS, context, f"allow it in the policy of {key}")


def _policy_of_key(stack: Stack, key: str) -> tuple[resource_policy.Policy | None, str]:
    """Of the key; or why it cannot be looked up, as that of another account's key never can."""
    try:
        return json.loads(stack.clients("kms").get_key_policy(KeyId=key)["Policy"]), ""
    except AwsError as error:
        return None, code_of(error)


def _not_simulated(check: str, error: Exception) -> Finding:
    fix = "allow iam:SimulatePrincipalPolicy to these credentials"
    return unknown(check, f"its permissions cannot be looked up: {code_of(error)}", fix)


def _arn_of_key(data_stream: str, named: str) -> str:
    """KMS finds a key of another account by its ARN alone, and Kinesis may say its id or its alias."""
    if named.startswith("arn:"):
        return named
    _, partition, _, region, account, *_ = data_stream.split(":")
    return f"arn:{partition}:kms:{region}:{account}:{named if named.startswith('alias/') else f'key/{named}'}"


def _suffix(arn: str) -> str:
    """Of the names of services: https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html"""
    return "amazonaws.com.cn" if arn.split(":")[1] == "aws-cn" else "amazonaws.com"


def _account(arn: str) -> str:
    return arn.split(":")[4]


def _name(arn: str) -> str:
    return arn.split(":", 5)[5]
