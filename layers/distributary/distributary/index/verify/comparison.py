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
    """A document to look at, and the key of its item; None if its id does not name it, and no scan has found it."""

    id: str
    routing: str | None
    keys: Item | None


@dataclass(frozen=True, slots=True)
class Finding:
    """`version` is that of the document that exists, 0 if there is none; `due` is what should exist;
    `evidence` is a digest of all that was looked at."""

    subject: Subject
    kind: str
    version: int
    due: Intended
    evidence: str


@dataclass(slots=True)
class Comparison:
    """`refused`: the keys of items that the index's declaration rejects, and why."""

    findings: list[Finding] = field(default_factory=list)
    refused: list[tuple[Item, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Comparator:
    """Reads a document first and its item after it: so the item is at least as new as the document's version. Where an
    ingest pipeline makes the document, its content is not compared: only whether it exists."""

    declared: Declared
    search: Any
    dynamodb: Any
    table: str
    keys: tuple[str, ...]
    now: Callable[[], float] = time.time

    def items(self, scanned: Sequence[Item]) -> Comparison:
        """The documents that a page of the table makes, compared with those that exist. Documents are read last here,
        so a difference is only a suspicion."""
        look, due = Comparison(), []
        for item in scanned:
            keys = {name: item[name] for name in self.keys}
            try:
                intended = self._due(item)
            except Rejected as error:
                look.refused.append((keys, str(error)))
                continue
            if intended is not None:
                due.append((Subject(intended.id, intended.routing, keys), intended, item))
        found = find(self.search, self.declared.physical, [(each.id, each.routing) for each, _, _ in due])
        for subject, intended, item in due:
            self._compare(subject, found.get(subject.id), intended, item, look)
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
        """Of visible documents, those whose items do not make them, and those whose ids do not name their items."""
        subjects = [Subject(each.id, each.routing, self.declared.keys_of(each.id)) for each in documents]
        owned = [each for each in subjects if each.keys is not None]
        items = self._items(owned)
        dead = [each for each in owned if not self._made(each, items)]
        return dead, [each for each in subjects if each.keys is None]

    def documents(self, subjects: Sequence[Subject]) -> Comparison:
        """Documents, and then their items. An item that is refused is named where it is scanned."""
        found = find(self.search, self.declared.physical, [(each.id, each.routing) for each in subjects])
        items, look = self._items(subjects), Comparison()
        for subject in subjects:
            item = items.get(identity(subject.keys)) if subject.keys is not None else None
            try:
                due = self._due(item) if item is not None else None
            except Rejected:
                continue
            due = due if due is not None and due.id == subject.id else None
            self._compare(subject, found.get(subject.id), due, item, look)
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

    def _compare(
        self, subject: Subject, document: Document | None, due: Intended | None, item: Item | None, look: Comparison
    ) -> None:
        shown = document.body if document is not None and not is_marker(document.body) else None
        if shown == (due.body if due is not None else None):
            return
        if shown is not None and due is not None and due.pipeline is not None:
            return
        kind = "missing" if shown is None else "dead" if due is None else "different"
        version = document.version if document is not None else 0
        evidence = digest(version, document.body if document else None, item)
        due = due or marker(subject.id, subject.routing, self.now())
        look.findings.append(Finding(subject, kind, version, due, evidence))
