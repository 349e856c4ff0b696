"""Items and their rows: looked at, and looked at again before a difference counts."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.reconcile import Reconcile
from distributary.derive.delta import Key, RecordedContribution, Row
from distributary.derive.format import check_ledger_row, mark_of
from distributary.derive.join_view import joins_of
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.verify.expected_rows import ExpectedRows, Problem, problems, row_key, wants
from distributary.derive.verify.joined import JoinComparator
from distributary.derive.view import View
from distributary.dynamodb import item_reader
from distributary.dynamodb.read_budget import Metered, Pace
from distributary.dynamodb.requests import BatchReader
from distributary.stream import version as versions
from distributary.stream.canonical import digest
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.codec import Typed
from distributary.stream.keys import identity
from distributary.verify.recheck import recheck


@dataclass(frozen=True, slots=True)
class Subject:
    """An item to look at, and rows that seem to be its own, each with its view's name; `asked`: what is known of its
    changes, None in a verification."""

    keys: Mapping[str, Typed]
    also: frozenset[tuple[str, Key]] = frozenset()
    asked: Reconcile | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one item in one view; `evidence` is a digest of all that it was judged by, empty if nothing
    is wrong. `gone`: there is no item."""

    subject: Subject
    want: ExpectedRows
    problems: tuple[Problem, ...]
    evidence: str
    ledger: Row
    derived: Mapping[Key, Row]
    gone: bool = False

    @property
    def name(self) -> tuple[str, str]:
        """View and item."""
        return self.want.view.name, identity(self.subject.keys)


