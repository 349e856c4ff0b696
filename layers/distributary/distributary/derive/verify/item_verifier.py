"""Items and their rows: looked at, and looked at again before a difference counts."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.derive.delta import Key, RecordedContribution, Row
from distributary.derive.format import check_ledger_row
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.verify.expected_rows import ExpectedRows, Problem, problems, wants
from distributary.derive.view import View
from distributary.dynamodb import item_reader
from distributary.stream.canonical import digest
from distributary.stream.codec import Typed
from distributary.stream.keys import identity
from distributary.verify.recheck import recheck


@dataclass(frozen=True, slots=True)
class Subject:
    """An item to look at, and rows that seem to be its own, each with its view's name; `removed` if it is known that
    the application deleted it."""

    keys: Mapping[str, Typed]
    also: frozenset[tuple[str, Key]] = frozenset()
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one item in one view; `evidence` is a digest of all that it was judged by, empty if nothing
    is wrong."""

    subject: Subject
    want: ExpectedRows
    problems: tuple[Problem, ...]
    evidence: str
    ledger: Row
    derived: Mapping[Key, Row]

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
    seconds."""

    source: str
    views: tuple[View, ...]
    tables: LedgerTables
    version: int
    pause: float = 10.0
    sleep: Callable[[float], None] = time.sleep

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
            wanted, rejected = wants(
                self.views, self.source, subject.keys, found.get(name), self.version, subject.removed
            )
            result.rejected |= {(view, name): reason for view, reason in rejected}
            tasks += [(subject, found.get(name), want) for want in wanted]
        ledger = self._ledger([want.id for _, _, want in tasks if want.id], deadline)
        keys = [_keys(subject, want, ledger.get(want.id or "", {})) for subject, _, want in tasks]
        rows = self.tables.derived_rows(list({key for each in keys for key in each}), deadline)
        for (subject, item, want), each in zip(tasks, keys, strict=True):
            entry, derived = ledger.get(want.id or "", {}), {key: rows[key] for key in each}
            wrong = problems(want, entry, derived, self.tables.now())
            evidence = digest(item, entry, sorted(derived.items())) if wrong else ""
            result.findings.append(Finding(subject, want, wrong, evidence, entry, derived))
        return result

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
        return item_reader.items(self.tables.client, self.source, keys, deadline)

    def _ledger(self, ids: Sequence[str], deadline: Deadline) -> dict[str, Row]:
        rows = self.tables.ledger_rows(list(dict.fromkeys(ids)), deadline)
        return {id: check_ledger_row(row) for id, row in rows.items()}


def merged(findings: Iterable[Finding]) -> list[Subject]:
    """One subject an item, with all rows that were found to be its own, each by itself."""
    by_item: dict[str, Subject] = {}
    for each in findings:
        name = identity(each.subject.keys)
        also = by_item[name].also if name in by_item else frozenset()
        by_item[name] = Subject(each.subject.keys, also | each.subject.also)
    return list(by_item.values())


def _keys(subject: Subject, want: ExpectedRows, ledger: Row) -> list[Key]:
    """All rows that may be the item's in this view."""
    own = {(want.write.key["pk"]["S"], want.write.key["sk"]["S"])} if want.write else set()
    also = {key for view, key in subject.also if view == want.view.name}
    return sorted({*own, *want.rows, *want.values, *RecordedContribution.read(ledger).rows, *also})
