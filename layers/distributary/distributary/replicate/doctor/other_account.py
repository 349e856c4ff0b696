"""Whether a stream of another account lets the function read it: what the stream's resource policy says."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from distributary.consumer.aws import AwsError, code_of
from distributary.verify import resource_policy
from distributary.verify.finding import Finding, fault, ok, unknown

READS = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
"""https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html"""

_CHECK, _ABSENT = "stream's policy", "PolicyNotFoundException"


def examine(client: Any, stream: str, function: str | None) -> Iterator[Finding]:
    """Nothing unless `function` is the ARN of a function in another account than the stream's."""
    if reader := _reader(stream, function):
        yield _looked_up(client, stream, reader)


def _reader(stream: str, function: str | None) -> str | None:
    """The function's account, if it is another one than the stream's."""
    account = function.split(":")[4] if function and function.startswith("arn:") else None
    return account if account and account != stream.split(":")[4] else None


def _looked_up(client: Any, stream: str, reader: str) -> Finding:
    try:
        policy = json.loads(client.get_resource_policy(ResourceArn=stream)["Policy"])
    except AwsError as error:
        if code_of(error) != _ABSENT:
            owner = stream.split(":")[4]
            fix = f"run this with credentials of account {owner} that allow dynamodb:GetResourcePolicy"
            return unknown(_CHECK, f"GetResourcePolicy: {code_of(error)}", fix)
        policy = {}
    return judged(stream, reader, policy)


def judged(stream: str, reader: str, policy: Mapping[str, Any]) -> Finding:
    """Whether the policy lets the account `reader` read the stream. A statement with a condition does not count as
    allowing it, and a statement that denies it to anyone is named."""
    missing = resource_policy.missing(policy, READS, lambda named: _account(named) == reader)
    denied = resource_policy.denied(policy, READS)
    if missing:
        found = f"it does not let account {reader} call {', '.join(missing)}"
        command = f"aws dynamodb put-resource-policy --resource-arn {stream} --policy"
        return fault(_CHECK, found, f"{command} '{needed(stream, reader)}'; keep the statements that it has")
    if denied:
        found = f"it lets account {reader} read, and denies {', '.join(denied)} to some"
        return unknown(_CHECK, found, "make sure that the function's role is not among those")
    return ok(_CHECK, f"it lets account {reader} read")


def needed(stream: str, reader: str) -> str:
    """The policy that lets the account `reader` read the stream, as JSON."""
    partition = stream.split(":")[1]
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{partition}:iam::{reader}:root"},
        "Action": list(READS),
        "Resource": stream,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _account(principal: str) -> str:
    """Of an ARN, or of an account's bare number."""
    return principal.split(":")[4] if principal.startswith("arn:") else principal
