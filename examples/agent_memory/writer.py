"""The table that `@mastra/dynamodb` writes, and agents that remember: a program for Node 22 that uses the package."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.aws import Aws
from local.errors import LocalError
from local.node import installed, node_of, output

LOCKED = Path(__file__).parent / "application"
NODE, TTL, GONE_SECONDS = 22, "ttl", 60
"""GONE_SECONDS: within which everything has expired that was saved for a moment."""

_INDEXES = ("gsi1", "gsi2")

TABLE: Mapping[str, Any] = {
    "TableName": "agent_memory",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": f"{index}{key}", "AttributeType": "S"} for index in ("", *_INDEXES) for key in ("pk", "sk")
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": index,
            "KeySchema": [
                {"AttributeName": f"{index}pk", "KeyType": "HASH"},
                {"AttributeName": f"{index}sk", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
        for index in _INDEXES
    ],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}


@dataclass(frozen=True, slots=True)
class Journal:
    """The messages that the agents saved, by id. `fleeting`: those that expire within seconds, each with its thread."""

    messages: list[str]
    fleeting: list[tuple[str, str]]


def run(aws: Aws, calls: int, seed: int = 1) -> Journal:
    """Lets the agents make so many calls, and waits until what they saved for a moment has expired. Raises LocalError
    where Node or npm is missing."""
    client, folder = aws.client("dynamodb"), installed(LOCKED, "agent_memory")
    enabled = {"Enabled": True, "AttributeName": TTL}
    client.update_time_to_live(TableName=TABLE["TableName"], TimeToLiveSpecification=enabled)
    said = output(folder, "agents.mjs", [str(aws.endpoint), str(calls), str(seed)], node_of(folder, NODE))
    found = json.loads(said)
    journal = Journal(found["messages"], [(one, other) for one, other in found["fleeting"]])
    _await_expiry(client)
    return journal


def _await_expiry(client: Any) -> None:
    until = time.monotonic() + GONE_SECONDS
    while time.monotonic() < until:
        soon = {":soon": {"N": str(int(time.time()) + 3600)}}
        asked = {"TableName": TABLE["TableName"], "FilterExpression": "#ttl < :soon", "ConsistentRead": True}
        pages = client.get_paginator("scan").paginate(
            **asked, ExpressionAttributeNames={"#ttl": TTL}, ExpressionAttributeValues=soon
        )
        if not any(page["Items"] for page in pages):
            return
        time.sleep(0.5)
    raise LocalError(f"the embedded DynamoDB left items that expired {GONE_SECONDS} s ago")
