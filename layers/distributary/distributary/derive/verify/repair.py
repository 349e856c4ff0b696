"""Wrong rows set right, each on condition that it is as it was looked at: what the stream writes meanwhile wins.

- Register, a stale row: put again at the version that it has, on condition that it still has it. Any newer change wins.
- Register, a missing row: put as a snapshot, or at its tombstone's version if there is one, as any change is put.
- Register, a dead row: deleted as by a change just newer than the row, with a tombstone, so that nothing as old as the
  row comes back. An insert newer than the row wins over both.
- Ledger, an item: what it contributes instead of what its ledger row says, and its rows, in one transaction, on
  condition that the ledger row is as looked at in all its parts. The version stays, so that any newer change wins.
- A group whose members agree with the ledger: its row as the ledger adds up, on condition of its revision, which did
  not change while the ledger was scanned. A missing row has no revision: what is put there is looked at once more.

A Register row or a ledger row that was lost took its version along: a change that is older than the repair, redriven
after it, wins until a newer one comes. Members that disagree with the ledger are only reported: rebuild the view under
a new generation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import Status
from distributary.derive.delta import Delta, GroupDelta, Key, RecordedContribution, Row, difference, member_key
from distributary.derive.groups import REVISION
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.transaction_queue import TransactionQueue
from distributary.derive.transactions import PendingEntry
from distributary.derive.verify.group_diff import group_row
from distributary.derive.verify.item_verifier import Finding
from distributary.derive.verify.scan import GroupFinding
from distributary.dynamodb.requests import Operation, conditional_write
from distributary.dynamodb.versioned_table import Register, Write
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION


@dataclass(frozen=True, slots=True)
class Repair:
    """Writes through the primitives that the branch writes through."""

    books: LedgerTables
    register: Register

    def item(self, finding: Finding) -> bool:
        """Whether something was written; False if it was overtaken, which another look will tell."""
        if finding.want.write is not None:
            return self._row(finding.want.write, finding.derived)
        return self._contribution(finding)

    def group(self, finding: GroupFinding) -> bool:
        """Whether the group's row was written; members that disagree are left alone, and so is a dead row that is no
        group's."""
        if any(problem.where.startswith("members ") for problem in finding.problems):
            return False
        due = group_row(finding.view, finding.key, finding.sums, finding.members)
        seen = _as_seen(finding.row, REVISION)
        if due is not None:
            item = {**due, REVISION: {"S": self.books.revision()}}
            return self._conditionally(self.books.client.put_item, "row PutItem", Item=item, **seen)
        if REVISION not in finding.row:
            return False
        pk, sk = finding.key
        return self._conditionally(
            self.books.client.delete_item, "row DeleteItem", Key={"pk": {"S": pk}, "sk": {"S": sk}}, **seen
        )

    def _row(self, write: Write, derived: Mapping[Key, Row]) -> bool:
        row = derived[write.key["pk"]["S"], write.key["sk"]["S"]]
        version = row.get(REPLICA_VERSION)
        if write.row is not None and version is not None:
            item = {**write.row, REPLICA_VERSION: version}
            return self._conditionally(
                self.books.client.put_item, "row PutItem", Item=item, **_as_seen(row, REPLICA_VERSION)
            )
        if write.row is None and version is not None:
            task = replace(write, version=versions.from_text(version["S"]) + 1)
        elif write.row is not None:
            entombed = self.register.tombstones.find([write.id], FOREVER).get(write.id, 0)
            task = replace(write, version=max(write.version, entombed))
        else:
            task = write
        return self.register.write([task], FOREVER)[0].status is Status.APPLIED

    def _contribution(self, finding: Finding) -> bool:
        entry = finding.want.entry
        if entry is None:
            return False
        read = finding.ledger["version"]["S"] if finding.ledger else None
        kept = replace(entry, version=versions.from_text(read)) if read else entry
        delta = _mending(difference(RecordedContribution.read(finding.ledger), entry.contribution), finding)
        client = AsRead(self.books.client, self.books.ledger, finding.ledger)
        lane = TransactionQueue(replace(self.books, client=client), FOREVER)
        return lane.run([[PendingEntry(kept, read, delta)]])[kept.id].status is Status.APPLIED

    def _conditionally(self, operation: Operation, what: str, **arguments: Any) -> bool:
        return conditional_write(operation, what, TableName=self.books.derived, **arguments).held


@dataclass(frozen=True, slots=True)
class AsRead:
    """A client whose transactions also ask that the ledger row still says what it said: a version alone would let two
    repairs at once both add what is lacking."""

    client: Any
    ledger: str
    row: Row

    def __getattr__(self, operation: str) -> Any:
        return getattr(self.client, operation)

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]]) -> Any:
        """The same, with the stricter condition."""
        return self.client.transact_write_items(TransactItems=[self._strict(each) for each in TransactItems])

    def _strict(self, action: dict[str, Any]) -> dict[str, Any]:
        put = action.get("Put")
        if not put or put["TableName"] != self.ledger or not self.row:
            return action
        parts, values = [put["ConditionExpression"]], dict(put["ExpressionAttributeValues"])
        for name in ("rows", "shares"):
            parts.append(f"#{name} = :{name}" if name in self.row else f"attribute_not_exists(#{name})")
            values |= {f":{name}": self.row[name]} if name in self.row else {}
        names = {**put["ExpressionAttributeNames"], "#rows": "rows", "#shares": "shares"}
        condition = {"ConditionExpression": " AND ".join(parts), "ExpressionAttributeNames": names}
        return {"Put": {**put, **condition, "ExpressionAttributeValues": values}}


def _mending(delta: Delta, finding: Finding) -> Delta:
    """The difference, and whatever stands otherwise than the ledger says."""
    want, stand = finding.want, finding.derived
    groups: dict[Any, GroupDelta] = dict(delta.groups)
    if want.entry is not None:
        for key, share in want.entry.contribution.shares.items():
            shown = {name: (0, value) for name, value in share.members.items()}
            counted = {name: each for name, each in shown.items() if stand.get(member_key(want.view.name, key, name))}
            if key not in groups and counted:
                groups[key] = GroupDelta({}, counted)
    dead = {key for key, row in stand.items() if row and key not in want.rows and key not in want.values}
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
