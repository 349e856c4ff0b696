"""Documents of 1 KB in one OpenSearch node, by index and by what people use: cost, speed, and error after faults."""

import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from opensearchpy import OpenSearch

from bench.harness import Row, row
from bench.index_sides import MAPPING, NPM, POWERTOOLS, Missing, Side, installed, npm, ours, powertools
from bench.wire import Wire
from bench.workloads import BATCH, UNIFORM, ZIPF, Orders, Workload
from tests.opensearch_node import Node, NoNode, node

ROUNDS = 7
NOTE_BYTES = 700
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "Distributary",
    "POWERTOOLS_SERVICE_NAME": "bench",
}
CPU_TARGETS = {NPM: 0.85, POWERTOOLS: 0.4}


def rows() -> list[Row]:
    """Per change: CPU and wall time; per 1,000: requests and bytes; documents that are wrong after faults."""
    with ExitStack() as stack:
        own = None if os.environ.get("OPENSEARCH_URL") else stack.enter_context(_node())
        url = own.url if own else os.environ["OPENSEARCH_URL"]
        stack.enter_context(mock.patch.dict(os.environ, ENVIRONMENT))
        folder = installed()
        return [
            row
            for at, workload in enumerate((UNIFORM, ZIPF))
            for row in _compared(workload, url, f"bench-{os.getpid()}-{at}", folder, own)
        ]


@contextmanager
def _node() -> Iterator[Node]:
    try:
        with node() as own:
            yield own
    except NoNode as error:
        raise Missing(str(error)) from error


def _compared(workload: Workload, url: str, prefix: str, folder: Path, own: Node | None) -> list[Row]:
    orders = Orders(workload, NOTE_BYTES)
    client = OpenSearch(hosts=[url])
    sides = _sides(url, prefix, folder, client)
    for batch in orders.placed():
        _all(sides, batch)
    _all(sides, orders.batch())
    times: list[list[tuple[float, float]]] = [[] for _ in sides]
    for _ in range(ROUNDS):
        batch = orders.batch()
        for side, taken in zip(sides, times, strict=True):
            taken.append(side.handle(batch))
    costs = _costs(url, prefix, folder, client, orders)
    calm = _all_wrong(client, sides, orders)
    _faults(client, sides, orders, own)
    wrong = [(sum(before), *after) for before, after in zip(calm, _all_wrong(client, sides, orders), strict=True)]
    for side in sides:
        side.end()
    return [row for at in (1, 2) for row in _rows(workload, sides, times, costs, wrong, at)]


def _all(sides: Sequence[Side], batch: dict[str, Any]) -> None:
    for side in sides:
        side.handle(batch)


def _sides(url: str, prefix: str, folder: Path, client: Any) -> tuple[Side, Side, Side]:
    sides = ours(url, prefix), npm(url, prefix, folder), powertools(url, prefix)
    for peer in sides[1:]:
        client.indices.create(index=peer.reader, body={"mappings": {"properties": MAPPING}})
    return sides


def _costs(url: str, prefix: str, folder: Path, client: Any, orders: Orders) -> list[tuple[float, float]]:
    """Of each side, requests that the node saw and bytes that went to it, for one batch, by a handler that is warm."""
    parts = urlsplit(url)
    found: list[tuple[float, float]] = []
    with Wire((str(parts.hostname), int(parts.port or 80))).forwarding() as wire:
        for side in _sides(wire.url, f"{prefix}-wire", folder, client):
            side.handle(orders.same())
            before, sent = _requests(client), wire.sent
            side.handle(orders.same())
            found.append((_requests(client) - before, wire.sent - sent))
            side.end()
    return found


def _requests(client: Any) -> int:
    """REST calls that the node has answered, but for those that ask how many."""
    nodes = client.transport.perform_request("GET", "/_nodes/usage/rest_actions")["nodes"].values()
    return sum(count for each in nodes for name, count in each["rest_actions"].items() if name != "nodes_usage_action")


def _faults(client: Any, sides: Sequence[Side], orders: Orders, own: Node | None) -> None:
    """A rewind, a restart of the engine, a batch that is redriven long after newer ones, and the stream goes on. A node
    that is not ours has its indexes closed and opened: that is a restart to them."""
    first, second, third = orders.batch(), orders.batch(), orders.batch()
    for batch in (first, second, first, second):
        _all(sides, batch)
    if own is not None:
        own.stop()
        own.start()
    else:
        for side in sides:
            _reopened(client, side.reader)
    for batch in (first, third):
        _all(sides, batch)


def _reopened(client: Any, index: str) -> None:
    client.indices.flush(index=index)
    for name in client.indices.get(index=index):
        client.indices.close(index=name)
        client.indices.open(index=name)
        client.cluster.health(index=name, wait_for_status="yellow")


def _all_wrong(client: Any, sides: Sequence[Side], orders: Orders) -> list[tuple[int, int, int]]:
    return [_wrong(client, side.reader, orders) for side in sides]


def _wrong(client: Any, index: str, orders: Orders) -> tuple[int, int, int]:
    """Stale, dead and missing documents."""
    client.indices.refresh(index=index)
    truth = orders.images()
    found = {hit["_id"]: hit["_source"] for hit in _hits(client, index)}
    stale = sum(str(found[id]["amount"]) != truth[id]["amount"]["N"] for id in found.keys() & truth.keys())
    return stale, len(found.keys() - truth.keys()), len(truth.keys() - found.keys())


def _hits(client: Any, index: str) -> list[dict[str, Any]]:
    query = {"size": 10_000, "query": {"match_all": {}}}
    hits: list[dict[str, Any]] = client.search(index=index, body=query)["hits"]["hits"]
    assert len(hits) < 10_000
    return hits


def _rows(
    workload: Workload,
    sides: Sequence[Side],
    times: Sequence[Sequence[tuple[float, float]]],
    costs: Sequence[tuple[float, float]],
    wrong: Sequence[Sequence[int]],
    at: int,
) -> list[Row]:
    """Ours against the peer at this place."""
    peer = sides[at].name

    def median(place: int, part: int) -> float:
        return statistics.median(each[part] for each in times[place]) * 1000 / BATCH

    faults = f"{workload.name}; a rewind, a late redrive, a restart"
    return [
        row("index", workload.name, "CPU time per change", "us", median(0, 1), median(at, 1), peer, CPU_TARGETS[peer]),
        row("index", workload.name, "wall time per change", "us", median(0, 0), median(at, 0), peer),
        row("index", workload.name, "requests", "per 1,000", costs[0][0], costs[at][0], peer),
        row("index", workload.name, "bytes sent", "KB per 1,000", costs[0][1] / 1e3, costs[at][1] / 1e3, peer),
        row("index", workload.name, "wrong documents, no fault", "", wrong[0][0], wrong[at][0], peer, 0.0),
        *(
            row("index", faults, f"{what} documents", "", wrong[0][part], wrong[at][part], peer, 0.0)
            for part, what in enumerate(("stale", "dead", "missing"), 1)
        ),
    ]
