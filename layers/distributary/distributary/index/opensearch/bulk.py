"""OpenSearch's _bulk: few requests for many documents, one outcome for each."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from distributary.consumer import outcome as outcomes
from distributary.consumer.backoff import backoff
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome
from distributary.consumer.parallel import Parallel
from distributary.errors import DistributaryError, Unavailable
from distributary.index.opensearch.bulk_errors import End, Refused, of_item
from distributary.index.opensearch.concurrency_limit import LANES, Pace
from distributary.stream.struct import Struct

MAX_BYTES = 5 * 1024 * 1024
"""Half of the smallest request limit of an OpenSearch Service domain.
https://docs.aws.amazon.com/opensearch-service/latest/developerguide/limits.html"""

MAX_ACTIONS = 1000
_RETYPED_TRIES = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_STOPPED = End(outcomes.failed(Unavailable("bulk: stopped before the function's timeout")))


class Action(Struct, frozen=True):
    """One document to index: its id and its two lines of NDJSON. `may_tie`: its version is a time, so that what has the
    same version may be another change."""

    id: str
    lines: bytes
    may_tie: bool = False


class Bulk:
    """`client` has `bulk(body, request_timeout)`, which raises Refused and does not retry by itself.

    `max_bytes` bounds a request's body before compression. The pace is remembered as long as this object lives, that
    is as long as the function's environment.
    """

    def __init__(
        self,
        client: Any,
        pause: Callable[[float], None] = time.sleep,
        parallel: Any = None,
        max_bytes: int | None = None,
    ) -> None:
        self._client, self._pause, self._parallel = client, pause, parallel or Parallel(LANES)
        self._pace = Pace.full(max_bytes or MAX_BYTES)

    def send(self, actions: Sequence[Action], deadline: Deadline) -> list[Outcome]:
        """One outcome per action, in order; no two actions are of one document.

        Written is applied, a newer version there superseded, a document that OpenSearch refuses parked. What is busy
        (429, 5xx, no answer) is tried again with full jitter until the deadline, then failed. If another document has
        just given a new field another type, the next try finds the mapping; after three tries the change is parked.
        """
        ends, retyped = [_STOPPED] * len(actions), Counter[int]()
        waiting, rounds = list(range(len(actions))), 0
        while waiting and deadline.left():
            cut = list(islice(chunks((actions[i] for i in waiting), self._pace.size), self._pace.lanes))
            tried = sum(map(len, cut))
            for i, each in zip(waiting[:tried], self._round(cut, deadline), strict=True):
                ends[i] = ends[i] if each is _STOPPED else each
            retyped.update(i for i in waiting[:tried] if ends[i].retyped)
            again = [i for i in waiting[:tried] if ends[i].again or (ends[i].retyped and retyped[i] < _RETYPED_TRIES)]
            waiting = waiting[tried:] + again
            if again:
                backoff(deadline, rounds, _FIRST_PAUSE, _LONGEST_PAUSE, self._pause)
                rounds += 1
        return [each.outcome for each in ends]

    def _round(self, cut: Sequence[list[Action]], deadline: Deadline) -> list[End]:
        """Sends the chunks at the same time; the ends of all their actions, in order."""
        answers = self._parallel.run(lambda chunk: self._once(chunk, deadline), cut, deadline)
        ends: list[End] = []
        for chunk, answer in zip(cut, answers, strict=True):
            ends += [_STOPPED] * len(chunk) if isinstance(answer, DistributaryError) else answer
        self._pace = self._pace.after(busy=any(each.busy for each in ends))
        return ends

    def _once(self, actions: Sequence[Action], deadline: Deadline) -> list[End]:
        body = b"".join(action.lines for action in actions)
        try:
            items = self._client.bulk(body=body, request_timeout=max(1.0, deadline.left()))["items"]
            if len(items) != len(actions):
                raise Refused(0, "an answer for fewer documents")
        except Refused as error:
            return self._refused(actions, error, deadline)
        except DistributaryError as error:
            return [End(outcomes.failed(error))] * len(actions)
        return [of_item(next(iter(item.values())), action.may_tie) for action, item in zip(actions, items, strict=True)]

    def _refused(self, actions: Sequence[Action], error: Refused, deadline: Deadline) -> list[End]:
        """A faulty header fails a request as a whole, and so does its size: the culprit is looked for by halves."""
        if error.refuses_content and len(actions) > 1:
            if not deadline.left():
                return [_STOPPED] * len(actions)
            middle = len(actions) // 2
            return self._once(actions[:middle], deadline) + self._once(actions[middle:], deadline)
        return [error.end()] * len(actions)


def chunks(actions: Iterable[Action], most: int = MAX_BYTES) -> Iterator[list[Action]]:
    """In order, each of at most MAX_ACTIONS and `most` bytes; a larger action has a chunk of its own."""
    chunk: list[Action] = []
    size = 0
    for action in actions:
        if chunk and (len(chunk) == MAX_ACTIONS or size + len(action.lines) > most):
            yield chunk
            chunk, size = [], 0
        chunk.append(action)
        size += len(action.lines)
    if chunk:
        yield chunk
