"""OpenSearch indexes: each item's newest state as documents, a deleted item's as hidden markers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import SUPERSEDED, TIED, Outcome
from distributary.errors import DistributaryError, Rejected
from distributary.index.document import DELETED_AT, Source
from distributary.index.opensearch.bulk import Action, Bulk
from distributary.stream import version as versions
from distributary.stream.change import Change

Place = tuple[str, str]
"""A document's write alias and id."""


def unchecked() -> None:
    """For a branch whose indexes' declarations are not looked at."""


@dataclass(frozen=True, slots=True)
class IndexBranch:
    """The declared indexes. A hard delete forgets its version when the engine restarts; hence marker documents.

    `generation` names the indexes, `earliest` is the source's. A change of an earlier one came from an earlier stream,
    whose positions tell nothing here, and is superseded: a new stream's index is filled from the table. `check` comes
    before every batch; see `History.check`.
    """

    sources: tuple[Source, ...]
    generation: int
    bulk: Bulk
    now: Callable[[], float] = time.time
    earliest: int = 0
    check: Callable[[], None] = unchecked

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. A change that any index rejects is parked; what the other indexes write is kept."""
        try:
            deadline.check()
            self.check()
        except DistributaryError as error:
            return [outcomes.failed(error) for _ in changes]
        ends: list[list[Outcome]] = [[] for _ in changes]
        newest: dict[Place, tuple[int, int, Action]] = {}
        for at, change in enumerate(changes):
            if self.earliest and versions.generation_of(change.version) < self.earliest:
                ends[at].append(SUPERSEDED)
                continue
            actions, rejections = self.plan(change)
            if change.new is not None:
                change.new.release()
            if rejections:
                ends[at] += map(outcomes.parked, rejections)
            for place, action in actions.items():
                earlier = newest.get(place)
                if earlier is not None and change.version <= earlier[0]:
                    ends[at].append(_folded(change.version, action, earlier))
                    continue
                if earlier is not None:
                    ends[earlier[1]].append(SUPERSEDED)
                newest[place] = change.version, at, action
        sent = self.bulk.send([action for _, _, action in newest.values()], deadline)
        for (_, at, _), end in zip(newest.values(), sent, strict=True):
            ends[at].append(end)
        return [outcomes.combine(each) for each in ends]

    def plan(self, change: Change) -> tuple[dict[Place, Action], list[Rejected]]:
        """What a change leaves in each place that it concerns, and why an index cannot take it.

        Where one entity's document ends and another's begins under one id, the new document wins.
        """
        actions: dict[Place, Action] = {}
        owners: dict[Place, str] = {}
        rejections = []
        for source in self.sources:
            if not source.declared.of.reads(change.source):
                continue
            try:
                place, action, holds = self._action(source, change)
                if action is None or (place in actions and not holds):
                    continue
                if holds and place in owners:
                    raise Rejected(f"entities '{owners[place]}' and '{source.declared.of.name}' both claim the item")
            except Rejected as error:
                rejections.append(Rejected(f"index '{source.declared.name}': {error}", error.detail))
                continue
            actions[place] = action
            if holds:
                owners[place] = source.declared.of.name
        return actions, rejections

    def _action(self, source: Source, change: Change) -> tuple[Place, Action | None, bool]:
        alias = source.declared.write_alias(self.generation)
        holds = source.claims(change.new)
        if not holds and not source.concerned(change):
            return (alias, ""), None, False
        place = source.place(change.keys)
        may_tie = versions.is_time(change.version)
        before = _before(alias, source.declared.pipeline if holds else None, "external" if may_tie else "external_gte")
        header = b'%b%b,"version":%d}}\n' % (before, _line(place)[1:-2], versions.to_external(change.version))
        body = source.document(change.new) if holds and change.new else {DELETED_AT: int(self.now())}
        return (alias, place["_id"]), Action(place["_id"], header + _line(body), may_tie), holds


def _folded(version: int, action: Action, chosen: tuple[int, int, Action]) -> Outcome:
    """Of a change that another of the batch comes before at the same place."""
    tied = action.may_tie and version == chosen[0] and action.lines != chosen[2].lines
    return TIED if tied else SUPERSEDED


@lru_cache(maxsize=64)
def _before(alias: str, pipeline: str | None, version_type: str) -> bytes:
    """The header's line before the members of a place and the version: the same for many documents."""
    header: dict[str, Any] = {"_index": alias, "version_type": version_type, "require_alias": True}
    if pipeline is not None:
        header["pipeline"] = pipeline
    return b'{"index":' + _line(header)[:-2] + b","


def _line(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, RecursionError) as error:
        raise Rejected("the document cannot be written as JSON", str(error)) from error
