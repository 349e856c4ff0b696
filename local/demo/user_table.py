"""The table that the demo's application writes to, and the parameters of the functions that read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boto3.dynamodb.types import TypeSerializer

TABLE = "users"
REGION, REPLICA_REGION = "us-east-1", "eu-west-1"
FUNCTIONS = ("derive", "index", "welcome", "replicate", "archive")
POISON_EVERY = 400


def parameters(opensearch: str) -> dict[str, str]:
    """The template's, for functions whose index is at this URL."""
    return {
        "OpenSearchEndpoint": opensearch,
        "OpenSearchService": "none",
        "ReplicaTableName": f"{TABLE}-replica",
        "ReplicaRegion": REPLICA_REGION,
        "LogLevel": "INFO",
    }


@dataclass(frozen=True, slots=True)
class UserTable:
    """The application's hands on its table."""

    dynamodb: Any

    def put(self, item: Mapping[str, Any]) -> None:
        """Makes one write of the application."""
        serialize = TypeSerializer().serialize
        self.dynamodb.put_item(TableName=TABLE, Item={name: serialize(value) for name, value in item.items()})

    def delete(self, user_id: str) -> None:
        """Makes one delete of the application, or of TTL."""
        self.dynamodb.delete_item(TableName=TABLE, Key={"user_id": {"S": user_id}})