@dataclass(slots=True)
class Comparison:
    """What a look found; `rejected` by view and item, with the reason."""

    findings: list[Finding] = field(default_factory=list)
    rejected: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparator:
    """Looks at items of the table named `source`; `version` is what a snapshot of the generation carries, `pause` in
    seconds; `pace`: of reads by key of the source, without a limit if None."""

    source: str
    views: tuple[View, ...]
    tables: LedgerTables
    version: int
    pause: float = 10.0
    sleep: Callable[[float], None] = time.sleep
    pace: Pace | None = None

    def look(self, subjects: Sequence[Subject], known: Mapping[str, Row] | None = None) -> Comparison:
        """What differs, as `compare` finds it."""
        compared = self.compare(subjects, known)
        return Comparison([each for each in compared.findings if each.problems], compared.rejected)

    def compare(
        self, subjects: Sequence[Subject], known: Mapping[str, Row] | None = None, deadline: Deadline = FOREVER
    ) -> Comparison:
        """A finding for each item in each view, without problems where they are equal; `known` are the items as just
        scanned, by identity, read if not given. Raises Unavailable."""
        found = known if known is not None else self.source_items(subjects, deadline)
        result = Comparison()
        tasks: list[tuple[Subject, Row | None, ExpectedRows]] = []
        for subject in subjects:
            name = identity(subject.keys)
            wanted, rejected = wants(self.views, self.source, subject.keys, found.get(name), self.version)
            result.rejected |= {(view, name): reason for view, reason in rejected}
            tasks += [(subject, found.get(name), want) for want in wanted]
        ledger = self._ledger([want.id for _, _, want in tasks if want.id], deadline)
        marks = {id: RecordedContribution.read(row).marks for id, row in ledger.items()}
        tasks = [(subject, item, want.counted_in(marks.get(want.id or "", {}))) for subject, item, want in tasks]
        keys = [_keys(subject, want, ledger.get(want.id or "", {})) for subject, _, want in tasks]
        rows = self.tables.derived_rows(list({key for each in keys for key in each}), deadline)
        for (subject, item, want), each in zip(tasks, keys, strict=True):
            entry, derived = ledger.get(want.id or "", {}), {key: rows[key] for key in each}
            if item is None:
                want = replace(want, outlives=outliving(subject, want, entry, derived))
            wrong = problems(want, entry, derived, self.tables.now()) if want.outlives is None else ()
            evidence = digest(item, entry, sorted(derived.items())) if wrong else ""
            result.findings.append(Finding(subject, want, wrong, evidence, entry, derived, item is None))
        self._joined(subjects, found, result, deadline)
        return result

    def _joined(
        self, subjects: Sequence[Subject], items: Mapping[str, Row], result: Comparison, deadline: Deadline
    ) -> None:
        if not (joins := joins_of(self.views)):
            return
        comparator = JoinComparator(self.source, joins, self.tables, self.version, self._reader(deadline))
        named = {identity(subject.keys): subject for subject in subjects}
        compared, rejected = comparator.compare([(each.keys, each.also) for each in subjects], items, deadline)
        result.rejected |= rejected
        for each in compared:
            name = identity(each.item.keys)
            item, want = items.get(name), ExpectedRows(each.item.join.view, each.rows, joined=each.item)
            judged = (item, each.ledger, sorted(each.derived.items()), sorted(each.rows.items()))
            evidence = digest(*judged) if each.problems else ""
            result.findings.append(
                Finding(named[name], want, each.problems, evidence, each.ledger, each.derived, item is None)
            )

    def settle(self, suspects: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
        """Those that are confirmed, and those that keep moving; those that the stream has corrected are neither."""
        before = {each.name: each for each in suspects}
        if len(before) < len(suspects):
            before = {each.name: each for each in self.look(merged(suspects)).findings}
        confirmed: list[Finding] = []
        moving = recheck(
            before,
            lambda found: {each.name: each for each in self.look(merged(found)).findings},
            lambda: self.sleep(self.pause),
            confirmed.extend,
        )
        return confirmed, moving

    def source_items(self, subjects: Sequence[Subject], deadline: Deadline = FOREVER) -> dict[str, Row]:
        """By identity, those that exist."""
        keys = [dict(subject.keys) for subject in subjects]
        return item_reader.items(self._reader(deadline), self.source, keys, deadline)

    def _reader(self, deadline: Deadline) -> BatchReader:
        return self.tables.client if self.pace is None else Metered(self.tables.client, self.pace, deadline)

    def _ledger(self, ids: Sequence[str], deadline: Deadline) -> dict[str, Row]:
        rows = self.tables.ledger_rows(list(dict.fromkeys(ids)), deadline)
        return {id: check_ledger_row(row) for id, row in rows.items()}


def outliving(subject: Subject, want: ExpectedRows, entry: Row, derived: Mapping[Key, Row]) -> str | None:
    """The mark of what outlives the item, which is gone; None if nothing does."""
    if not want.view.keeps_expired:
        return None
    asked = subject.asked or Reconcile(subject.keys)
    if want.write is None:
        recorded = RecordedContribution.read(entry) != RecordedContribution()
        return asked.outliving(versions.from_text(entry["version"]["S"]), mark_of(entry)) if recorded else None
    text = derived[row_key(want.write)].get(REPLICA_VERSION, {}).get("S", "")
    version = versions.version_in(text)
    return None if version is None else asked.outliving(version, versions.mark_in(text))


def merged(findings: Iterable[Finding]) -> list[Subject]:
    """One subject an item, with all rows that were found to be its own, each by itself."""
    return merged_subjects(each.subject for each in findings)


def merged_subjects(subjects: Iterable[Subject]) -> list[Subject]:
    """One an item, with the rows of all."""
    by_item: dict[str, Subject] = {}
    for each in subjects:
        name = identity(each.keys)
        also = by_item[name].also if name in by_item else frozenset()
        by_item[name] = Subject(each.keys, also | each.also)
    return list(by_item.values())


def _keys(subject: Subject, want: ExpectedRows, ledger: Row) -> list[Key]:
    """All rows that may be the item's in this view."""
    own = {row_key(want.write)} if want.write else set()
    also = {key for view, key in subject.also if view == want.view.name}
    return sorted({*own, *want.rows, *want.values, *RecordedContribution.read(ledger).rows, *also})
