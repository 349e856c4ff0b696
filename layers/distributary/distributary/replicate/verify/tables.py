"""Both tables, reached and compared before anything is read; and the mirror between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from distributary.consumer.aws import AwsError, why_no_client, why_no_table
from distributary.errors import ConfigError
from distributary.replicate.declarations import Mirror, MultiActive, Replica, check, peers_of
from distributary.stream.change import REPLICA_VERSION


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table is; None as everywhere in boto3: from the environment. `session` brings other credentials."""

    table: str
    region: str | None
    endpoint: str | None
    session: botocore.session.Session | None = None

    def client(self, service: str = "dynamodb") -> Any:
        """Patient, and with as many connections as segments. Raises ConfigError."""
        config = Config(
            connect_timeout=5, max_pool_connections=64, retries={"mode": "standard", "total_max_attempts": 5}
        )
        try:
            return boto3.Session(region_name=self.region, botocore_session=self.session).client(
                service, endpoint_url=self.endpoint, config=config
            )  # type: ignore[call-overload]
        except (*AwsError, ValueError) as error:
            raise ConfigError(why_no_client(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a table is and its replica, or the tables of all regions: what a command on a replica is given."""

    table: str
    region: str | None = None
    endpoint_url: str | None = None
    replica_table: str = ""
    replica_region: str | None = None
    target_endpoint_url: str | None = None
    tombstone_table: str = ""
    version_attribute: str = REPLICA_VERSION

    @property
    def source(self) -> Place:
        """The source."""
        return Place(self.table, self.region, self.endpoint_url)

    @property
    def replica(self) -> Place:
        """The replica."""
        return Place(self.replica_table, self.replica_region, self.target_endpoint_url or self.endpoint_url)

    def of_regions(self, found: MultiActive) -> dict[str, Place]:
        """The table of each region by its name, this region's first. Raises ConfigError."""
        here = self.region or str(self.source.client().meta.region_name)
        others = peers_of(found, here, tuple(region for region in found.regions if region != here))
        return {region: Place(self.table, region, self.endpoint_url) for region in (here, *others)}


def described(client: Any, table: str) -> dict[str, Any]:
    """DescribeTable's answer. Raises ConfigError."""
    try:
        return dict(client.describe_table(TableName=table)["Table"])
    except AwsError as error:
        raise ConfigError(why_no_table(table, error, client.meta.region_name)) from None


def key_names(source: Mapping[str, Any], replica: Mapping[str, Any]) -> tuple[str, ...]:
    """The key attributes of both. Raises ConfigError if the tables have not the same key."""
    one, other = key_of(source), key_of(replica)
    if one != other:
        raise ConfigError(
            f"the source's key is {shown(one)}, the replica's {shown(other)}: make the replica with the source's key"
        )
    return tuple(name for name, _, _ in one)


def key_of(table: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """Name, role (HASH, RANGE) and type of each key attribute."""
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    keys = sorted(table["KeySchema"], key=lambda each: str(each["KeyType"]))
    return tuple((each["AttributeName"], each["KeyType"], types[each["AttributeName"]]) for each in keys)


def shown(key: tuple[tuple[str, str, str], ...]) -> str:
    """For people: `pk (S), sk (N)`."""
    return ", ".join(f"{name} ({type})" for name, _, type in key)


def declared() -> Replica:
    """What functions/replicate/replica.py on PYTHONPATH declares; a mirror of all of the table where there is none.
    Raises ConfigError."""
    try:
        return check(import_module("replica").REPLICA)
    except ModuleNotFoundError as error:
        if error.name != "replica":
            raise
        return Mirror()
