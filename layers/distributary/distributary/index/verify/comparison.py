"""One look at some documents and their items: what is wrong with each, and by what evidence."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distributary.dynamodb import item_reader
from distributary.dynamodb.requests import Item
from distributary.errors import Rejected
from distributary.index.opensearch.reader import Document, find
from distributary.index.opensearch.target import Declared, Intended, is_marker, marker
from distributary.stream.canonical import digest
from distributary.stream.keys import identity


@dataclass(frozen=True, slots=True)
class Subject:
    """A document to look at, and the key of its item; None if its id does not tell, and a scan did not find one."""

    id: str
    routing: str | None
    keys: Item | None


@dataclass(frozen=True, slots=True)
class Finding:
    """`version` is the standing document's, 0 if there is none; `due` what should stand there; `evidence` a digest of
    all that was looked at."""

    subject: Subject
    kind: str
    version: int
    due: Intended
    evidence: str


@dataclass(slots=True)
class Comparison:
    """`refused`: items that the index's declaration rejects, by identity or, where a document was looked at, by id."""

    findings: list[Finding] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Comparator:
    """Reads a document first and its item after it: so the item is at least as new as the document's version. Where an
    ingest pipeline makes the document, its content is the pipeline's to say: only its being there is compared."""

    declared: Declared
    search: Any
    dynamodb: Any
    table: str
    keys: tuple[str, ...]
    now: Callable[[], float] = time.time

    def items(self, scanned: Sequence[Item]) -> Comparison:
        """What a page of the table makes, against what is there. The documents are read last: this only suspects."""
        look, due = Comparison(), []
        for item in scanned:
            keys = {name: item[name] for name in self.keys}
            try:
                intended = self._due(item)
            except Rejected as error:
                look.refused.append((identity(keys), str(error)))
                continue
            if intended is not None:
                due.append((Subject(intended.id, intended.routing, keys), intended, item))
        standing = find(self.search, self.declared.physical, [(each.id, each.routing) for each, _, _ in due])
        for subject, intended, item in due:
            self._hold(subject, standing.get(subject.id), intended, item, look)
        return look

    def explained(self, scanned: Sequence[Item]) -> set[str]:
        """The ids of the documents that a page of the table makes, or made before its items were refused."""
        found: set[str] = set()
        for item in scanned:
            try:
                due = self._due(item)
            except Rejected:
                found |= self.declared.ids({name: item[name] for name in self.keys})
                continue
            found |= {due.id} if due is not None else set()
        return found

    def ownerless(self, documents: Sequence[Document]) -> tuple[list[Subject], list[Subject]]:
        """Of visible documents, those whose items do not make them, and those whose ids do not tell their items."""
        subjects = [Subject(each.id, each.routing, self.declared.keys_of(each.id)) for each in documents]
        owned = [each for each in subjects if each.keys is not None]
        items = self._items(owned)
        dead = [each for each in owned if not self._made(each, items)]
        return dead, [each for each in subjects if each.keys is None]

    def documents(self, subjects: Sequence[Subject]) -> Comparison:
        """Documents, and then their items."""
        standing = find(self.search, self.declared.physical, [(each.id, each.routing) for each in subjects])
        items, look = self._items(subjects), Comparison()
        for subject in subjects:
            item = items.get(identity(subject.keys)) if subject.keys is not None else None
            try:
                due = self._due(item) if item is not None else None
            except Rejected as error:
                look.refused.append((subject.id, str(error)))
                continue
            due = due if due is not None and due.id == subject.id else None
            self._hold(subject, standing.get(subject.id), due, item, look)
        return look

    def _items(self, subjects: Sequence[Subject]) -> Mapping[str, Item]:
        keys = [each.keys for each in subjects if each.keys is not None]
        return item_reader.items(self.dynamodb, self.table, keys)

    def _made(self, subject: Subject, items: Mapping[str, Item]) -> bool:
        """Whether its item makes a document under its id. An item that is refused is named where it is scanned."""
        item = items.get(identity(subject.keys or {}))
        try:
            due = self._due(item) if item is not None else None
        except Rejected:
            return True
        return due is not None and due.id == subject.id

    def _due(self, item: Item) -> Intended | None:
        return self.declared.intended(item_reader.change(item, self.keys, self.declared.generation, self.now()))

    def _hold(
        self, subject: Subject, stands: Document | None, due: Intended | None, item: Item | None, look: Comparison
    ) -> None:
        shown = stands.body if stands is not None and not is_marker(stands.body) else None
        if shown == (due.body if due is not None else None):
            return
        if shown is not None and due is not None and due.pipeline is not None:
            return
        kind = "missing" if shown is None else "dead" if due is None else "different"
        version = stands.version if stands is not None else 0
        evidence = digest(version, stands.body if stands else None, item)
        due = due or marker(subject.id, subject.routing, self.now())
        look.findings.append(Finding(subject, kind, version, due, evidence))
