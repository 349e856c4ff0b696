"""Everything downstream of the source table, in memory or emulated, and the clock."""

import json
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3

from distributary.consumer.parallel import Parallel
from distributary.index.opensearch.connect import connect
from local.emulators import Endpoints
from tests.contract.source import Record, Table
from tests.fakes.built import DERIVED
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.items import copied
from tests.fakes.opensearch import OpenSearch
from tests.fakes.s3 import S3
from tests.fakes.serial import Serial
from tests.fakes.ses import Ses
from tests.fakes.streaming import CREATED

TYPES = {"pk": "S", "sk": "S", "id": "S"}


@dataclass
class World:
    """`prefix` sets the names of tables, buckets and indexes apart where worlds share a service."""

    schema: dict[str, str]
    dynamodb: Any
    s3: Any
    ses: Any
    opensearch: Any
    parallel: Any
    prefix: str = ""
    clock: float = CREATED + 1.0
    sent: Callable[[], list[str]] | None = None
    _states: dict[str, Any] = field(default_factory=dict)

    def now(self) -> float:
        """Seconds since the epoch, as the branches are told."""
        return self.clock

    def name(self, of: str) -> str:
        """What a table, bucket or index is called here."""
        return f"{self.prefix}{of}"

    def rows(self, of: str) -> list[dict[str, Any]]:
        """A table's items."""
        items: list[dict[str, Any]] = self.dynamodb.scan(TableName=self.name(of))["Items"]
        return items

    def messages(self) -> list[str]:
        """The addresses that messages went to, each as often as they did."""
        if self.sent is not None:
            return list(self.sent())
        return [to for to, _, _ in self.ses.state]

    def parked(self, branch: str) -> list[dict[str, Any]]:
        """The parked objects."""
        bucket, found = self.name("parking"), []
        for entry in self.s3.list_objects_v2(Bucket=bucket, Prefix=f"parked/{branch}/").get("Contents", []):
            found.append(json.loads(self.s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()))
        return found

    def freeze(self) -> str:
        """All that the fakes hold, as text; the clock stands still meanwhile."""
        state = [fake.state for fake in (self.dynamodb, self.s3, self.ses, self.opensearch)]
        text = repr(_ordered(state))
        if text not in self._states:
            self._states[text] = copied(state)
        return text

    def thaw(self, frozen: str) -> None:
        """Back to how it was."""
        fakes = (self.dynamodb, self.s3, self.ses, self.opensearch)
        for fake, state in zip(fakes, copied(self._states[frozen]), strict=True):
            fake.state = state


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((repr(key), _ordered(member)) for key, member in value.items())
    return [_ordered(member) for member in value] if isinstance(value, list) else value


def schemas(table: Table) -> dict[str, dict[str, str]]:
    """The tables that the branches write."""
    return {
        **DERIVED,
        "claims": {"id": "S"},
        "replica": dict(table.schema),
        "replica-kept": {"id": "S"},
        "home": dict(table.schema),
        "home-kept": {"id": "S"},
    }


def in_memory(table: Table, search: Any = None) -> World:
    """On fakes, one call after the other; `search` is another OpenSearch client to use, shared with other worlds."""
    prefix = _own_prefix() if search else ""
    tables = {f"{prefix}{name}": schema for name, schema in schemas(table).items()}
    s3, found = S3(f"{prefix}parking"), search or OpenSearch()
    return World(dict(table.schema), DynamoDB(tables), s3, Ses(), found, Serial(), prefix)


def _own_prefix() -> str:
    return f"w{uuid.uuid4().hex[:8]}-"


def emulated(table: Table, endpoints: Endpoints, dynamodb_url: str | None = None) -> World:
    """On ministack and osmem-server, through the real clients and with the real threads; `dynamodb_url` is another
    DynamoDB."""
    prefix = _own_prefix()
    at = {
        "endpoint_url": endpoints.aws,
        "region_name": "eu-west-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    dynamodb, s3 = (
        boto3.client("dynamodb", **{**at, "endpoint_url": dynamodb_url or endpoints.aws}),
        boto3.client("s3", **at),
    )
    for name, schema in schemas(table).items():
        create_table(dynamodb, f"{prefix}{name}", schema)
    s3.create_bucket(Bucket=f"{prefix}parking", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    search = connect(endpoints.opensearch, "none")
    return World(
        dict(table.schema),
        dynamodb,
        s3,
        boto3.client("sesv2", **at),
        search,
        Parallel(4),
        prefix,
        sent=lambda: _sent(endpoints.aws, prefix),
    )


def create_table(dynamodb: Any, name: str, schema: dict[str, str]) -> None:
    """On demand, with this key."""
    kinds = ("HASH", "RANGE")
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(schema, kinds, strict=False)],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": type} for key, type in schema.items()],
        BillingMode="PAY_PER_REQUEST",
    )


def table_names(dynamodb: Any) -> list[str]:
    """Of every page: tests that share an emulator make more tables than one page holds."""
    return [name for page in dynamodb.get_paginator("list_tables").paginate() for name in page["TableNames"]]


def _sent(endpoint: str, prefix: str) -> list[str]:
    """Addresses out of ministack's outbox, of messages whose sender is this world's."""
    with urllib.request.urlopen(f"{endpoint}/_ministack/ses/messages") as answer:
        accounts = json.load(answer)["messages"].values()
    return [m["To"][0] for messages in accounts for m in messages if m["Source"].startswith(f"{prefix}sender@")]


def redriven(parked: dict[str, Any]) -> Record:
    """A parked record, as a redrive delivers it."""
    return {**parked["record"], "distributary": {"origin": "redrive"}}
