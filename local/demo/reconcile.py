"""Compares each branch with the source, item by item."""

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch

from local.demo import oracle
from local.demo.oracle import Expectation, Parked

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The result for one branch. `excused` items differ because their newest change is parked; `differences` names all
    others that differ."""

    branch: str
    expected: int
    actual: int
    excused: int
    differences: list[str]


def compare(branch: str, expected: Expectation, actual: dict[str, Any]) -> Reconciliation:
    """Compares the keys of both sides, except those that are excused."""
    differences = [f"rejected but not parked: {name}" for name in expected.unparked]
    for name in sorted(expected.rows.keys() | actual.keys()):
        if name in expected.excused or expected.rows.get(name) == actual.get(name):
            continue
        fault = "missing" if name not in actual else "not in the source" if name not in expected.rows else "different"
        differences.append(f"{fault}: {name}")
    excused = sum(expected.rows.get(name) != actual.get(name) for name in expected.excused)
    return Reconciliation(branch, len(expected.rows), len(actual), excused, differences)


def greetings(born: set[str], messages: Counter[str], parked: Parked) -> Reconciliation:
    """Checks that every new user got one message. If a crash cut off the claim, the user got at most one, and the
    change is parked."""
    differences, excused = [], 0
    for user in sorted(born | set(messages)):
        sent = messages[user]
        if user in born and sent == 1:
            continue
        if user in born and sent == 0 and parked.mentions({"user_id": {"S": user}}):
            excused += 1
            continue
        differences.append(f"{sent} messages: {user}")
    return Reconciliation("welcome", len(born), sum(messages.values()), excused, differences)


def scan(dynamodb: Any, table: str) -> Iterator[dict[str, Any]]:
    """Every item of a table, read consistently."""
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def search(url: str) -> dict[str, Any]:
    """Every document that readers find through the aliases, by alias and id."""
    client, found = OpenSearch(hosts=[url]), dict[str, Any]()
    for alias, physical in oracle.index_names():
        client.indices.refresh(index=physical)
        body: dict[str, Any] = {"size": 1000, "sort": [{"user_id": "asc"}], "query": {"match_all": {}}}
        while hits := client.search(index=alias, body=body)["hits"]["hits"]:
            found |= {f"{alias}/{hit['_id']}": hit["_source"] for hit in hits}
            body["search_after"] = hits[-1]["sort"]
    return found


def sent_messages(aws_endpoint: str) -> Counter[str]:
    """How many messages each user got, by the address's local part, as ministack's SES kept them."""
    with urllib.request.urlopen(f"{aws_endpoint}/_ministack/ses/messages") as answer:
        by_account = json.load(answer)["messages"]
    addresses = [to for messages in by_account.values() for message in messages for to in message["To"]]
    return Counter(address.partition("@")[0] for address in addresses)
