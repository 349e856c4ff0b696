"""OpenSearch's _bulk: one request for many documents, one outcome for each."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from opensearchpy.exceptions import TransportError

from distributary import outcome as outcomes
from distributary.deadline import Deadline
from distributary.errors import Rejected, Unavailable
from distributary.outcome import APPLIED, SUPERSEDED, Outcome

MAX_BYTES = 5 * 1024 * 1024
"""Half of the smallest request limit of an OpenSearch Service domain.
https://docs.aws.amazon.com/opensearch-service/latest/developerguide/limits.html"""

MAX_ACTIONS = 1000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_BUSY = {429, 500, 502, 503, 504}
_STOPPED = outcomes.failed(Unavailable("bulk: stopped before the function's timeout"))
_UNDECLARED = "strict_dynamic_mapping_exception"
_NOT_DEPLOYED = {
    "index_closed_exception": "open the index",
    _UNDECLARED: "a declared field is not in the index yet: run `make index-apply`",
}
"""Refusals that no document is to blame for: at its top level, only declared fields are written."""

_MEND = {
    401: "check the credentials that sign the requests",
    403: "grant the function's role this domain, and see whether the index is blocked for writing",
    404: "the write alias is missing: run `make index-apply` for this generation",
}


@dataclass(frozen=True, slots=True)
class Action:
    """One document to index: its id and its two lines of NDJSON."""

    id: str
    lines: bytes


@dataclass(frozen=True, slots=True)
class Bulk:
    """`client` is an opensearchpy.OpenSearch that does not retry by itself."""

    client: Any
    pause: Callable[[float], None] = time.sleep

    def send(self, actions: Sequence[Action], deadline: Deadline) -> list[Outcome]:
        """One outcome per action, in order.

        Written is applied, a newer version there superseded, a document that OpenSearch refuses parked. What is busy
        (429, 5xx, no answer) is tried again with full jitter until the deadline, then failed.
        """
        ends: list[Outcome] = []
        for chunk in chunks(actions):
            ends += self._persist(chunk, deadline)
        return ends

    def _persist(self, actions: Sequence[Action], deadline: Deadline) -> list[Outcome]:
        ends: list[Outcome] = [_STOPPED] * len(actions)
        waiting, pause = list(range(len(actions))), _FIRST_PAUSE
        while waiting and deadline.left():
            tried = list(zip(waiting, self._once([actions[i] for i in waiting], deadline), strict=True))
            for i, end in tried:
                ends[i] = end.outcome
            waiting = [i for i, end in tried if end.again]
            if waiting:
                self.pause(min(random.uniform(0, pause), deadline.left()))
                pause = min(pause * 2, _LONGEST_PAUSE)
        return ends

    def _once(self, actions: Sequence[Action], deadline: Deadline) -> list["_End"]:
        try:
            answer = self.client.bulk(
                body=b"".join(action.lines for action in actions),
                request_timeout=max(1.0, deadline.left()),
            )
        except TransportError as error:
            return self._refused(actions, error, deadline)
        return [_item_end(next(iter(item.values()))) for item in answer["items"]]

    def _refused(self, actions: Sequence[Action], error: TransportError, deadline: Deadline) -> list["_End"]:
        """The whole request came to nothing, as far as is known."""
        status = error.status_code if isinstance(error.status_code, int) else 0
        detail = str(error)
        if status in (400, 413) and len(actions) > 1:
            if not deadline.left():
                return [_End(_STOPPED)] * len(actions)
            middle = len(actions) // 2
            return self._once(actions[:middle], deadline) + self._once(actions[middle:], deadline)
        return [_end(status, "request", detail)] * len(actions)


@dataclass(frozen=True, slots=True)
class _End:
    outcome: Outcome
    again: bool = False


def _item_end(item: dict[str, Any]) -> _End:
    error = item.get("error") or {}
    return _end(item["status"], error.get("type", ""), str(error))


def _end(status: int, kind: str, detail: str) -> _End:
    if status in (200, 201):
        return _End(APPLIED)
    if status == 409:
        return _End(SUPERSEDED)
    if kind in _NOT_DEPLOYED and (kind != _UNDECLARED or "within [_doc]" in detail):
        return _End(outcomes.failed(Unavailable(f"bulk: {kind}; {_NOT_DEPLOYED[kind]}", detail)))
    if status in (400, 413):
        return _End(outcomes.parked(Rejected(f"bulk: OpenSearch answered {status} {kind}", detail)))
    mend = _MEND.get(status)
    cause = f"bulk: OpenSearch answered {status or 'nothing'} {kind}" + (f"; {mend}" if mend else "")
    return _End(outcomes.failed(Unavailable(cause, detail)), again=not status or status in _BUSY)


def chunks(actions: Iterable[Action]) -> Iterator[list[Action]]:
    """In order, each of at most MAX_ACTIONS and MAX_BYTES; a single larger action stands alone."""
    chunk: list[Action] = []
    size = 0
    for action in actions:
        if chunk and (len(chunk) == MAX_ACTIONS or size + len(action.lines) > MAX_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(action)
        size += len(action.lines)
    if chunk:
        yield chunk
