"""The ledger's and the derived table's rows: read, and made."""

import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from distributary.consumer.backoff import FIRST_SECONDS, LONGEST_SECONDS, backoff
from distributary.consumer.deadline import Deadline
from distributary.derive.delta import Entry, Key, RecordedContribution, Row, typed_key
from distributary.derive.format import UNFINISHED, WRITTEN, check_derived_row, marked, named
from distributary.dynamodb import table_reader
from distributary.dynamodb.requests import batch_get
from distributary.stream import version as versions
from distributary.stream.codec import Typed

MOST_AHEAD = 16
"""So many writers of one row at once find their turn in the longest pause."""


@dataclass(frozen=True, slots=True)
class LedgerTables:
    """`ledger` has `id` (S), `name` (S, what the id is a digest of, if it is one), `version` (S, see
    `version.to_text`), `format` (N), what was contributed, `unfinished` (BOOL) if that is only a part of what the
    version contributes, in a view that keeps what TTL takes `kept` (BOOL, whether TTL took the item), and `expires_at`
    (N, epoch seconds, the table's TTL attribute) on the rows of items that contribute nothing any more, or only to
    groups that expire; `derived` has `pk` and `sk` (S)."""

    client: Any
    ledger: str
    derived: str
    days: int
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[float, float], float] = random.uniform
    revision: Callable[[], str] = lambda: uuid.uuid4().hex

    def ledger_rows(self, ids: Sequence[str], deadline: Deadline) -> dict[str, Row]:
        """Ledger rows by id, those that exist. Raises Unavailable."""
        return {row["id"]["S"]: row for row in self._get(self.ledger, [{"id": {"S": id}} for id in ids], deadline)}

    def derived_rows(self, keys: Sequence[Key], deadline: Deadline) -> dict[Key, Row]:
        """Derived rows by key, empty where there is none. Raises Unavailable, and ConfigError for a row of a later
        release."""
        found: dict[Key, Row] = {key: {} for key in keys}
        wanted = [typed_key(key) for key in keys]
        for row in self._get(self.derived, wanted, deadline):
            found[row["pk"]["S"], row["sk"]["S"]] = check_derived_row(row)
        return found

    def members(self, partition: str, many: int, from_last: bool) -> list[tuple[str, Typed]]:
        """Place and value of members of a set, from its first or last on, consistent. Raises as `derived_rows`."""
        rows = islice(table_reader.partition(self.client, self.derived, partition, many, from_last), many)
        return [(row["sk"]["S"], row["value"]) for row in map(check_derived_row, rows)]

    def row(self, entry: Entry, marks: Mapping[Key, str]) -> dict[str, Typed]:
        """The ledger row that an entry leaves behind: a tombstone if it contributes nothing. `marks`: by group, the
        incarnation that counts it."""
        row: dict[str, Typed] = {
            "id": {"S": entry.id},
            "version": {"S": versions.to_text(entry.version, entry.revision)},
            **named(entry.id, entry.name),
            **WRITTEN,
        }
        recorded = RecordedContribution.of(entry.contribution, marks)
        if entry.rest is not None:
            return row | recorded.beside(entry.rest).written() | marked(entry.mark) | UNFINISHED
        whole = recorded if entry.closed is None else recorded.beside(entry.closed)
        row |= whole.written()
        if whole != RecordedContribution():
            row |= marked(entry.mark)
        ends = [entry.shape.until(key) for key in whole.shares] if entry.shape.until is not None else []
        if whole == RecordedContribution() or (ends and None not in ends):
            last = max([int(self.now()), *(end for end in ends if end is not None)])
            row["expires_at"] = {"N": str(last + self.days * 86_400)}
        return row

    def pause(self, tries: int, deadline: Deadline, seconds: float = 0.0) -> None:
        """See `backoff`. An attempt took so many `seconds`: who waits for less than that meets the same one again."""
        first, longest = max(FIRST_SECONDS, seconds), max(LONGEST_SECONDS, MOST_AHEAD * seconds)
        backoff(deadline, tries, first, longest, sleep=self.sleep, jitter=self.jitter)

    def _get(self, table: str, keys: Sequence[Row], deadline: Deadline) -> list[Row]:
        what = "ledger BatchGetItem"
        return batch_get(self.client, table, keys, deadline, what, sleep=self.sleep, jitter=self.jitter)
