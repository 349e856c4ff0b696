"""Addresses that bounced or complained: nothing is sent to them any more."""

import hashlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from distributary.consumer.aws import AwsError, classify
from distributary.errors import Unavailable

BATCH_GET_KEYS = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""


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

    def among(self, addresses: Collection[str]) -> set[str]:
        """Those that are suppressed. Half a read unit each, 100 a request; raises Unavailable."""
        ids = {address: id_of(address) for address in addresses}
        waiting = sorted(set(ids.values()))
        found: set[str] = set()
        while waiting:
            wanted, waiting = waiting[:BATCH_GET_KEYS], waiting[BATCH_GET_KEYS:]
            rows, left = self._read(wanted)
            if len(left) == len(wanted):
                raise Unavailable("suppression BatchGetItem: throttled")
            found |= {row["id"]["S"] for row in rows}
            waiting += left
        return {address for address, id in ids.items() if id in found}

    def _read(self, ids: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
        request = {"Keys": [{"id": {"S": id}} for id in ids], "ProjectionExpression": "id"}
        try:
            answer = self.client.batch_get_item(RequestItems={self.table: request})
        except AwsError as error:
            raise Unavailable(str(classify(error, "suppression BatchGetItem")), str(error)) from error
        rows: list[dict[str, Any]] = next(iter(answer["Responses"].values()), [])
        left: list[dict[str, Any]] = next(iter(answer.get("UnprocessedKeys", {}).values()), {"Keys": []})["Keys"]
        return rows, [key["id"]["S"] for key in left]


def id_of(address: str) -> str:
    """The row's key."""
    return f"%suppressed|{hashlib.sha256(address.lower().encode()).hexdigest()}"
