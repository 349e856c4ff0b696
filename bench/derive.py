"""Orders and revenue by store, by derive and by the usual hand-written handler: cost, speed, and error after faults."""

import os
import statistics
from collections.abc import Callable, Sequence
from unittest import mock

from bench.handwritten import CLAIMED, NAME
from bench.harness import Row, row
from bench.sides import Side, correct, handwritten, ours
from bench.workloads import BATCH, HOT, UNIFORM, ZIPF, Orders, Workload
from local.emulators import embedded

ROUNDS = 5
REQUESTS_TARGET, TIME_TARGET, ERROR_TARGET = 1 / 20, 1.0, 0.0
UNITS_TARGETS = {UNIFORM.name: 0.8, ZIPF.name: 0.4, HOT.name: 0.4}
CPU_TARGETS = {UNIFORM.name: 1 / 6, ZIPF.name: 1 / 8, HOT.name: 1 / 8}
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "Distributary",
    "POWERTOOLS_SERVICE_NAME": "bench",
}


def rows() -> list[Row]:
    """Per 1,000 changes: requests, capacity units, milliseconds; and what is wrong after a crash and a rewind."""
    with embedded() as endpoints, mock.patch.dict(os.environ, {**ENVIRONMENT, "AWS_ENDPOINT_URL": endpoints.aws}):
        return [row for at, workload in enumerate((UNIFORM, ZIPF, HOT)) for row in _compared(workload, f"bench-{at}")]


def _compared(workload: Workload, prefix: str) -> list[Row]:
    orders, mine = Orders(workload), ours(prefix)
    for batch in orders.placed():
        mine.handle(batch)
    peer, exact = handwritten(prefix, orders.totals()), correct(prefix, orders.totals())
    sides = (mine, peer, *exact.values())
    _in_turn(orders, sides, Side.handle)
    for side in sides:
        for client in (side.client, *side.others):
            side.meter.watch(client)
    for _ in range(ROUNDS):
        _in_turn(orders, sides, Side.timed)
    for side in sides:
        assert side.errors(orders.totals()) == (0, 0), f"{side.table} is wrong before anything went wrong"
    costs = _costs(workload, mine, peer)
    for name, side in exact.items():
        costs += _units(workload, mine, side, name)
    _faults(orders, (mine, peer, exact[CLAIMED]))
    for name, side in {NAME: peer, CLAIMED: exact[CLAIMED]}.items():
        costs += _errors(workload, orders, mine, side, name)
    return costs


def _in_turn(orders: Orders, sides: Sequence[Side], does: Callable[[Side, dict], None]) -> None:
    batch = orders.batch()
    for side in sides:
        does(side, batch)


def _faults(orders: Orders, sides: Sequence[Side]) -> None:
    """A crash after half of a batch's writes, its redelivery, the next batch, and that one again: a rewind."""
    broken, following = orders.batch(), orders.batch()
    for side in sides:
        side.crash(broken)
        for batch in (broken, following, following):
            side.handle(batch)


def _costs(workload: Workload, mine: Side, peer: Side) -> list[Row]:
    """Exact counts over all timed batches, medians of their times."""

    def counted(figure: str, count: Callable[[Side], float], target: float | None = None) -> Row:
        per = ROUNDS * BATCH / 1000
        return row("derive", workload.name, figure, "per 1,000", count(mine) / per, count(peer) / per, NAME, target)

    def timed(figure: str, times: Callable[[Side], list[float]], target: float) -> Row:
        ours, theirs = (statistics.median(times(side)) * 1000 / BATCH for side in (mine, peer))
        return row("derive", workload.name, figure, "us", ours, theirs, NAME, target)

    return [
        counted("requests", lambda side: side.meter.requests.total(), REQUESTS_TARGET if workload is ZIPF else None),
        counted("write units, transactions twice", lambda side: side.meter.write_units),
        counted("read units", lambda side: side.meter.read_units),
        timed("wall time per change", lambda side: side.wall, TIME_TARGET),
        timed("CPU time per change", lambda side: side.cpu, CPU_TARGETS[workload.name]),
    ]


def _units(workload: Workload, mine: Side, peer: Side, name: str) -> list[Row]:
    """Against a peer that remembers what it has counted."""
    per, target = ROUNDS * BATCH / 1000, UNITS_TARGETS[workload.name] if name == CLAIMED else None
    asked = mine.meter.requests.total() / per, peer.meter.requests.total() / per
    written = mine.meter.write_units / per, peer.meter.write_units / per
    return [
        row("derive", workload.name, "requests", "per 1,000", *asked, name),
        row("derive", workload.name, "write units, transactions twice", "per 1,000", *written, name, target),
    ]


def _errors(workload: Workload, orders: Orders, mine: Side, peer: Side, peer_name: str) -> list[Row]:
    figures = (("wrong groups", "groups"), ("error of the counts", "orders"))
    found = zip(figures, mine.errors(orders.totals()), peer.errors(orders.totals()), strict=True)
    name = f"{workload.name}; one crash, one rewind"
    return [row("derive", name, *figure, ours, theirs, peer_name, ERROR_TARGET) for figure, ours, theirs in found]
