"""Documents that no item makes, found by pages of an index and replaced by markers.

A document whose id names its item is set right by reconciling the item. One whose id no template writes was written
under an earlier declaration: no item can make it. A document without a version of ours is another program's.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.consumer.reconcile import Reconcile, Reconciler
from distributary.consumer.sweep import PAGE, Done, Sweep, Swept
from distributary.dynamodb import item_reader
from distributary.dynamodb.read_budget import Metered, Pace
from distributary.dynamodb.requests import BatchReader, Item
from distributary.errors import ConfigError, Rejected
from distributary.index.branch import IndexBranch
from distributary.index.opensearch.history import History
from distributary.index.opensearch.reader import After, Document, page, refresh
from distributary.index.opensearch.target import Declared, marker
from distributary.stream import version as versions
from distributary.stream.described import Description
from distributary.stream.keys import identity

FOREIGN = "a document without a version of ours: another program wrote it"
DIGEST = "a document whose id does not show its item: `distributary verify index` compares it"

_CHUNK = 25
"""So many items are read at once: at 400 KB each, 10 MB."""

_LEAST = versions.to_external(versions.SNAPSHOT_POSITION)
"""Every external version of ours is at least this; what was written without one has counted from 1."""


@dataclass(frozen=True, slots=True)
class IndexRebuilder:
    """See `consumer.sweep.Rebuilder`. `branches` are those of each generation that the function writes, `dynamodb`
    reads the items of the table `source`, at the `pace` of reconciles. `histories`: what the indexes of each generation
    were written under."""

    branches: Sequence[IndexBranch]
    reconcile: Reconciler
    search: Any
    dynamodb: BatchReader
    source: Callable[[], str]
    pace: Pace
    histories: Mapping[int, History]

    def declarations(self, done: Done, deadline: Deadline) -> dict[str, Any]:  # noqa: ARG002
        """See `Rebuilder`. Each field of a description begins with the index of a generation. Nothing is retired here:
        an index that is declared no more is deleted in OpenSearch."""
        known: dict[str, dict[str, dict[str, str]]] = {"written": {}, "declared": {}}
        since: dict[str, list[dict[str, str]]] = {}
        for history in self.histories.values():
            history.due()
            history.rebuilt(done.rebuilt)
            for name, (first, *later) in history.written().items():
                place = history.indexes[name]
                known["written"].setdefault(name, {}).update(_of(place.physical, first))
                known["declared"].setdefault(name, {}).update(_of(place.physical, place.declared))
                since.setdefault(name, []).extend(_of(place.physical, each) for each in later)
        parts = list(dict.fromkeys(each.physical for each in self._indexes()))
        return {"parts": parts, **known, "since": {name: each for name, each in since.items() if each}}

    def sweep(self, asked: Sweep, deadline: Deadline) -> Swept:
        """See `Rebuilder`. Raises Unavailable too if a page cannot be asked for again: see `reader.Lost`."""
        found = next((each for each in self._indexes() if each.physical == asked.part), None)
        if found is None:
            raise ConfigError(f"nothing is kept in an index '{asked.part}'")
        if asked.only and found.index.name not in asked.only:
            return Swept()
        if asked.cursor is None:
            refresh(self.search, found.physical)
        behind = _after(asked.cursor) if asked.cursor else None
        documents, after = page(self.search, found.physical, asked.segment, asked.segments, behind, PAGE)
        swept = self._swept(found, documents, asked.dry_run, deadline)
        swept.read, swept.repeatable = len(documents), False
        swept.cursor = {"scroll": {"S": after.scroll}, "left": {"N": str(after.left)}} if after else None
        return swept

    def _indexes(self) -> Iterator[Declared]:
        for branch in self.branches:
            for source in branch.sources:
                own = [each for each in branch.sources if each.declared.name == source.declared.name]
                alone = IndexBranch(tuple(own), branch.generation, branch.bulk, branch.now, branch.earliest)
                yield Declared(source.declared, alone, branch.generation)

    def _swept(self, index: Declared, documents: Sequence[Document], dry_run: bool, deadline: Deadline) -> Swept:
        found, owned, strangers = Swept(), list[tuple[Document, Item]](), list[Document]()
        for each in documents:
            keys = index.keys_of(each.id)
            if each.version < _LEAST:
                found.untouched[FOREIGN] += 1
            elif keys is not None and each.id in index.ids(keys):
                owned.append((each, keys))
            elif each.id.startswith("%h"):
                found.untouched[DIGEST] += 1
            else:
                strangers.append(each)
        dead = self._not_made(index, owned, deadline)
        if dry_run:
            found.done = len(dead) + len(strangers)
            return found
        found.add(self._reconciled(index, dead, deadline))
        found.add(self._replaced(index, strangers, deadline))
        return found

    def _not_made(
        self, index: Declared, owned: Sequence[tuple[Document, Item]], deadline: Deadline
    ) -> list[Mapping[str, Any]]:
        dead: list[Mapping[str, Any]] = []
        for at in range(0, len(owned), _CHUNK):
            dead += self._not_made_of(index, owned[at : at + _CHUNK], deadline)
        return dead

    def _not_made_of(
        self, index: Declared, chunk: Sequence[tuple[Document, Item]], deadline: Deadline
    ) -> list[Mapping[str, Any]]:
        client = Metered(self.dynamodb, self.pace, deadline)
        items = item_reader.items(client, self.source(), [keys for _, keys in chunk], deadline)
        dead = []
        for document, keys in chunk:
            item = items.get(identity(keys))
            try:
                due = index.intended(item_reader.change(item, list(keys), index.generation, 0.0)) if item else None
            except Rejected:
                continue
            if due is None or due.id != document.id:
                dead.append(keys)
        return dead

    def _reconciled(self, index: Declared, dead: Sequence[Mapping[str, Any]], deadline: Deadline) -> Swept:
        asked = [Reconcile(keys, only=frozenset({index.index.name})) for keys in dead]
        ends = self.reconcile(asked, deadline) if asked else []
        left = Counter(end.cause for end in ends if end.status in (Status.PARKED, Status.FAILED))
        return Swept(done=sum(end.status is Status.APPLIED for end in ends), left=left)

    def _replaced(self, index: Declared, strangers: Sequence[Document], deadline: Deadline) -> Swept:
        """By markers, each refused if the document has changed since it was read."""
        if not strangers:
            return Swept()
        now = index.branch.now()
        actions = [index.action(marker(each.id, each.routing, now), each.version + 1) for each in strangers]
        ends = index.branch.bulk.send(actions, deadline)
        left = Counter(end.cause for end in ends if end.status in (Status.PARKED, Status.FAILED))
        return Swept(done=sum(end.status is Status.APPLIED for end in ends), left=left)


def _of(physical: str, described: Description) -> dict[str, str]:
    return {f"{physical}.{name}": text for name, text in described.items()}


def _after(cursor: Mapping[str, Any]) -> After:
    try:
        return After(str(cursor["scroll"]["S"]), int(cursor["left"]["N"]))
    except (KeyError, TypeError, ValueError):
        raise ConfigError("the command's cursor is none of an index: run the command anew") from None
