"""Groups looked at again: their rows, members and ledger sums, all at one moment of the group's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from distributary.consumer.deadline import FOREVER
from distributary.consumer.parallel import Parallel
from distributary.derive.delta import Key, RecordedContribution, Row
from distributary.derive.format import check_derived_row, check_ledger_row, entry_name
from distributary.derive.groups import REVISION, Group
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.verify.group_diff import GroupFinding, Members, Sums, edges_of, group_problems, partitions
from distributary.derive.view import View
from distributary.dynamodb import table_reader


@dataclass(frozen=True, slots=True)
class Scan:
    """A segmented scan, its pages handed to `take` from several threads."""

    tables: LedgerTables
    parallel: Parallel
    segments: int

    def each_page(self, table: str, take: Callable[[list[Row]], None]) -> None:
        """Raises the first segment's error."""

        def segment(number: int) -> None:
            for page in table_reader.pages(self.tables.client, table, number, self.segments):
                take(page)

        for end in self.parallel.run(segment, range(self.segments), FOREVER):
            if isinstance(end, Exception):
                raise end


def look_at_groups(scan: Scan, suspects: Sequence[tuple[View, Key]]) -> tuple[list[GroupFinding], list[GroupFinding]]:
    """Those that are wrong, and those that changed meanwhile, which may be either. One scan of the ledger."""
    tables, keys = scan.tables, [key for _, key in suspects]
    before = tables.derived_rows(keys, FOREVER)
    members: dict[str, Members] = {}
    for view, key in suspects:
        for of, at in partitions(view, key, Group(before[key]).incarnation).items():
            members[at] = Members(edges_of(view, of))
            for row in table_reader.partition(tables.client, tables.derived, at):
                members[at].count(check_derived_row(row))
    sums = ledger_sums(scan, {(view.name, key) for view, key in suspects})
    after = tables.derived_rows(keys, FOREVER)
    wrong: list[GroupFinding] = []
    moving: list[GroupFinding] = []
    for view, key in suspects:
        found = group_problems(view, key, after[key], sums, members)
        finding = GroupFinding(view, key, after[key], sums, members, found)
        if before[key].get(REVISION) != after[key].get(REVISION):
            moving.append(finding)
        elif found:
            wrong.append(finding)
    return wrong, moving


def ledger_sums(scan: Scan, only: set[tuple[str, Key]]) -> Sums:
    """Of some groups."""
    sums, lock = Sums(), Lock()

    def take(page: list[Row]) -> None:
        for row in page:
            view, recorded = entry_name(row).partition("|")[0], RecordedContribution.read(check_ledger_row(row))
            shares = {key: share for key, share in recorded.shares.items() if (view, key) in only}
            with lock:
                sums.count(view, RecordedContribution(shares=shares))

    scan.each_page(scan.tables.ledger, take)
    return sums
