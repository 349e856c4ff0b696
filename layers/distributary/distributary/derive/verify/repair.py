"""Wrong rows corrected, each on condition that it is as it was looked at: what the stream writes meanwhile wins.

- Register: a row that is stale or missing is put as the item makes it, a dead one is deleted, also one that is
  under another key of the item, as release 0.1 wrote it; see `Register.repair`.
- Ledger, an item: what it contributes instead of what its ledger row says, and its rows, in one transaction, on
  condition that the ledger row is as looked at. The version stays, so that any newer change wins, and gets a revision,
  so that every other writer sees that the row was written.
- A group whose members agree with the ledger: its row as the ledger adds up, on condition of its revision, which did
  not change while the ledger was scanned. A missing row has no revision: what is put there is looked at again, and
  repaired by its revision if the group had only come and gone.

A Register row or a ledger row that was lost took its version along: a change that is older than the repair, redriven
after it, wins until a newer one comes. A group whose members disagree with the ledger is built anew: `incarnation.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.outcome import APPLIED, SUPERSEDED, Outcome
from distributary.derive.branch import row_id
from distributary.derive.delta import (
    Delta,
    Entry,
    GroupDelta,
    RecordedContribution,
    Row,
    difference,
    member_key,
    typed_key,
)
from distributary.derive.format import marked
from distributary.derive.groups import REVISION
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.transaction_queue import TransactionQueue
from distributary.derive.transactions import PendingEntry, still_open
from distributary.derive.verify.expected_rows import row_key
from distributary.derive.verify.group_diff import GroupFinding, group_row
from distributary.derive.verify.item_verifier import Finding
from distributary.derive.verify.join_repair import JoinRepair
from distributary.derive.view import expiry_of
from distributary.dynamodb.requests import Operation, conditional_write
from distributary.dynamodb.versioned_table import Register, Write
from distributary.errors import Rejected, Unavailable
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.struct import replace


@dataclass(frozen=True, slots=True)
class Repair:
    """Writes through the primitives that the branch writes through."""

    tables: LedgerTables
    register: Register

    def tombstones(self, findings: Iterable[Finding]) -> dict[str, str]:
        """Of the Register's rows, by `Write.id`. Read them before the look that the repair goes by. Raises
        Unavailable."""
        ids = {write.id for each in findings for write, _, _ in _writes(each)}
        return self.register.tombstones.find(sorted(ids), FOREVER) if ids else {}

    def item(
        self, finding: Finding, tombstones: Mapping[str, str], at_least: int = 0, deadline: Deadline = FOREVER
    ) -> Outcome:
        """Applied if something was written; Superseded if it was overtaken, which another look will show; Parked for a
        row that the table refuses; Failed. `at_least`: see `Register.repair`."""
        if (joined := finding.want.joined) is not None:
            return JoinRepair(self.tables).item(joined, finding.derived, finding.want.rows, at_least, deadline)
        if finding.want.write is None:
            if finding.want.outlives is not None:
                return self._kept(finding, finding.want.outlives, at_least)
            return self._contribution(finding, at_least, deadline)
        try:
            done = [
                self.register.repair(write, seen, tombstones.get(write.id, ""), max(at_least, newest))
                for write, seen, newest in _writes(finding)
            ]
        except (Rejected, Unavailable) as error:
            return outcomes.of(error)
        return APPLIED if any(done) else SUPERSEDED

    def group(self, finding: GroupFinding) -> bool:
        """Whether the group's row was written; members that disagree are left alone, and so is a dead row that is no
        group's."""
        if needs_building(finding):
            return False
        due = group_row(finding.view, finding.key, finding.row, finding.sums, finding.members)
        seen = _as_seen(finding.row, REVISION)
        if due is not None:
            item = {**due, REVISION: {"S": self.tables.revision()}}
            return self._conditionally(self.tables.client.put_item, "row PutItem", Item=item, **seen)
        if REVISION not in finding.row:
            return False
        return self._conditionally(self.tables.client.delete_item, "row DeleteItem", Key=typed_key(finding.key), **seen)

    def _contribution(self, finding: Finding, at_least: int, deadline: Deadline) -> Outcome:
        entry = finding.want.entry
        if entry is None:
            return SUPERSEDED
        read = finding.ledger["version"]["S"] if finding.ledger else None
        version = max(versions.from_text(read) if read else entry.version, at_least)
        kept = replace(entry, version=version, revision=self.tables.revision())
        recorded = RecordedContribution.read(finding.ledger)
        kept, counted = still_open(kept, recorded, self.tables.now())
        delta = _repair_delta(difference(counted, kept.contribution), recorded, kept, finding)
        return TransactionQueue(self.tables, deadline).run([[PendingEntry(kept, read, delta, recorded)]])[kept.id]

    def _kept(self, finding: Finding, mark: str, at_least: int) -> Outcome:
        """What the ledger says stays, with a mark."""
        read = finding.ledger["version"]
        version = versions.to_text(max(versions.from_text(read["S"]), at_least), self.tables.revision())
        try:
            done = conditional_write(
                self.tables.client.put_item,
                "ledger PutItem",
                TableName=self.tables.ledger,
                Item={**finding.ledger, **marked(mark), "version": {"S": version}},
                ConditionExpression="#v = :read",
                ExpressionAttributeNames={"#v": "version"},
                ExpressionAttributeValues={":read": read},
            )
        except (Rejected, Unavailable) as error:
            return outcomes.of(error)
        return APPLIED if done.held else SUPERSEDED

    def _conditionally(self, operation: Operation, what: str, **arguments: Any) -> bool:
        return conditional_write(operation, what, TableName=self.tables.derived, **arguments).held


