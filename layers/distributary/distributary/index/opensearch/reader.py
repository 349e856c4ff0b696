"""What an OpenSearch index holds: documents by id, and all of them in pages, each with its version."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from opensearchpy.exceptions import NotFoundError, SerializationError, TransportError

from distributary.consumer.backoff import backoff
from distributary.consumer.deadline import FOREVER
from distributary.errors import ConfigError, Unavailable
from distributary.index.document import DELETED_AT
from distributary.index.opensearch.bindings import ITEMS_ONLY
from distributary.index.opensearch.schema import VISIBLE

Result = TypeVar("Result")

PAGE = 1000
MARKERS = {"bool": {**ITEMS_ONLY["bool"], "filter": [{"exists": {"field": DELETED_AT}}]}}
"""A query for the markers of deleted items."""

_KEPT_ALIVE = "5m"
_TRIES, _FIRST_PAUSE, _LONGEST_PAUSE = 6, 0.2, 6.4
_WRONG = {
    400: "its detail says why; Serverless has no scroll, and cannot be verified",
    401: "check the credentials that sign the requests",
    403: "grant these credentials the domain",
    404: "there is no such index: run `distributary index apply` for this generation, or correct --generation",
}


@dataclass(frozen=True, slots=True)
class Document:
    """`body` is empty if it was not asked for."""

    id: str
    routing: str | None
    version: int
    body: Mapping[str, Any]


class Lost(Unavailable):
    """A page of a scan that cannot be asked for again: OpenSearch moves a scroll on with each request, answered or not.
    Only a scan from the beginning shows all documents."""


@dataclass(frozen=True, slots=True)
class After:
    """Where a scan goes on, once: how many documents are still to come from its `scroll`."""

    scroll: str
    left: int


def find(client: Any, index: str, wanted: Sequence[tuple[str, str | None]]) -> dict[str, Document]:
    """Documents by id, those that exist, as they were last written (a get is realtime); `wanted` are ids with routing.
    Raises Unavailable, ConfigError.
    https://docs.opensearch.org/latest/api-reference/document-apis/multi-get/"""
    if not wanted:
        return {}
    docs = [{"_id": id, **({"routing": routing} if routing is not None else {})} for id, routing in wanted]
    answer = asked("documents", lambda: client.mget(index=index, body={"docs": docs}))
    faults = [each["error"] for each in answer["docs"] if "error" in each]
    if faults:
        raise Unavailable("documents: OpenSearch could not read some of them", str(faults[0]))
    return {each["_id"]: _document(each) for each in answer["docs"] if each["found"]}


def visible(client: Any, index: str, slice: int, slices: int) -> Iterator[list[Document]]:
    """One slice of the documents that are no markers, without their bodies, in pages, as they stood at the first.
    Raises Lost behind pages of which one is missing, Unavailable, ConfigError.

    A scroll, not a point in time: paging through that needs a sort value that is the document's own, and outside of
    its fields there is none that costs nothing. https://docs.opensearch.org/latest/api-reference/scroll/
    """
    return _scanned(client, index, VISIBLE, slice, slices)


def markers(client: Any, index: str) -> Iterator[list[Document]]:
    """The markers of deleted items, as `visible` gives documents. Raises as that does."""
    return _scanned(client, index, MARKERS, 0, 1)


def _scanned(client: Any, index: str, query: Mapping[str, Any], slice: int, slices: int) -> Iterator[list[Document]]:
    answer = _first(client, index, query, slice, slices, PAGE)
    left = answer["hits"]["total"]["value"]
    try:
        while answer["hits"]["hits"]:
            left -= len(answer["hits"]["hits"])
            yield [_document(hit) for hit in answer["hits"]["hits"]]
            answer = _next(client, answer["_scroll_id"])
    finally:
        _end(client, answer["_scroll_id"])
    _require_all(left)


def page(
    client: Any, index: str, slice: int, slices: int, after: After | None, size: int
) -> tuple[list[Document], After | None]:
    """The first page of `visible`, or the one `after` another, with what asks for the next one: None behind the last.
    Raises Lost if the scroll has expired, after five minutes, or a page of the scan was passed over, such as by a
    request that was made twice; Unavailable, ConfigError."""
    answer = _first(client, index, VISIBLE, slice, slices, size) if after is None else _next(client, after.scroll)
    found = [_document(hit) for hit in answer["hits"]["hits"]]
    left = (answer["hits"]["total"]["value"] if after is None else after.left) - len(found)
    if found:
        return found, After(answer["_scroll_id"], left)
    _end(client, answer["_scroll_id"])
    _require_all(left)
    return [], None


def _require_all(left: int) -> None:
    if left:
        raise Lost("scan: a page was passed over: begin the scan anew", f"{left} documents are missing")


def refresh(client: Any, index: str) -> None:
    """What was written is found by the searches that follow. Raises Unavailable, ConfigError."""
    asked("refresh", lambda: client.indices.refresh(index=index))


def asked(
    what: str,
    call: Callable[[], Result],
    sleep: Callable[[float], None] = time.sleep,
    missing: type[Exception] | tuple[()] = (),
    tries: int = _TRIES,
) -> Result:
    """The answer; what is busy is asked again a few times, with full jitter. Raises Unavailable, ConfigError, and
    `missing` as it is."""
    for tried in range(1, tries + 1):
        try:
            return call()
        except missing:
            raise
        except (TransportError, SerializationError) as error:
            status = error.status_code if isinstance(error, TransportError) else 0
            if status in _WRONG:
                raise ConfigError(f"{what}: OpenSearch answered {status}; {_WRONG[status]}") from error
            if tried == tries:
                named = status if isinstance(status, int) and status else "nothing"
                raise Unavailable(f"{what}: OpenSearch answered {named}", str(error)) from error
            backoff(FOREVER, tried, _FIRST_PAUSE, _LONGEST_PAUSE, sleep)
    raise AssertionError("unreachable: the last try returns or raises")


def _query(query: Mapping[str, Any], slice: int, slices: int, size: int) -> dict[str, Any]:
    return {
        "size": size,
        "query": query,
        "version": True,
        "_source": False,
        "sort": ["_doc"],
        "track_total_hits": True,
        **({"slice": {"id": slice, "max": slices}} if slices > 1 else {}),
    }


def _first(client: Any, index: str, query: Mapping[str, Any], slice: int, slices: int, size: int) -> Any:
    body = _query(query, slice, slices, size)
    return asked("scan", lambda: _whole(client.search(index=index, body=body, scroll=_KEPT_ALIVE)))


def _next(client: Any, scroll: str) -> Any:
    body = {"scroll_id": scroll, "scroll": _KEPT_ALIVE}
    try:
        return asked("scan", lambda: _whole(client.scroll(body=body)), missing=NotFoundError, tries=1)
    except (NotFoundError, Unavailable) as error:
        raise Lost("scan: a page was lost: begin the scan anew", str(error)) from error


def _end(client: Any, scroll: str) -> None:
    with suppress(TransportError):
        client.clear_scroll(body={"scroll_id": [scroll]})


def _whole(answer: Any) -> Any:
    """A page that a shard is missing from would pass over documents without a word."""
    if answer["_shards"]["failed"] or answer.get("timed_out"):
        raise TransportError(503, "search_phase_execution_exception", {"failed": answer["_shards"]["failed"]})
    return answer


def _document(hit: Mapping[str, Any]) -> Document:
    return Document(hit["_id"], hit.get("_routing"), hit["_version"], hit.get("_source") or {})
