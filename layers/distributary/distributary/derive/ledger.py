"""Views whose rows move, multiply or add up: what each item contributed is remembered, and replaced exactly once.

A row per view and item holds the version last applied and what the item contributed. A change is applied as the
contribution of its new image minus what the ledger remembers, in one transaction with the ledger's row, on condition
that this is as it was read. So neither order nor repetition matters: the second of two writers finds the newer version
and does nothing.

Group rows are read, added to here, and written on condition that their revision is as read; not with DynamoDB's ADD:
- exact to 38 digits whatever the endpoint does, and an overflow is known before the write, and whose it is;
- an empty group's row is removed, and minimum, maximum, distinct count and latest need the group's rows anyway;
- in a transaction ADD is no better under contention: two transactions on one row conflict either way.
It costs one BatchGetItem per transaction, none for a group that the transaction before has just written. A hot group
is written once per transaction of up to 99 items; where many shards write one group at once, give the view `shards=N`.

Ledger rows live in a table of their own: derived tables hold nothing that a reader did not ask for, and the ledger's
key (`id`), TTL and permissions are its own.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import IGNORED, SUPERSEDED, TIED, Outcome, Status
from distributary.consumer.parallel import Parallel
from distributary.derive.delta import Entry, RecordedContribution, Row
from distributary.derive.format import check_ledger_row
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.transaction_queue import TransactionQueue
from distributary.derive.transactions import PendingEntry, end_of_overtaken, lanes, overtaken
from distributary.dynamodb.requests import BATCH_GET_KEYS
from distributary.errors import ConfigError, DistributaryError
from distributary.stream import version as versions
from distributary.stream.struct import Struct


class Ledger(Struct, frozen=True):
    """Costs per item: 2 write units for its ledger row, 2 for each derived row that differs, 2 for each group and
    member row of the transaction, whatever the number of items that share it; 1 read unit for each of them."""

    tables: LedgerTables
    parallel: Parallel

    def write(self, entries: Sequence[Entry], deadline: Deadline) -> list[Outcome]:
        """One outcome per entry, in order."""
        newest = _newest(entries)
        binding = {entry.id for entry in entries if not entry.if_present}
        many = Counter(entry.id for entry in entries)
        ends: dict[str, Outcome] = {}
        cases: list[PendingEntry] = []
        for entry, row in zip(newest, self._rows(newest, deadline), strict=True):
            if isinstance(row, DistributaryError):
                ends[entry.id] = outcomes.failed(row)
            elif overtaken(entry, row):
                ends[entry.id] = end_of_overtaken(entry, row, self.tables.now())
            elif entry.id not in binding and RecordedContribution.read(row) == RecordedContribution():
                ends[entry.id] = IGNORED
            else:
                cases.append(PendingEntry.of(entry, row, self.tables.now()))
        late = {case.entry.id for case in cases if case.is_late and case.entry.spare and many[case.entry.id] == 1}
        ends |= dict.fromkeys(late, IGNORED)
        cases = [case for case in cases if case.entry.id not in late]
        ends |= self._settle(lanes(cases), deadline)
        chosen = {entry.id: entry for entry in newest}
        return [_of_folded(ends[entry.id], entry, chosen[entry.id]) for entry in entries]

    def _settle(self, planned: Sequence[list[list[PendingEntry]]], deadline: Deadline) -> dict[str, Outcome]:
        ends: dict[str, Outcome] = {}
        done = self.parallel.run(lambda lane: TransactionQueue(self.tables, deadline).run(lane), planned, deadline)
        for lane, end in zip(planned, done, strict=True):
            if isinstance(end, DistributaryError):
                ends |= {case.entry.id: outcomes.failed(end) for transaction in lane for case in transaction}
            else:
                ends |= end
        return ends

    def _rows(self, entries: Sequence[Entry], deadline: Deadline) -> list[Row | DistributaryError]:
        chunks = [entries[at : at + BATCH_GET_KEYS] for at in range(0, len(entries), BATCH_GET_KEYS)]
        found = self.parallel.run(
            lambda chunk: self.tables.ledger_rows([each.id for each in chunk], deadline), chunks, deadline
        )
        rows: list[Row | DistributaryError] = []
        for chunk, answer in zip(chunks, found, strict=True):
            rows += [answer if isinstance(answer, DistributaryError) else _known(answer, each.id) for each in chunk]
        return rows


def _known(rows: Mapping[str, Row], id: str) -> Row | DistributaryError:
    """The row; the error for one that a later release wrote: its item fails alone."""
    try:
        return check_ledger_row(rows.get(id, {}))
    except ConfigError as error:
        return error


def _of_folded(end: Outcome, entry: Entry, newest: Entry) -> Outcome:
    """What becomes of an entry if the newest of its item ends so. If that failed, all of them come again: alone, an
    insert that is spare would be ignored, and the version of a delete before it never written."""
    if entry is newest or end.status is Status.FAILED:
        return end
    same_moment = entry.version == newest.version and versions.is_time(entry.version)
    alike = (entry.contribution, entry.mark) == (newest.contribution, newest.mark)
    return TIED if same_moment and not alike else SUPERSEDED


def _newest(entries: Sequence[Entry]) -> list[Entry]:
    best: dict[str, Entry] = {}
    for entry in entries:
        if entry.id not in best or entry.version > best[entry.id].version:
            best[entry.id] = entry
    return list(best.values())
