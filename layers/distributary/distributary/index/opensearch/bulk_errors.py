"""What OpenSearch, or the way to it, says instead of yes: one outcome for each, and whether to try again."""

import re
from typing import Any

from distributary.consumer import outcome as outcomes
from distributary.consumer.outcome import APPLIED, SUPERSEDED, TIED, Outcome
from distributary.errors import Rejected, Unavailable
from distributary.stream.struct import Struct

UNKNOWN_HOST = "unknown_host"
UNTRUSTED = "untrusted_certificate"
_NOT_OPENSEARCH = "not_opensearch"

_BUSY = {429, 500, 502, 503, 504}
_BLOCKED = "cluster_block_exception"
_UNDECLARED = "strict_dynamic_mapping_exception"

_TOP_LEVEL = re.compile(r"(mapping set to strict, )?dynamic introduction of \[[^][]*\] within \[_doc\] is not allowed")
_MEANT = {
    "pipeline with id [": "missing_pipeline",
    "Document ID is not supported": "unsupported",
    "explicit index in bulk is not allowed": "explicit_index",
    "no write index is defined for alias [": "no_write_index",
}
_RETYPED = re.compile(r"mapper \[.*\] cannot be changed from type \[\w+\] to \[\w+\]", re.DOTALL)
"""OpenSearch's answer to the later of two changes that give one new field two types at once."""

_NOT_DEPLOYED = {
    UNKNOWN_HOST: "correct OpenSearchEndpoint, or let the function's network find it",
    UNTRUSTED: "give the endpoint a trusted certificate for its name, or name its CA in SSL_CERT_FILE",
    _NOT_OPENSEARCH: "something before OpenSearch refuses the request: see whether OpenSearchEndpoint is its address",
    "index_closed_exception": "open the index",
    _BLOCKED: "the index is blocked for writing: free disk space, or take the block away",
    _UNDECLARED: "a declared field is not in the index yet: run `distributary index apply`",
    "missing_pipeline": "the declared ingest pipeline is missing: make it, or correct its name",
    "explicit_index": "set rest.action.multi.allow_explicit_index to true on the domain: each line of a bulk request "
    "names its index",
    "no_write_index": "the write alias is on several indexes: leave it on that of its generation alone",
    "unsupported": "this collection takes no ids of one's own: use a search collection or a domain",
}
"""Refusals that no document is to blame for: at its top level, only declared fields are written."""

_FIX = {
    401: "check the credentials that the requests carry",
    403: "grant the function's role this domain, and see whether the index is blocked for writing",
    404: "the write alias is missing: run `distributary index apply` for this generation",
}


class Refused(Exception):
    """A request as a whole failed, as far as is known; `status_code` 0 if there was no response.

    `kind` is OpenSearch's error type or what stood in the way, `detail` what was said, which may quote an item.
    """

    def __init__(self, status_code: int, kind: str = "", detail: str = "", reason: str = "") -> None:
        super().__init__(f"{status_code} {kind}")
        self.status_code, self.kind, self.detail = status_code, _kind(status_code, kind, reason), detail

    @property
    def refuses_content(self) -> bool:
        """Whether a document in it may be to blame: a 400 without OpenSearch's error type is not OpenSearch's."""
        if self.kind in _NOT_DEPLOYED:
            return False
        return self.status_code == 413 or (self.status_code == 400 and bool(self.kind))

    def end(self) -> "End":
        """That of each document in it."""
        if self.status_code == 400 and not self.kind:
            return end(400, _NOT_OPENSEARCH, "", self.detail)
        return end(self.status_code, self.kind or "request", "", self.detail)


class End(Struct, frozen=True):
    """One document's, after one request: `again` if it is worth another, `busy` if there was too much at a time.
    `retyped` if its mapping was made by another document at the same time: it is worth a few more."""

    outcome: Outcome
    again: bool = False
    busy: bool = False
    retyped: bool = False


_WRITTEN, _OVERTAKEN = End(APPLIED), End(SUPERSEDED)


_CONFLICT = re.compile(r"current version \[(\d+)\] is higher or equal to the one provided \[(\d+)\]")
_REPAIRS = 6
"""By how much repairs raise a document's version, at most, between two changes: each by one microsecond."""


def of_item(item: dict[str, Any], may_tie: bool = False) -> End:
    """`item`: a member of a bulk answer, with its status and perhaps an error. With `may_tie`, a document of the same
    version may be another change's."""
    if item["status"] in (200, 201):
        return _WRITTEN
    error = item.get("error") or {}
    said = error if isinstance(error, dict) else {"type": "", "reason": str(error)}
    if may_tie and item["status"] == 409:
        return End(TIED) if _ties(str(said.get("reason", ""))) else _OVERTAKEN
    return end(int(item["status"]), str(said.get("type", "")), str(said.get("reason", "")), str(said))


def _ties(reason: str) -> bool:
    """Whether a conflict is one of equal versions. What does not say so may be one."""
    found = _CONFLICT.search(reason)
    return found is None or int(found[1]) - int(found[2]) <= _REPAIRS


def end(status: int, kind: str, reason: str, detail: str = "") -> End:
    """The outcome of a status, with OpenSearch's error type, its reason, and everything that it said."""
    if status in (200, 201):
        return _WRITTEN
    if status == 409:
        return _OVERTAKEN
    kind, detail = _kind(status, kind, reason), detail or reason
    if kind in _NOT_DEPLOYED:
        return End(outcomes.failed(Unavailable(f"bulk: {kind}; {_NOT_DEPLOYED[kind]}", detail)))
    if status in (400, 413):
        parked = outcomes.parked(Rejected(f"bulk: OpenSearch answered {status} {kind}", detail))
        return End(parked, retyped=_RETYPED.search(reason) is not None)
    fix = _FIX.get(status)
    cause = f"bulk: OpenSearch answered {status or 'nothing'} {kind}" + (f"; {fix}" if fix else "")
    return End(outcomes.failed(Unavailable(cause, detail)), not status or status in _BUSY, status == 429)


def _kind(status: int, kind: str, reason: str) -> str:
    """The error's type, divided where one type may be the fault of a document or of the deployment.

    A reason may quote an item, so only one that as a whole, or from its beginning, is the engine's own says anything:
    or an item could hold up its shard by what is written in it.
    """
    if kind == _UNDECLARED and not _TOP_LEVEL.fullmatch(reason):
        return "strict_dynamic_mapping_exception below a declared field"
    if kind == _BLOCKED and status == 503:
        return "cluster_block_exception, no index of one's own"
    for beginning, meant in _MEANT.items() if kind == "illegal_argument_exception" else ():
        if reason.startswith(beginning):
            return meant
    return kind
