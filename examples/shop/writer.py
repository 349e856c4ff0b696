"""The shop's three tables, and its application: a program for Node that writes them with ElectroDB."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.aws import Aws
from local.node import installed, output

LOCKED = Path(__file__).parent / "application"


@dataclass(frozen=True, slots=True)
class Journal:
    """The orders that were paid, each with its customer, as often as the application was told so."""

    paid: list[tuple[str, str]]


def _table(name: str) -> Mapping[str, Any]:
    return {
        "TableName": name,
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }


TABLES = tuple(map(_table, ("orders", "customers", "products")))


def run(aws: Aws, calls: int, seed: int = 1) -> Journal:
    """Lets the application make so many calls. Raises LocalError where Node or npm is missing."""
    said = output(installed(LOCKED, "shop"), "shop.mjs", [str(aws.endpoint), str(calls), str(seed)])
    return Journal([(order, customer) for order, customer in json.loads(said)["paid"]])