def needs_building(finding: GroupFinding) -> bool:
    """Whether no write of the group's row alone corrects it: its members disagree, or an incarnation is unfinished."""
    return any(each.kind == "unfinished" or each.where.startswith("members ") for each in finding.problems)


def _writes(finding: Finding) -> list[tuple[Write, Row, int]]:
    """What a versioned row should be, and the rows that the item has under other keys, gone; each with the row as it
    was looked at, and the version that it has at least. The row keeps the newest version of all: a change that is older
    than a row that moved stays older."""
    write = finding.want.write
    if write is None:
        return []
    own = row_key(write)
    if finding.want.outlives is not None:
        row = {name: typed for name, typed in finding.derived[own].items() if name != REPLICA_VERSION}
        marked_write = replace(write, row=row, expires_at=expiry_of(row), mark=finding.want.outlives)
        return [(marked_write, finding.derived[own], 0)]
    others = [(key, row) for key, row in finding.derived.items() if row and key != own]
    kept = [row[REPLICA_VERSION]["S"] for _, row in others if REPLICA_VERSION in row]
    newest = max(map(versions.from_text, kept), default=0)
    dead = [
        (Write(row_id(finding.want.view, *key), typed_key(key), None, write.version), row, 0) for key, row in others
    ]
    return [(write, finding.derived[own], newest), *dead]


def _repair_delta(delta: Delta, recorded: RecordedContribution, entry: Entry, finding: Finding) -> Delta:
    """The difference, and every row that is not as the ledger says."""
    want, rows = finding.want, finding.derived
    groups: dict[Any, GroupDelta] = dict(delta.groups)
    for key, share in entry.contribution.shares.items():
        shown = {name: (0, value) for name, value in share.members.items()}
        at, mark = want.view.name, recorded.marks.get(key, "")
        counted = {name: each for name, each in shown.items() if rows.get(member_key(at, key, name, mark))}
        if key not in groups and counted:
            groups[key] = GroupDelta({}, counted)
    dead = {key for key, row in rows.items() if row and key not in want.rows and key not in want.values}
    return Delta({**delta.puts, **want.rows}, delta.deletes | dead, groups)


def _as_seen(row: Row, attribute: str) -> Mapping[str, Any]:
    if not row:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    if attribute not in row:
        return {
            "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(#a)",
            "ExpressionAttributeNames": {"#a": attribute},
        }
    return {
        "ConditionExpression": "#a = :seen",
        "ExpressionAttributeNames": {"#a": attribute},
        "ExpressionAttributeValues": {":seen": row[attribute]},
    }
