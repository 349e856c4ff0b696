"""The ledger's and the derived table's rows: read, and made."""

import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from distributary.consumer.aws import AwsError, classify
from distributary.consumer.deadline import Deadline
from distributary.derive.delta import Contribution, Entry, Key, RecordedContribution, Row
from distributary.errors import Unavailable
from distributary.stream import version as versions
from distributary.stream.codec import Typed

BATCH_GET_KEYS = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""


@dataclass(frozen=True, slots=True)
class LedgerTables:
    """`ledger` has `id` (S), `version` (S, 46 digits), what was contributed, and `expires_at` (N, epoch seconds, the
    table's TTL attribute) on the rows of items that contribute nothing any more; `derived` has `pk` and `sk` (S)."""

    client: Any
    ledger: str
    derived: str
    days: int
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[float, float], float] = random.uniform
    revision: Callable[[], str] = lambda: uuid.uuid4().hex

    def ledger_rows(self, ids: Sequence[str], deadline: Deadline) -> dict[str, Row]:
        """Ledger rows by id, those that exist; at most 100. Raises Unavailable."""
        return {row["id"]["S"]: row for row in self._get(self.ledger, [{"id": {"S": id}} for id in ids], deadline)}

    def derived_rows(self, keys: Sequence[Key], deadline: Deadline) -> dict[Key, Row]:
        """Derived rows by key, empty where there is none. Raises Unavailable."""
        found: dict[Key, Row] = {key: {} for key in keys}
        for at in range(0, len(keys), BATCH_GET_KEYS):
            wanted = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys[at : at + BATCH_GET_KEYS]]
            for row in self._get(self.derived, wanted, deadline):
                found[row["pk"]["S"], row["sk"]["S"]] = row
        return found

    def members(self, partition: str, many: int, from_last: bool) -> list[tuple[str, Typed]]:
        """Place and value of members of a set, from its first or last on, consistent. Raises Unavailable."""
        try:
            answer = self.client.query(
                TableName=self.derived,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": partition}},
                ScanIndexForward=not from_last,
                Limit=many,
                ConsistentRead=True,
            )
        except AwsError as error:
            raise Unavailable(str(classify(error, "member Query")), str(error)) from error
        return [(row["sk"]["S"], row["value"]) for row in answer["Items"]]

    def row(self, entry: Entry) -> dict[str, Typed]:
        """The ledger row that an entry leaves behind: a tombstone if it contributes nothing."""
        row: dict[str, Typed] = {"id": {"S": entry.id}, "version": {"S": versions.to_text(entry.version)}}
        row |= RecordedContribution.of(entry.contribution).written()
        if entry.contribution == Contribution():
            row["expires_at"] = {"N": str(int(self.now()) + self.days * 86_400)}
        return row

    def pause(self, tries: int, deadline: Deadline) -> None:
        """Full jitter: anything up to 50 ms doubled at each try, 2 s at most.
        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/"""
        self.sleep(min(self.jitter(0, min(2.0, 0.05 * 2**tries)), deadline.left()))

    def _get(self, table: str, keys: Sequence[Row], deadline: Deadline) -> list[Row]:
        found: list[Row] = []
        wanted, tries = list(keys), 0
        while wanted:
            deadline.check()
            try:
                answer = self.client.batch_get_item(RequestItems={table: {"Keys": wanted, "ConsistentRead": True}})
            except AwsError as error:
                raise Unavailable(str(classify(error, "ledger BatchGetItem")), str(error)) from error
            found += next(iter(answer["Responses"].values()), [])
            wanted = next(iter(answer.get("UnprocessedKeys", {}).values()), {"Keys": []})["Keys"]
            if wanted:
                tries += 1
                self.pause(tries, deadline)
        return found
