"""What is stored of joins corrected, each on condition that it is as it was read.

A right item is stored anew under a revision of its version, and brought into all of its rows. A left item's ledger row,
row and subscription are written in one transaction, and then the right item is looked at again, as the stream's own
changes do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.outcome import APPLIED, SUPERSEDED, Outcome
from distributary.consumer.parallel import Parallel
from distributary.derive.delta import Key, Row
from distributary.derive.join_calls import JoinCalls, end_of
from distributary.derive.join_fan_out import fanned_out
from distributary.derive.join_left import LeftTask, repaired_left
from distributary.derive.join_right import repaired_right
from distributary.derive.join_rows import ALL_FANNED, RIGHT_ROW, RightRow
from distributary.derive.join_view import NO_KEY, JoinView, LeftChange, RightChange, RightContent, foreign_keys
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.verify.joined import JoinedItem, differs
from distributary.dynamodb.client import carry_out
from distributary.dynamodb.steps import Steps
from distributary.stream import version as versions
from distributary.stream.change import Image


@dataclass(frozen=True, slots=True)
class JoinRepair:
    """Writes what a finding says, through the calls that the branch writes through."""

    tables: LedgerTables

    def item(
        self,
        found: JoinedItem,
        derived: Mapping[Key, Row],
        wanted: Mapping[Key, Row],
        at_least: int,
        deadline: Deadline = FOREVER,
    ) -> Outcome:
        """Applied if something was written; Superseded if it was overtaken, which another look will show; Parked for a
        row that the table refuses; Failed. `at_least`: the greatest version of the changes that this stands for."""
        calls = JoinCalls(self.tables, deadline)
        dead = [key for key, row in derived.items() if row and key not in wanted and not _is_right(key)]
        steps = self._steps(calls, found, dead, at_least)
        (end,) = carry_out((self.tables.client,), [steps], Parallel(4), deadline)
        return end_of(end)

    def _steps(self, calls: JoinCalls, found: JoinedItem, dead: Sequence[Key], at_least: int) -> Steps[Outcome]:
        wrote = False
        if (right := found.right) is not None:
            change = RightChange(Image(found.keys), max(at_least, found.version), right.content)
            wrote = yield from self._right(calls, found.join, change, right.stored, right.content, at_least)
        left = found.left
        if left is not None and (left.content is not None or left.found.read is not None or dead or at_least):
            join = found.join
            if left.content is not None and left.content.foreign_key != NO_KEY and differs(left.beside, left.stored):
                keys = Image(foreign_keys(join, left.content.item))
                change = RightChange(keys, found.version, left.beside)
                yield from self._right(calls, join, change, left.stored, left.beside, 0)
            version = max(at_least, left.found.version if left.found.read else found.version)
            task = LeftTask(left.id, LeftChange(Image(found.keys), version, left.content, False), version, True, False)
            done = yield from repaired_left(calls, join, task, left.found, dead)
            wrote = wrote or done
        return APPLIED if wrote else SUPERSEDED

    def _right(
        self,
        calls: JoinCalls,
        join: JoinView,
        change: RightChange,
        stored: RightRow | None,
        content: RightContent | None,
        at_least: int,
    ) -> Steps[bool]:
        """A right item is stored anew, unless an earlier repair has done that and not ended."""
        text = versions.to_text(at_least)
        if not differs(content, stored) and (not at_least or (stored is not None and _done(stored, text))):
            return False
        row = stored
        if differs(content, stored) or stored is None or not _begun(stored, text):
            row = yield from repaired_right(calls, join, change, stored)
        if row is None:
            return False
        yield from fanned_out(calls, join, change, row, remembers=True)
        return True


def _begun(stored: RightRow, text: str) -> bool:
    return versions.REVISION_MARK in stored.since and stored.since >= text


def _done(stored: RightRow, text: str) -> bool:
    return stored.since >= text and stored.fanned == ALL_FANNED


def _is_right(key: Key) -> bool:
    return key[1] == RIGHT_ROW and key[0].startswith("%j")
