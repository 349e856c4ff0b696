"""A declared index as verification and reindexing see it: what an item's document is, and whose a document is."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import unquote

import orjson

from distributary.branches.index import Documents
from distributary.change import Change
from distributary.errors import ConfigError
from distributary.indexes import DELETED_AT, Index, check
from distributary.keys import SEPARATORS
from distributary.search.bulk import Action, Bulk
from distributary.tables.snapshot import Item

_FIELD = f"([^{re.escape(SEPARATORS)}]*)"


@dataclass(frozen=True, slots=True)
class Intended:
    """The document that an item makes, as the line that the branch writes; `routing` if it chooses a shard."""

    id: str
    routing: str | None
    line: bytes

    @property
    def body(self) -> Mapping[str, Any]:
        """As a client reads it back."""
        body: dict[str, Any] = json.loads(self.line)
        return body


@dataclass(frozen=True, slots=True)
class Declared:
    """One index in one generation. Documents are planned by the very branch that writes them."""

    index: Index
    branch: Documents
    generation: int

    @classmethod
    def of(cls, index: Index, client: Any, generation: int) -> "Declared":
        """As functions/index/app.py puts the branch together. Raises ConfigError."""
        branch = Documents(index, check(index), index.write_alias(generation), Bulk(client))
        return cls(index, branch, generation)

    @property
    def physical(self) -> str:
        """The index itself, behind its aliases."""
        return self.index.physical(self.generation)

    def intended(self, change: Change) -> Intended | None:
        """The document that a change leaves, None if it leaves none. Raises Rejected."""
        action = self.branch.plan(change)
        if action is None:
            return None
        header, line = action.lines.splitlines()
        left = Intended(action.id, json.loads(header)["index"].get("routing"), line)
        return None if is_marker(left.body) else left

    def keys_of(self, id: str) -> Item | None:
        """The key of the item whose document this is; None if the id is a digest, or none of the template's."""
        fields = [part for part in self.branch.id.parts if not isinstance(part, str)]
        pattern = "".join(re.escape(part) if isinstance(part, str) else _FIELD for part in self.branch.id.parts)
        match = re.fullmatch(pattern, id, re.DOTALL)
        if match is None or id.startswith("%h"):
            return None
        try:
            return {field.name: _typed(field.type, plain) for field, plain in zip(fields, match.groups(), strict=True)}
        except (ValueError, binascii.Error):
            return None

    def action(self, document: Intended, version: int) -> Action:
        """A write that loses against whatever stands there with this version or a higher one."""
        routing = document.routing
        header = {
            "_index": self.index.write_alias(self.generation),
            "_id": document.id,
            "version": version,
            "version_type": "external",
            "require_alias": True,
            **({"routing": routing} if routing is not None else {}),
        }
        return Action(document.id, orjson.dumps({"index": header}) + b"\n" + document.line + b"\n")


def load(name: str | None = None) -> Index:
    """The index that `indexes.py` on PYTHONPATH declares. Raises ConfigError."""
    try:
        module = import_module("indexes")
    except ModuleNotFoundError as error:
        if error.name != "indexes":
            raise
        raise ConfigError("there is no indexes.py on PYTHONPATH: add functions/index to it") from None
    index: Index = module.INDEX
    if name not in (None, index.name):
        raise ConfigError(f"--index: no index is called '{name}'; indexes.py declares '{index.name}'")
    return index


def marker(id: str, routing: str | None, now: float) -> Intended:
    """What stands for a deleted item."""
    return Intended(id, routing, orjson.dumps({DELETED_AT: int(now)}))


def is_marker(body: Mapping[str, Any]) -> bool:
    """Whether a document only remembers that its item was deleted."""
    return DELETED_AT in body


def _typed(type: str, plain: str) -> dict[str, Any]:
    match type:
        case "B":
            return {"B": base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))}
        case "N":
            return {"N": plain}
    return {"S": unquote(plain, errors="strict")}
