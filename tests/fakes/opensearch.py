"""An OpenSearch client that keeps its indexes in memory and the engine's rules for versions, aliases and mappings."""

import base64
import binascii
import copy
import json
import zlib
from collections import Counter
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from opensearchpy.exceptions import ConflictError, ConnectionTimeout, NotFoundError, RequestError, TransportError

from distributary.index.opensearch.bulk_errors import Refused

THROTTLED = Refused(429, "rejected_execution_exception")
BROKEN = Refused(503, "cluster_block_exception")
UNANSWERED = Refused(0, "ReadTimeoutError", "read timed out")
READS = SimpleNamespace(
    THROTTLED=TransportError(429, "rejected_execution_exception", {}),
    BROKEN=TransportError(503, "cluster_block_exception", {}),
    UNANSWERED=ConnectionTimeout("TIMEOUT", "read timed out", {}),
)
"""What opensearch-py raises for requests that only read; a bulk request goes another way."""

SCROLL_HITS = 2
ID_BYTES = 512
KEYWORD_BYTES = 32_766
LONGS = range(-(2**63), 2**63)


class OpenSearch:
    """`state` holds `docs` by index and id, each `[version, source]`, `mappings` and `aliases`.

    `busy` are the ids that each item of a bulk request finds busy (429), as a full write queue answers.
    """

    def __init__(self, max_bytes: int = 10 * 1024 * 1024) -> None:
        self.state: dict[str, dict[str, Any]] = {"docs": {}, "mappings": {}, "aliases": {}}
        self.busy: set[str] = set()
        self._writes: Counter[tuple[str, str]] = Counter()
        self._scrolls: dict[str, tuple[int, list[Any]]] = {}
        self._opened = 0
        self.indices = Indices(self)
        self._max_bytes = max_bytes

    def bulk(self, *, body: bytes, request_timeout: float) -> dict[str, Any]:
        """https://docs.opensearch.org/latest/api-reference/document-apis/bulk/"""
        if len(body) > self._max_bytes:
            raise Refused(413, "request_entity_too_large")
        lines = [json.loads(line) for line in body.removesuffix(b"\n").split(b"\n")]
        if all("delete" in line for line in lines):
            return {"items": [{"delete": {"status": self._delete(line["delete"])}} for line in lines]}
        if any("create" in line or "if_seq_no" in line.get("index", {}) for line in lines[::2]):
            both = zip(lines[::2], lines[1::2], strict=True)
            return {"items": [{"index": self._as_found(header, source)} for header, source in both]}
        pairs = [(header["index"], source) for header, source in zip(lines[::2], lines[1::2], strict=True)]
        for header, _ in pairs:
            _check_header(header)
        return {"items": [{"index": self._index(header, source)} for header, source in pairs]}

    def get_many(self, *, body: bytes, request_timeout: float) -> dict[str, Any]:
        """As `mget`, of documents that name their indexes, each with the sequence number of its last write."""
        found: list[dict[str, Any]] = []
        for each in json.loads(body)["docs"]:
            docs = self.state["docs"].get(each["_index"])
            if docs is None:
                found.append({"_id": each["_id"], "error": {"type": "index_not_found_exception"}})
                continue
            _, source = docs.get(each["_id"], (0, None))
            place = each["_index"], each["_id"]
            known = {"_seq_no": self._writes[place], "_primary_term": 1, "_source": copy.deepcopy(source)}
            found.append({"_id": each["_id"], "found": source is not None, **(known if source is not None else {})})
        return {"docs": found}

    def mget(self, *, index: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """https://docs.opensearch.org/latest/api-reference/document-apis/multi-get/"""
        docs, found = self.state["docs"][index], []
        for id in (each["_id"] for each in body["docs"]):
            version, source = docs.get(id, (0, None))
            known = {"_version": version, "_source": copy.deepcopy(source)} if source is not None else {}
            found.append({"_id": id, "found": source is not None, **known})
        return {"docs": found}

    def scroll(self, *, body: Mapping[str, Any]) -> dict[str, Any]:
        """The next page of what a search with `scroll` found at its moment."""
        if body["scroll_id"] not in self._scrolls:
            raise NotFoundError(404, "search_context_missing_exception", {})
        many, pages = self._scrolls[body["scroll_id"]]
        found = {"total": {"value": many, "relation": "eq"}, "hits": pages.pop(0) if pages else []}
        return {"_scroll_id": body["scroll_id"], "_shards": {"failed": 0}, "hits": found}

    def clear_scroll(self, *, body: Mapping[str, Any]) -> None:
        """Forgets it."""
        for id in body["scroll_id"]:
            self._scrolls.pop(id, None)

    def search(self, *, index: str, body: Mapping[str, Any], scroll: str = "") -> dict[str, Any]:
        """All hits, or those of a range query; without the fields that the query or the alias's filter bars. With
        `scroll`, in pages of SCROLL_HITS."""
        if scroll:
            return self._scrolled(index, body)
        alias = self.state["aliases"].get(index, {"index": index})
        hidden = _barred(alias.get("filter", {})) | _barred(body.get("query", {}))
        name = alias["index"]
        docs = self.state["docs"][name].items()
        hits = [
            {"_id": id, "_source": copy.deepcopy(doc), "_seq_no": self._writes[name, id], "_primary_term": 1}
            for id, (_, doc) in docs
            if not hidden & set(doc) and _asked_for(body.get("query", {}), doc)
        ]
        return {"hits": {"hits": hits[: body["size"]]}}

    def _scrolled(self, index: str, body: Mapping[str, Any]) -> dict[str, Any]:
        hidden, slice = _barred(body["query"]), body.get("slice", {"id": 0, "max": 1})
        hits = [
            {"_id": id, "_version": version}
            for id, (version, doc) in sorted(self.state["docs"][index].items())
            if not hidden & set(doc)
            and _needed(body["query"]) <= set(doc)
            and zlib.crc32(id.encode()) % slice["max"] == slice["id"]
        ]
        self._opened += 1
        id = f"scroll-{self._opened}"
        pages = [hits[at : at + SCROLL_HITS] for at in range(0, len(hits), SCROLL_HITS)]
        self._scrolls[id] = len(hits), pages
        return self.scroll(body={"scroll_id": id})

    def count(self, *, index: str, body: Mapping[str, Any]) -> dict[str, int]:
        """Markers are documents too."""
        hidden = _barred(body["query"])
        return {"count": sum(not hidden & set(doc) for _, doc in self.state["docs"][index].values())}

    def index(self, *, index: str, id: str, body: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        """One document, versioned or not."""
        docs = self.state["docs"][index]
        if id in docs and params["version"] < docs[id][0]:
            raise ConflictError(409, "version_conflict_engine_exception", {"status": 409})
        docs[id] = [params["version"], copy.deepcopy(dict(body))]

    def delete(self, *, index: str, id: str) -> None:
        """For good: no version is kept."""
        del self.state["docs"][index][id]

    def _delete(self, header: Mapping[str, Any]) -> int:
        """Only if the document was not written since the search found it."""
        name = self.state["aliases"][header["_index"]]["index"]
        docs = self.state["docs"][name]
        if header["_id"] not in docs:
            return 404
        if self._writes_since(name, header):
            return 409
        del docs[header["_id"]]
        return 200

    def _writes_since(self, name: str, header: Mapping[str, Any]) -> bool:
        return self._writes[name, header["_id"]] != header["if_seq_no"]

    def _as_found(self, line: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
        """A document that must be absent (create), or as it was when it was read."""
        ((operation, header),) = line.items()
        id, alias = header["_id"], self.state["aliases"].get(header["_index"])
        name = alias["index"] if alias is not None else header["_index"]
        if (alias is None and header.get("require_alias")) or name not in self.state["docs"]:
            return _refused(id, 404, "index_not_found_exception")
        if kind := _mapping_fault(source, self.state["mappings"][name]):
            return _refused(id, 400, kind)
        docs = self.state["docs"][name]
        held = id not in docs if operation == "create" else id in docs and not self._writes_since(name, header)
        if not held:
            return _refused(id, 409, "version_conflict_engine_exception")
        docs[id] = [docs[id][0] + 1 if id in docs else 1, source]
        self._writes[name, id] += 1
        return {"_id": id, "status": 201 if operation == "create" else 200}

    def _index(self, header: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
        alias, id = self.state["aliases"].get(header["_index"]), header["_id"]
        if alias is None:
            return _refused(id, 404, "index_not_found_exception")
        if id in self.busy:
            return _refused(id, 429, "rejected_execution_exception")
        kind = _mapping_fault(source, self.state["mappings"][alias["index"]])
        if kind:
            return _refused(id, 400, kind)
        docs = self.state["docs"][alias["index"]]
        floor = docs[id][0] + (header["version_type"] == "external") if id in docs else 0
        if id in docs and header["version"] < floor:
            stated = f"current version [{docs[id][0]}] is higher or equal to the one provided [{header['version']}]"
            return _refused(id, 409, "version_conflict_engine_exception", f"[{id}]: version conflict, {stated}")
        status = 200 if id in docs else 201
        docs[id] = [header["version"], source]
        self._writes[alias["index"], id] += 1
        return {"_id": id, "status": status}


class Indices:
    """The part of the index API that `search.schema` uses."""

    def __init__(self, node: OpenSearch) -> None:
        self._node = node

    def exists(self, *, index: str) -> bool:
        return index in self._node.state["docs"]

    def create(self, *, index: str, body: Mapping[str, Any]) -> None:
        if index in self._node.state["docs"]:
            raise RequestError(400, "resource_already_exists_exception", {"status": 400})
        self._node.state["docs"][index] = {}
        self._node.state["mappings"][index] = copy.deepcopy(body["mappings"])

    def get_mapping(self, *, index: str) -> dict[str, Any]:
        return {index: {"mappings": copy.deepcopy(self._node.state["mappings"][index])}}

    def put_mapping(self, *, index: str, body: Mapping[str, Any]) -> None:
        """Only adds: a field's type stays what it is."""
        standing, body = self._node.state["mappings"][index], {"properties": {}, **body}
        for name, mapping in body["properties"].items():
            if name in standing["properties"] and standing["properties"][name]["type"] != mapping["type"]:
                raise RequestError(400, "illegal_argument_exception", {"status": 400})
        properties = {**standing["properties"], **copy.deepcopy(body["properties"])}
        self._node.state["mappings"][index] = {**standing, **copy.deepcopy(dict(body)), "properties": properties}

    def put_settings(self, *, index: str, body: Mapping[str, Any]) -> None:
        """None of them matters here."""

    def exists_alias(self, *, name: str) -> bool:
        return name in self._node.state["aliases"]

    def update_aliases(self, *, body: Mapping[str, Any]) -> None:
        """All of it or nothing: an alias that must exist is looked for first. An alias is on one index here."""
        aliases = self._node.state["aliases"]
        for gone in (each["remove"] for each in body["actions"] if "remove" in each):
            if aliases.get(gone["alias"], {}).get("index") != gone["index"]:
                raise TransportError(404, "aliases_not_found_exception", {"status": 404})
        for each in body["actions"]:
            if "remove" in each:
                del aliases[each["remove"]["alias"]]
                continue
            add = dict(each["add"])
            aliases[add.pop("alias")] = add

    def get_alias(self, *, name: str) -> dict[str, Any]:
        return {self._node.state["aliases"][name]["index"]: {}}

    def refresh(self, *, index: str) -> None:
        """Writes are searchable at once."""


def _asked_for(query: Mapping[str, Any], doc: Mapping[str, Any]) -> bool:
    return all(name in doc and doc[name] < bounds["lt"] for name, bounds in query.get("range", {}).items())


def _check_header(header: Mapping[str, Any]) -> None:
    """Faults for which the engine refuses the request as a whole."""
    if len(header["_id"].encode()) > ID_BYTES:
        raise Refused(400, "action_request_validation_exception")
    if header["version"] not in LONGS:
        raise Refused(400, "illegal_argument_exception")
    if header["version_type"] not in ("external", "external_gte") or header["require_alias"] is not True:
        raise AssertionError(f"this fake knows external versions behind an alias only: {header}")


def _barred(query: Mapping[str, Any]) -> set[str]:
    """The fields that no hit may have."""
    return {each["exists"]["field"] for each in query.get("bool", {}).get("must_not", [])}


def _needed(query: Mapping[str, Any]) -> set[str]:
    """The fields that each hit has."""
    return {each["exists"]["field"] for each in query.get("bool", {}).get("filter", [])}


def _refused(id: str, status: int, kind: str, said: str = "") -> dict[str, Any]:
    strict = "mapping set to strict, dynamic introduction of [x] within [_doc] is not allowed"
    reason = said or (strict if kind == "strict_dynamic_mapping_exception" else kind)
    return {"_id": id, "status": status, "error": {"type": kind, "reason": reason}}


def _mapping_fault(source: Mapping[str, Any], mapping: Mapping[str, Any]) -> str:
    for name, value in source.items():
        if name not in mapping["properties"]:
            return "strict_dynamic_mapping_exception"
        values = value if isinstance(value, list) else [value]
        type = mapping["properties"][name]["type"]
        if type == "keyword" and any(len(str(each).encode()) > KEYWORD_BYTES for each in values):
            return "illegal_argument_exception"
        if not all(each is None or _fits(each, type) for each in values):
            return "mapper_parsing_exception"
    return ""


def _fits(value: Any, type: str) -> bool:
    match type:
        case "keyword" | "text":
            return not isinstance(value, dict)
        case "object" | "flat_object":
            return isinstance(value, dict)
        case "long" | "integer" | "date":
            try:
                return not isinstance(value, bool | dict) and int(value) in LONGS
            except ValueError:
                return False
        case "binary":
            try:
                return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
            except binascii.Error:
                return False
    raise AssertionError(f"this fake knows no type {type}")
