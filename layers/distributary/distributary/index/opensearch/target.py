"""A declared index as verification and reindexing see it: an item's document, and a document's item."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

from distributary.dynamodb.requests import Item
from distributary.errors import ConfigError, Rejected
from distributary.index.branch import IndexBranch
from distributary.index.declarations import Index, of_generation
from distributary.index.document import DELETED_AT
from distributary.index.opensearch.bulk import Action, Bulk
from distributary.index.opensearch.connect import why_unreachable
from distributary.index.opensearch.schema import apply
from distributary.index.validation import check, whole
from distributary.stream.change import Change, Image


@dataclass(frozen=True, slots=True)
class Intended:
    """The document that an item makes, as the line that the branch writes; `routing` if it chooses a shard."""

    id: str
    routing: str | None
    line: bytes
    pipeline: str | None = None

    @property
    def body(self) -> Mapping[str, Any]:
        """As a client reads it back."""
        body: dict[str, Any] = json.loads(self.line)
        return body


@dataclass(frozen=True, slots=True)
class Declared:
    """One index in one generation. Documents are planned by the very branch that writes them, with all declarations
    that share the index."""

    index: Index
    branch: IndexBranch
    generation: int

    @classmethod
    def of(cls, indexes: Sequence[Index], client: Any, generation: int) -> "Declared":
        """As functions/index/app.py puts the branch together; `indexes` share one name. Raises ConfigError."""
        index, found = of(indexes, generation), of_generation(indexes, generation)
        return cls(index, IndexBranch(check(found), generation, Bulk(client)), generation)

    @property
    def physical(self) -> str:
        """The index itself, behind its aliases."""
        return self.index.physical(self.generation)

    def intended(self, change: Change) -> Intended | None:
        """The document that a change leaves, None if it leaves none. Raises Rejected."""
        actions, rejections = self.branch.plan(change)
        if rejections:
            raise rejections[0]
        left = (read(action) for action in actions.values())
        return next((each for each in left if not is_marker(each.body)), None)

    def keys_of(self, id: str) -> Item | None:
        """The key of the item whose document this is; None if the id is a digest, or none of the templates'."""
        found = (source.id.read(id) for source in self.branch.sources)
        return None if id.startswith("%h") else next((keys for keys in found if keys is not None), None)

    def ids(self, keys: Item) -> set[str]:
        """Every id that an item of this key can have here."""
        found = set()
        for source in self.branch.sources:
            with suppress(Rejected):
                found.add(source.place(Image(keys))["_id"])
        return found

    def action(self, document: Intended, version: int) -> Action:
        """A write that loses against any document with this version or a higher one."""
        routing = document.routing
        header = {
            "_index": self.index.write_alias(self.generation),
            "_id": document.id,
            "version": version,
            "version_type": "external",
            "require_alias": True,
            **({"routing": routing} if routing is not None else {}),
            **({"pipeline": document.pipeline} if document.pipeline is not None else {}),
        }
        return Action(document.id, orjson.dumps({"index": header}) + b"\n" + document.line + b"\n")


def of(indexes: Sequence[Index], generation: int) -> Index:
    """The one index of that generation; `indexes` share one name. Raises ConfigError if no declaration is of it."""
    found = whole(of_generation(indexes, generation))
    if not found:
        raise ConfigError(f"index '{indexes[0].name}' has no declaration for generation {generation}")
    return found[0]


def load(name: str | None = None) -> list[Index]:
    """The declarations of one index that `indexes.py` on PYTHONPATH holds. Raises ConfigError."""
    try:
        module = import_module("indexes")
    except ModuleNotFoundError as error:
        if error.name != "indexes":
            raise
        raise ConfigError("there is no indexes.py on PYTHONPATH: add functions/index to it") from None
    declared: Sequence[Index] = module.INDEXES
    names = list(dict.fromkeys(index.name for index in declared))
    if name is None and len(names) > 1:
        raise ConfigError(f"--index is missing: indexes.py declares {', '.join(names)}")
    if name is not None and name not in names:
        raise ConfigError(f"--index: no index is called '{name}'; indexes.py declares {', '.join(names)}")
    return [index for index in declared if index.name == (name or names[0])]


def template(index: Index) -> Mapping[str, Any]:
    """What <index>.json beside indexes.py says, nothing if there is none. Raises ConfigError."""
    path = Path(str(import_module("indexes").__file__)).with_name(f"{index.name}.json")
    try:
        found = json.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise ConfigError(f"{path.name} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path.name} holds no JSON object")
    return found


def make(client: Any, indexes: Sequence[Index], generation: int) -> Iterator[str]:
    """Makes each declared index, or brings it up to date; a line for each. Raises ConfigError: with the endpoint if it
    cannot be reached, with the index and OpenSearch's own reason if it refused."""
    from opensearchpy.exceptions import ConnectionError, OpenSearchException

    check(indexes)
    for index in whole(of_generation(indexes, generation)):
        try:
            yield apply(client, index, generation, template(index))
        except ConnectionError as error:
            raise ConfigError(why_unreachable(client.endpoint, error)) from error
        except OpenSearchException as error:
            raise ConfigError(f"index '{index.physical(generation)}': {_refusal(error)}") from error


def _refusal(error: Any) -> str:
    """Status, type and reasons of what the client raised."""
    info = getattr(error, "info", None)
    fault = info.get("error") if isinstance(info, dict) else None
    if not isinstance(fault, dict):
        return " ".join(str(error).split())
    causes = [fault, *(fault.get("root_cause") or []), fault.get("caused_by") or {}]
    reasons = dict.fromkeys(str(each["reason"]) for each in causes if each.get("reason"))
    return " ".join(f"{error.status_code} {error.error}: {'; '.join(reasons)}".split())


def marker(id: str, routing: str | None, now: float) -> Intended:
    """The document that replaces that of a deleted item."""
    return Intended(id, routing, orjson.dumps({DELETED_AT: int(now)}))


def is_marker(body: Mapping[str, Any]) -> bool:
    """Whether a document only remembers that its item was deleted."""
    return DELETED_AT in body


def read(action: Action) -> Intended:
    """The document or marker that an action of the branch writes."""
    header, line = action.lines.splitlines()
    head = json.loads(header)["index"]
    return Intended(action.id, head.get("routing"), line, head.get("pipeline"))
