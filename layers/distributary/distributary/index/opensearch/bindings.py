"""Which stream an index belongs to, its format, and what its documents were written under: kept in the index itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from distributary.errors import ForeignStream, Unavailable
from distributary.index.declarations import FORMAT
from distributary.index.document import DELETED_AT
from distributary.index.opensearch.bulk_errors import Refused, of_item
from distributary.stream.described import Description
from distributary.stream.format import check_format
from distributary.stream.struct import Struct, replace

ID = "%stream"
"""No item's document has this id: `keys.escape` writes no `%s`."""

STREAM_FIELD, FORMAT_FIELD, DECLARED_FIELD = "distributary_stream", "distributary_format", "distributary_declared"
MAPPINGS = {
    STREAM_FIELD: {"type": "keyword"},
    FORMAT_FIELD: {"type": "integer"},
    DECLARED_FIELD: {"type": "text", "index": False},
}
ITEMS_ONLY = {"bool": {"must_not": [{"exists": {"field": FORMAT_FIELD}}]}}
"""A query for all documents but this one."""

_NEVER_PURGED = 253_402_300_799
"""The end of the year 9999. The document is a marker, so the alias hides it, and no purge is late enough for it."""

_SECONDS = 5.0
_TRIES = 5


class Binding(Struct, frozen=True):
    """The document of one index. `stream` is empty if no function has written there; `written` holds the sequence
    number and primary term of its last write, None if there is no document. `declared`: see `history`."""

    stream: str = ""
    format: int = 0
    written: tuple[int, int] | None = None
    declared: tuple[Description, ...] = ()


class IndexBindings(Struct, frozen=True):
    """Of the indexes that a function writes, each by its own name and by its write alias. `generation` is that of its
    source; a stream of an earlier generation writes nowhere: see `IndexBranch`."""

    client: Any
    indexes: Sequence[tuple[str, str]]
    generation: int

    def bind(self, stream: str, generation: int) -> None:
        """See `streams.Bind`. An index has one stream, since external versions hold no generation and documents' ids no
        table. One request, and the first time two."""
        if generation == self.generation:
            _bind(self.client, self.indexes, stream)


def carry_over(client: Any, origin: str, target: tuple[str, str]) -> None:
    """Binds an index that no function has written yet, by name and write alias, to the stream of `origin`, whose
    readers move there. Raises as `read` does."""
    found = read(client, [origin, target[0]])
    if found[origin].stream and not found[target[0]].stream:
        _bind(client, [target], found[origin].stream)


def keep_format(client: Any, name: str) -> None:
    """The index names this release's format, so that an earlier release stops there. Raises as `read` does."""
    for _ in range(_TRIES):
        found = read(client, [name])[name]
        if found.format == FORMAT or write(client, [line_of({"_index": name}, found)]):
            return
    raise Unavailable("stream binding: other commands keep writing it; run it again")


def read(client: Any, names: Sequence[str]) -> dict[str, Binding]:
    """What each of these indexes keeps. Raises Unavailable, and ConfigError for an index of a later release's format.
    https://docs.opensearch.org/latest/api-reference/document-apis/multi-get/"""
    wanted = [{"_index": name, "_id": ID, "routing": ID} for name in names]
    try:
        documents = client.get_many(body=orjson.dumps({"docs": wanted}), request_timeout=_SECONDS)["docs"]
    except Refused as error:
        raise Unavailable(f"stream binding: {error.end().outcome.cause}", error.detail) from error
    return {name: _binding(name, each) for name, each in zip(names, documents, strict=True)}


def _bind(client: Any, indexes: Sequence[tuple[str, str]], stream: str) -> None:
    for _ in range(_TRIES):
        found, lines = read(client, [name for name, _ in indexes]), []
        for name, alias in indexes:
            if found[name].stream not in ("", stream):
                raise _refused(name, found[name].stream, stream)
            if not found[name].stream:
                lines.append(line_of({"_index": alias, "require_alias": True}, replace(found[name], stream=stream)))
        if not lines or write(client, lines):
            return
    raise Unavailable("stream binding: other functions keep writing it; it is tried again")


def _refused(name: str, bound: str, stream: str) -> ForeignStream:
    return ForeignStream(
        f"index '{name}' belongs to stream {bound}, not to {stream}: if this stream takes the other one's place, raise "
        "Generation, leave AlsoGeneration empty, list the old stream in EarlierStreams, and fill the new generation's "
        "index; if both are to be searched, declare an index of another name for this one"
    )


def _binding(name: str, document: Mapping[str, Any]) -> Binding:
    if "error" in document:
        kind = str(document["error"].get("type", ""))
        if kind == "index_not_found_exception":
            raise Unavailable(f"index '{name}' is missing: run `distributary index apply` for this generation")
        raise Unavailable(f"stream binding: OpenSearch answered {kind}", str(document["error"]))
    if not document["found"]:
        return Binding()
    source = document["_source"]
    check_format(f"index '{name}'", source[FORMAT_FIELD], FORMAT)
    written, declared = (document["_seq_no"], document["_primary_term"]), orjson.loads(source.get(DECLARED_FIELD, "[]"))
    return Binding(source[STREAM_FIELD], source[FORMAT_FIELD], written, tuple(declared))


def line_of(place: Mapping[str, Any], binding: Binding) -> bytes:
    """A write of the document, in this release's format, that holds only if it was `written` as the binding says.
    https://docs.opensearch.org/latest/api-reference/document-apis/bulk/"""
    header: dict[str, Any] = {**place, "_id": ID, "routing": ID}
    if binding.written is not None:
        header["if_seq_no"], header["if_primary_term"] = binding.written
    body: dict[str, Any] = {DELETED_AT: _NEVER_PURGED, FORMAT_FIELD: FORMAT, STREAM_FIELD: binding.stream}
    if binding.declared:
        body[DECLARED_FIELD] = orjson.dumps(binding.declared).decode()
    return orjson.dumps({"create" if binding.written is None else "index": header}) + b"\n" + orjson.dumps(body) + b"\n"


def write(client: Any, lines: Sequence[bytes]) -> bool:
    """Whether all of them held. Raises Unavailable."""
    try:
        answers = client.bulk(body=b"".join(lines), request_timeout=_SECONDS)["items"]
    except Refused as error:
        raise Unavailable(f"stream binding: {error.end().outcome.cause}", error.detail) from error
    items = [next(iter(each.values())) for each in answers]
    wrong = next((each for each in items if each["status"] not in (200, 201, 409)), None)
    if wrong is not None:
        raise Unavailable(f"stream binding: {of_item(wrong).outcome.cause}", str(wrong))
    return all(each["status"] != 409 for each in items)
