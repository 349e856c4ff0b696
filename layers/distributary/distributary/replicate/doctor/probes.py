"""Permissions, tried with calls that change nothing: a write whose condition cannot hold."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from distributary.consumer.aws import AwsError, code_of
from distributary.verify.finding import Finding, fault, ok, unknown

_DENIED = {"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "UnrecognizedClientException"}
_PROOF = "ConditionalCheckFailedException"


def writes(client: Any, what: str, table: Mapping[str, Any]) -> Iterator[Finding]:
    """PutItem and DeleteItem of an item that is not there, on condition that its key both exists and does not: who may
    not write is refused before, who may learns that the condition fails. One write unit each."""
    key = _unused_key(table)
    never = {
        "ConditionExpression": "attribute_exists(#k) AND attribute_not_exists(#k)",
        "ExpressionAttributeNames": {"#k": next(iter(key))},
    }
    name = table["TableName"]
    yield _tried(f"{what} PutItem", lambda: client.put_item(TableName=name, Item=key, **never), _PROOF)
    yield _tried(f"{what} DeleteItem", lambda: client.delete_item(TableName=name, Key=key, **never), _PROOF)


def reads(client: Any, what: str, table: Mapping[str, Any]) -> Iterator[Finding]:
    """BatchGetItem of an item that is not there, and a Scan of at most one."""
    name, key = table["TableName"], _unused_key(table)
    keys = {name: {"Keys": [key], "ConsistentRead": True}}
    yield _tried(f"{what} BatchGetItem", lambda: client.batch_get_item(RequestItems=keys))
    yield _tried(f"{what} Scan", lambda: client.scan(TableName=name, Limit=1))


def stream(client: Any, arn: str) -> Iterator[Finding]:
    """What Lambda does in the function's name. A read of the stream itself would take a reader's turn."""
    yield _tried("stream DescribeStream", lambda: client.describe_stream(StreamArn=arn, Limit=1))


def _unused_key(table: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    text = f"distributary-doctor-{uuid.uuid4().hex}"
    made = {"S": text, "B": text.encode(), "N": str(uuid.uuid4().int % 10**38)}
    return {each["AttributeName"]: {(t := types[each["AttributeName"]]): made[t]} for each in table["KeySchema"]}


def _tried(what: str, call: Callable[[], Any], proof: str = "") -> Finding:
    try:
        call()
    except AwsError as error:
        code = code_of(error)
        if code == proof:
            return ok("permission", f"{what} is allowed to these credentials")
        if code in _DENIED:
            fix = "grant it to these credentials, and to the function's role (template.yaml does)"
            return fault("permission", f"{what}: {code}", fix)
        return unknown("permission", f"{what}: {code}", "fix that, and run this again")
    if proof:
        return unknown("permission", f"{what}: a condition that cannot hold did hold", "ask a faithful endpoint")
    return ok("permission", f"{what} is allowed to these credentials")
