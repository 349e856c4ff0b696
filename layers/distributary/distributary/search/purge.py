"""Markers of deletions that are older than any change can come late: taken away, so that an index does not fill up."""

from dataclasses import dataclass
from typing import Any

from distributary.deadline import Deadline
from distributary.indexes import DELETED_AT

DAY_SECONDS = 86_400
_AT_A_TIME = 5_000


@dataclass(frozen=True, slots=True)
class Purged:
    """`deleted` markers, `conflicts` of documents that changed meanwhile and stay, `whole`: none is left."""

    deleted: int
    conflicts: int
    whole: bool


def purge(client: Any, alias: str, before: float, deadline: Deadline) -> Purged:
    """Deletes the markers written before this time (epoch seconds), as long as there is time left.

    The engine deletes each only as the search found it (by its sequence number): a document that came back to life
    since is a conflict and stays, https://docs.opensearch.org/latest/api-reference/document-apis/delete-by-query/
    """
    deleted = conflicts = 0
    while deadline.left():
        answer = client.delete_by_query(
            index=alias,
            body={"query": {"range": {DELETED_AT: {"lt": int(before)}}}},
            params={"conflicts": "proceed", "refresh": "true", "max_docs": _AT_A_TIME},
            request_timeout=max(1.0, deadline.left()),
        )
        deleted += answer["deleted"]
        conflicts += answer.get("version_conflicts", 0)
        if not answer["deleted"]:
            return Purged(deleted, conflicts, True)
    return Purged(deleted, conflicts, False)
