"""Markers of deletions that are older than any change can come late: taken away, so that an index does not fill up."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson

from distributary.consumer.deadline import Deadline
from distributary.errors import Unavailable
from distributary.index.document import DELETED_AT
from distributary.index.opensearch.bulk_errors import Refused

DAY_SECONDS = 86_400
_AT_A_TIME = 1_000
_GONE = (200, 404)
_CHANGED = 409


@dataclass(frozen=True, slots=True)
class Purged:
    """`deleted` markers, `conflicts` of documents that changed meanwhile and stay, `whole`: no old marker is left."""

    deleted: int
    conflicts: int
    whole: bool


def purge(client: Any, alias: str, before: float, deadline: Deadline) -> Purged:
    """Deletes the markers written before this time (epoch seconds), as long as there is time left.

    Each is deleted only as the search found it, by sequence number and primary term: a document that came back to
    life since is a conflict and stays. Raises Unavailable if OpenSearch refuses a request, and opensearchpy's errors.
    https://docs.opensearch.org/latest/api-reference/document-apis/bulk/
    """
    deleted = conflicts = 0
    while deadline.left():
        client.indices.refresh(index=alias)
        hits = client.search(index=alias, body=_old_markers(before))["hits"]["hits"]
        if not hits:
            return Purged(deleted, conflicts, True)
        statuses = _delete(client, alias, hits, deadline)
        deleted += sum(statuses[status] for status in _GONE)
        conflicts += statuses[_CHANGED]
        if not any(statuses[status] for status in _GONE):
            break
    return Purged(deleted, conflicts, False)


def _old_markers(before: float) -> dict[str, Any]:
    query = {"range": {DELETED_AT: {"lt": int(before)}}}
    return {"size": _AT_A_TIME, "query": query, "_source": False, "seq_no_primary_term": True}


def _delete(client: Any, alias: str, hits: list[dict[str, Any]], deadline: Deadline) -> Counter[int]:
    """How many of the deletes came to which status."""
    body = b"".join(orjson.dumps({"delete": _as_found(alias, hit)}, option=orjson.OPT_APPEND_NEWLINE) for hit in hits)
    try:
        answer = client.bulk(body=body, request_timeout=max(1.0, deadline.left()))
    except Refused as error:
        raise Unavailable(f"purge: OpenSearch answered {error}", error.detail) from error
    return Counter(int(item["delete"]["status"]) for item in answer["items"])


def _as_found(alias: str, hit: dict[str, Any]) -> dict[str, Any]:
    found = {
        "_index": alias,
        "_id": hit["_id"],
        "if_seq_no": hit["_seq_no"],
        "if_primary_term": hit["_primary_term"],
        "require_alias": True,
    }
    return found | ({"routing": hit["_routing"]} if "_routing" in hit else {})
