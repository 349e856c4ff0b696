"""An OpenSearch index: each item's newest state as a document, a deleted item's as a hidden marker."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from distributary import outcome as outcomes
from distributary import version as versions
from distributary.change import Change, Image
from distributary.codec import Value, number_text
from distributary.deadline import Deadline
from distributary.errors import Rejected
from distributary.indexes import DELETED_AT, DOCUMENT_ID_BYTES, Index
from distributary.keys import Template, bounded
from distributary.outcome import IGNORED, SUPERSEDED, Outcome
from distributary.search.bulk import Action, Bulk
from distributary.views import concerns


@dataclass(frozen=True, slots=True)
class Documents:
    """One declared index. A hard delete forgets its version when the engine restarts; hence marker documents."""

    index: Index
    id: Template
    alias: str
    bulk: Bulk

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`."""
        ends: list[Outcome] = [SUPERSEDED] * len(changes)
        newest: dict[str, tuple[int, int, Action]] = {}
        for place, change in enumerate(changes):
            try:
                action = self.plan(change)
            except Rejected as error:
                ends[place] = outcomes.parked(error)
                continue
            if action is None:
                ends[place] = IGNORED
            elif action.id not in newest or change.version > newest[action.id][0]:
                newest[action.id] = change.version, place, action
        sent = self.bulk.send([action for _, _, action in newest.values()], deadline)
        for (_, place, _), end in zip(newest.values(), sent, strict=True):
            ends[place] = end
        return ends

    def plan(self, change: Change) -> Action | None:
        """The document as the change leaves it, None if the item is no concern of this index."""
        claims = self.index.of.claims
        if not concerns(change, claims, claims):
            return None
        id = bounded(self.id.render(change.keys, 1 << 16), DOCUMENT_ID_BYTES)
        present = change.new is not None and claims(change.new)
        body = self.document(change.new) if present and change.new else {DELETED_AT: int(change.created)}
        header = {
            "_index": self.alias,
            "_id": id,
            "version": versions.to_external(change.version),
            "version_type": "external_gte",
            "require_alias": True,
        }
        return Action(id, orjson.dumps({"index": header}) + b"\n" + orjson.dumps(body) + b"\n")

    def document(self, item: Image) -> dict[str, Any]:
        """The kept attributes as JSON values. Raises Rejected for content that is no DynamoDB value."""
        return {
            name: json_value(item[name], mapping["type"] == "keyword")
            for name, mapping in self.index.fields.items()
            if name in item
        }


def json_value(value: Value, exact: bool = False) -> Any:
    """A DynamoDB value for orjson; numbers keep every digit, as text if `exact`."""
    match value:
        case bool() | None | str():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {name: json_value(member, exact) for name, member in value.items()}
        case list():
            return [json_value(member, exact) for member in value]
        case frozenset():
            return [json_value(member, exact) for member in sorted(value)]
    text = number_text(value)
    return text if exact else orjson.Fragment(text)
