"""Addresses that bounced or complained: nothing more is sent to them."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from distributary.consumer.aws import AwsError, classify


@dataclass(frozen=True, slots=True)
class Suppressions:
    """Rows of the claim table: `id` (S, `%suppressed|` and the SHA-256 of the address in lower case, so that it holds
    no address), `reason` (S: bounce or complaint), `since` (N, epoch seconds). No rule's id begins with `%`. The
    branch reads them together with its claims."""

    client: Any
    table: str
    now: Callable[[], float] = time.time

    def add(self, address: str, reason: str) -> None:
        """Adds an address; a second time changes nothing but the time. 1 write unit; raises Unavailable."""
        item = {"id": {"S": id_of(address)}, "reason": {"S": reason}, "since": {"N": str(int(self.now()))}}
        try:
            self.client.put_item(TableName=self.table, Item=item)
        except AwsError as error:
            raise classify(error, "suppression PutItem") from error


def id_of(address: str) -> str:
    """The row's key."""
    return f"%suppressed|{hashlib.sha256(address.lower().encode()).hexdigest()}"
