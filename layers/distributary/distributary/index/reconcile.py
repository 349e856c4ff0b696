"""Items set right in every index from what the source table holds now, whatever became of their changes.

For each item its documents are read, and then the item: so the item is at least as new as the documents' versions. What
differs is written with a version above the one that was read, and OpenSearch refuses it if a newer one came between.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import SUPERSEDED, Outcome, Status
from distributary.consumer.reconcile import LOOKS, MOVING, Reconcile, in_batches
from distributary.dynamodb import item_reader
from distributary.dynamodb.requests import BatchReader, Item
from distributary.index.branch import IndexBranch, Place
from distributary.index.opensearch.bulk import Action
from distributary.index.opensearch.reader import Document, find
from distributary.index.opensearch.target import is_marker
from distributary.stream import version as versions
from distributary.stream.change import Change
from distributary.stream.codec import Typed

_BATCH = 100


@dataclass(frozen=True, slots=True)
class IndexReconciler:
    """Plans and writes as the branch does. `search` reads documents, `dynamodb` the items of the table `source`."""

    branch: IndexBranch
    search: Any
    dynamodb: BatchReader
    source: Callable[[], str]

    def __call__(self, requests: Sequence[Reconcile], deadline: Deadline) -> list[Outcome]:
        """See `consumer.reconcile.Reconciler`. Where an ingest pipeline makes the document, its content is the
        pipeline's to say: only its being there and its version are compared."""
        return in_batches(requests, _BATCH, lambda batch: self._reconciled(batch, deadline), deadline)

    def _reconciled(self, batch: Mapping[str, Reconcile], deadline: Deadline) -> dict[str, Outcome]:
        left, ends = dict(batch), dict.fromkeys(batch, SUPERSEDED)
        for _ in range(LOOKS):
            due = self._due(left, ends, deadline)
            left = {name: left[name] for name in dict.fromkeys(name for name, _ in due)}
            if not left:
                return ends
            sent = self.branch.bulk.send([action for _, action in due], deadline)
            for (name, _), end in zip(due, sent, strict=True):
                ends[name] = outcomes.combine([ends[name], end])
                if end.status in (Status.PARKED, Status.FAILED):
                    left.pop(name, None)
        return ends | dict.fromkeys(left, MOVING)

    def _due(
        self, left: Mapping[str, Reconcile], ends: dict[str, Outcome], deadline: Deadline
    ) -> list[tuple[str, Action]]:
        """What must be written, with its item's name. An item that an index rejects is parked in `ends`."""
        standing = documents(self.branch, self.search, [each.keys for each in left.values()])
        items = item_reader.items(self.dynamodb, self.source(), [dict(each.keys) for each in left.values()], deadline)
        due = []
        for name, each in left.items():
            actions, rejections = self.branch.plan(_now(each, items.get(name), self.branch.generation))
            ends[name] = outcomes.combine([ends[name], *map(outcomes.parked, rejections)])
            for place, action in actions.items():
                seen = standing.get(place)
                at_least = self._external(each.version)
                if not _settled(seen, action, at_least):
                    due.append((name, _above(action, seen.version if seen else 0, at_least)))
        return due

    def _external(self, version: int) -> int:
        """0 for a change of an earlier stream: its position says nothing about those of this one."""
        earlier = versions.generation_of(version) < self.branch.earliest
        return 0 if version == 0 or earlier else versions.to_external(version)


def documents(branch: IndexBranch, search: Any, items: Iterable[Mapping[str, Typed]]) -> dict[Place, Document]:
    """The documents and markers that the items of these keys may have in the branch's indexes, as they are. Raises
    Unavailable, ConfigError."""
    asked: dict[str, dict[str, str | None]] = {}
    for keys in items:
        for (alias, id), action in places(branch, keys).items():
            asked.setdefault(alias, {})[id] = _header(action).get("routing")
    generation = branch.generation
    physical = {each.declared.write_alias(generation): each.declared.physical(generation) for each in branch.sources}
    found = {alias: find(search, physical[alias], list(ids.items())) for alias, ids in asked.items()}
    return {(alias, id): document for alias, each in found.items() for id, document in each.items()}


def places(branch: IndexBranch, keys: Mapping[str, Typed]) -> dict[Place, Action]:
    """Where an item of these keys may have documents, with the marker that a delete leaves there."""
    return branch.plan(Change.snapshot(keys, None, versions.of(branch.generation, versions.SNAPSHOT_POSITION)))[0]


def _now(each: Reconcile, item: Item | None, generation: int) -> Change:
    """The item as it is, as a change that wins over nothing that was streamed."""
    return Change.snapshot(each.keys, item, versions.of(generation, versions.SNAPSHOT_POSITION))


def _header(action: Action) -> dict[str, Any]:
    header: dict[str, Any] = orjson.loads(action.lines.splitlines()[0])["index"]
    return header


def _settled(seen: Document | None, action: Action, at_least: int) -> bool:
    """Whether the document is as the item says, and no change up to `at_least` can still take effect."""
    due = orjson.loads(action.lines.splitlines()[1])
    if seen is None:
        return is_marker(due) and at_least == 0
    same = is_marker(seen.body) if is_marker(due) else seen.body == due
    if not same and not is_marker(due) and not is_marker(seen.body):
        same = "pipeline" in _header(action)
    return same and seen.version >= at_least


def _above(action: Action, version: int, at_least: int) -> Action:
    """The same write, refused if the document has a version above the one that was read. Where there is none, it has
    the snapshot's."""
    header, line = action.lines.splitlines(keepends=True)
    head = orjson.loads(header)["index"]
    head |= {"version": max(version + 1, at_least, head["version"]), "version_type": "external"}
    return Action(action.id, orjson.dumps({"index": head}) + b"\n" + line)
