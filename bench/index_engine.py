"""Documents in a real OpenSearch, by index and by what people use: speed, traffic, and what is wrong after faults."""

import contextlib
import os
import statistics
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from bench.harness import Row, row
from bench.index_documents import BATCH, Documents
from bench.index_sides import NPM, POWERTOOLS, Npm, Side, create_plain, ours, powertools
from distributary.search.connect import connect
from tests.fakes.fault_proxy import proxied
from tests.opensearch_node import Node, NoNode, node

ROUNDS, WARM = 7, 5
NPM_TARGET, POWERTOOLS_TARGET = 1 / 3, 1 / 2
ENVIRONMENT = {"POWERTOOLS_METRICS_NAMESPACE": "Distributary", "POWERTOOLS_SERVICE_NAME": "bench"}


def rows(folder: Path) -> list[Row]:
    """Per change: wall time and CPU of the function's process; per 1,000: requests and bytes; after faults: what is
    stale, dead or missing. Nothing without a node, or without Node.js: that is said on stderr."""
    try:
        with mock.patch.dict(os.environ, ENVIRONMENT), _engine() as (url, restart):
            return [row for skewed in (False, True) for row in _compared(url, restart, skewed, folder)]
    except (NoNode, FileNotFoundError) as error:
        print(f"index: not measured: {error}", file=sys.stderr)
        return []


@contextlib.contextmanager
def _engine() -> Iterator[tuple[str, Callable[[], None]]]:
    """An address, and how to restart what is there; the user's own node is not restarted."""
    if os.environ.get("OPENSEARCH_URL"):
        yield os.environ["OPENSEARCH_URL"], lambda: None
        return
    with node() as one:
        yield one.url, lambda: _restarted(one)


def _restarted(one: Node) -> None:
    one.stop()
    one.start()


def _compared(url: str, restart: Callable[[], None], skewed: bool, folder: Path) -> list[Row]:
    workload = f"{'Zipf' if skewed else 'uniform'}, 5,000 documents of 1 KB"
    prefix, client, documents = f"bench-{uuid.uuid4().hex[:8]}", connect(url, "none"), Documents(skewed)
    npm = Npm(f"{prefix}-npm", folder)
    sides: list[Side] = [ours(prefix, client), npm, powertools(prefix)]
    try:
        for side in sides[1:]:
            create_plain(client, side.readable)
        for _ in range(WARM):
            _in_turn(documents.batch(), sides, url)
        times = [_in_turn(documents.batch(), sides, url) for _ in range(ROUNDS)]
        traffic = _traffic(documents.batch(), sides, url)
        before = [documents.wrong(side.found(client)) for side in sides]
        _faults(documents, sides, url, client, restart)
        after = [documents.wrong(side.found(client)) for side in sides]
    finally:
        npm.close()
        client.indices.delete(index=f"{prefix}-*")
    errors = _errors(f"{workload}; each once and in order", before)
    errors += _errors(f"{workload}; a rewind, two batches in no order, a restart, a redrive", after)
    return [*_costs(workload, times), *_requests(workload, traffic), *errors]


def _in_turn(batch: dict[str, Any], sides: list[Side], url: str) -> list[tuple[float, float]]:
    return [side.handle(batch, url) for side in sides]


def _traffic(batch: dict[str, Any], sides: list[Side], url: str) -> list[tuple[int, int]]:
    """Requests, and bytes of their bodies, of a batch that goes through a proxy; it is not timed."""
    found = []
    for side in sides:
        with proxied(url) as proxy:
            side.handle(batch, proxy.url)
            found.append((proxy.requests, proxy.body_bytes))
    return found


def _faults(documents: Documents, sides: list[Side], url: str, client: Any, restart: Callable[[], None]) -> None:
    """A batch and the one before it again, a rewind; two batches whose records come in no order, as after a redrive;
    a flush and a restart of the engine; and the first batch once more."""
    first, second, third = (documents.batch() for _ in range(3))
    for batch in (first, second, first, documents.shuffled(second, third)):
        _in_turn(batch, sides, url)
    for side in sides:
        client.indices.flush(index=side.readable, force=True)
    restart()
    _in_turn(first, sides, url)


def _costs(workload: str, times: list[list[tuple[float, float]]]) -> list[Row]:
    def median(side: int, what: int) -> float:
        return statistics.median(each[side][what] for each in times) * 1000 / BATCH

    return [
        row("index", workload, figure, "us", median(0, what), median(side, what), name, target if what else None)
        for side, name, target in ((1, NPM, NPM_TARGET), (2, POWERTOOLS, POWERTOOLS_TARGET))
        for what, figure in ((0, "wall time per change"), (1, "CPU time per change"))
    ]


def _requests(workload: str, traffic: list[tuple[int, int]]) -> list[Row]:
    per = BATCH / 1000
    return [
        row("index", workload, figure, "per 1,000", traffic[0][what] / per, traffic[side][what] / per, name)
        for side, name in ((1, NPM), (2, POWERTOOLS))
        for what, figure in ((0, "requests"), (1, "bytes of requests"))
    ]


def _errors(workload: str, wrong: list[dict[str, int]]) -> list[Row]:
    return [
        row("index", workload, kind, "documents", wrong[0][kind], wrong[side][kind], name, 0.0)
        for side, name in ((1, NPM), (2, POWERTOOLS))
        for kind in wrong[0]
    ]


if __name__ == "__main__":
    from bench.harness import publish

    sys.exit(publish(rows(Path(".bench/npm")), Path(".bench/index.json")))
