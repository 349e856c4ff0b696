"""Addresses that bounced or complained: nothing is sent to them any more."""

import hashlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from distributary.consumer.aws import AwsError, classify
from distributary.consumer.deadline import Deadline
from distributary.dynamodb.requests import batch_get


@dataclass(frozen=True, slots=True)
class Suppressions:
    """Rows of the claim table: `id` (S, `%suppressed|` and the SHA-256 of the address in lower case, so that it holds
    no address), `reason` (S: bounce or complaint), `since` (N, epoch seconds). No rule's name begins with `%`."""

    client: Any
    table: str
    now: Callable[[], float] = time.time

    def add(self, address: str, reason: str) -> None:
        """Once or again. 1 write unit; raises Unavailable."""
        item = {"id": {"S": id_of(address)}, "reason": {"S": reason}, "since": {"N": str(int(self.now()))}}
        try:
            self.client.put_item(TableName=self.table, Item=item)
        except AwsError as error:
            raise classify(error, "suppression PutItem") from error

    def among(self, addresses: Collection[str], deadline: Deadline) -> set[str]:
        """Those that are suppressed. Half a read unit each, 100 a request; raises Unavailable."""
        ids = {address: id_of(address) for address in addresses}
        keys = [{"id": {"S": id}} for id in sorted(set(ids.values()))]
        what = "suppression BatchGetItem"
        rows = batch_get(self.client, self.table, keys, deadline, what, projection="id", consistent=False)
        found = {row["id"]["S"] for row in rows}
        return {address for address, id in ids.items() if id in found}


def id_of(address: str) -> str:
    """The row's key."""
    return f"%suppressed|{hashlib.sha256(address.lower().encode()).hexdigest()}"
