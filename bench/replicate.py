"""Another region's table, 80 ms away: changes a second, requests, write units, and what differs after faults."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import boto3

from bench.derive import ENVIRONMENT
from bench.harness import Row, row
from bench.mirrors import AWAY, BATCHED, PLAIN, ROOT, Event, Side, batched, ours, plain
from bench.transports import certificate, serving
from bench.workloads import UNIFORM, Orders
from distributary.replicate.verify.equality import same
from distributary.stream.change import REPLICA_VERSION
from local.emulators import embedded

MILLISECONDS = 80
BATCH = 100
"""The template's BatchSize."""

LARGE_BATCH = 1000
NOTES = {"3 KB": 2700, "0.75 KB": 550}
"""Bytes of the notes that make records of this size, both images together."""

RUNS, ROUNDS, PLAIN_ROUNDS = 3, 5, 1
"""Processes, which take turns with the peer's, and batches in each of them after the first."""

TARGETS = {(PLAIN, BATCH): 0.1, (BATCHED, LARGE_BATCH): 1.0}
CPU_TARGETS = {PLAIN: 1 / 15}
REDRIVEN = 20
"""One change in so many was parked, and is redriven late."""


def rows() -> list[Row]:
    """Speed behind the distance, from the event's bytes to the response's, over TLS, where the endpoint takes no time;
    costs and differences on an emulator."""
    with tempfile.TemporaryDirectory() as folder:
        trusted = certificate(Path(folder))
        with serving(trusted, MILLISECONDS / 1000) as endpoint, _at(endpoint, AWS_CA_BUNDLE=trusted):
            speed = [each for of, note in NOTES.items() for each in _speed(of, note)]
    with embedded() as endpoints, _at(endpoints.aws):
        return [*speed, *_costs_and_differences()]


@contextmanager
def _at(endpoint: str, **more: str) -> Iterator[None]:
    given = {**ENVIRONMENT, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint, **more}
    with mock.patch.dict(os.environ, given):
        yield


def _sides(prefix: str) -> tuple[Side, Side, Side]:
    return ours(f"{prefix}-ours"), plain(f"{prefix}-plain"), batched(f"{prefix}-batched")


def _events(orders: Orders, size: int = BATCH) -> list[Event]:
    records = orders.batch()["Records"]
    return [{"Records": records[at : at + size]} for at in range(0, len(records), size)]


def _speed(of: str, note: int) -> list[Row]:
    """Medians over batches, one instance, its connections open. The slowest peer takes batches of 100 alone."""
    slowest = _run(PLAIN, note, BATCH, PLAIN_ROUNDS)
    found: list[Row] = []
    for size in (BATCH, LARGE_BATCH):
        mine, peer = Timed([], []), Timed([], [])
        for _ in range(RUNS):
            mine, peer = mine + _run("ours", note, size, ROUNDS), peer + _run(BATCHED, note, size, ROUNDS)
        for name, theirs in ((PLAIN, slowest), (BATCHED, peer)):
            found += _compared(f"{of}, {MILLISECONDS} ms away, batches of {size}", size, mine, name, theirs)
    return found


class Timed(NamedTuple):
    """Of several batches: microseconds of CPU per change, and seconds."""

    us: list[float]
    seconds: list[float]

    def __add__(self, other: "Timed") -> "Timed":  # type: ignore[override]
        return Timed(self.us + other.us, self.seconds + other.seconds)


def _run(side: str, note: int, size: int, rounds: int) -> Timed:
    """In a process of its own."""
    command = [sys.executable, "-m", "bench.mirror_lambda", side, str(note), str(size), str(rounds)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "layers/distributary")])}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return Timed(**json.loads(done.stdout))


def _compared(workload: str, size: int, mine: Timed, name: str, peer: Timed) -> list[Row]:
    """The time is that of this batch size. Of a peer that does not take it, only the processor's is compared."""
    rows = [
        row("replicate", workload, f"CPU time per change{of}", "us", pick(mine.us), pick(peer.us), name, target)
        for of, pick, target in (("", statistics.median, CPU_TARGETS.get(name)), (", least", min, None))
    ]
    if name != PLAIN or size == BATCH:
        for of, pick, target in (("", statistics.median, TARGETS.get((name, size))), (", least", min, None)):
            mine_ms, peer_ms = (1e3 * pick(each.seconds) / size for each in (mine, peer))
            rows.append(row("replicate", workload, f"time per change{of}", "ms", mine_ms, peer_ms, name, target))
    return rows


def _costs_and_differences() -> list[Row]:
    orders, sides = Orders(UNIFORM), _made("cost")
    mine, *peers = sides
    history = list(orders.placed())
    _deliver(sides, history)
    for side in sides:
        side.meter.requests.clear()
        side.meter.write_units = 0
    first, second = _events(orders), _events(orders)
    _deliver(sides, first)
    found = [each for peer in peers for each in _costs(mine, peer)]
    _deliver(sides, second)
    for side in sides:
        assert side_differences(side, orders) == 0, f"{side.name} differs before anything went wrong"
    _deliver(sides, [*first[len(first) // 2 :], *second])
    late = [record for event in first for record in event["Records"]][::REDRIVEN]
    for side in sides:
        side.handle({"Records": [_redriven(record, side) for record in late]})
    wrong = {side.name: side_differences(side, orders) for side in sides}
    name = f"2,000 changes, a rewind, {len(late)} redriven late"
    return found + [
        row("replicate", name, "items that differ", "", wrong["ours"], wrong[p.name], p.name, 0) for p in peers
    ]


def _made(prefix: str) -> tuple[Side, Side, Side]:
    for name in ("ours", "plain", "batched"):
        _create(f"{prefix}-{name}", "order_id", AWAY)
    _create(f"{prefix}-ours-tombstones", "id", "us-east-1")
    return _sides(prefix)


def _deliver(sides: Sequence[Side], events: Sequence[Event]) -> None:
    for side in sides:
        for event in events:
            side.handle(event)


def _redriven(record: Event, side: Side) -> Event:
    return {**record, "distributary": {"origin": "redrive"}} if side.name == "ours" else record


def _costs(mine: Side, peer: Side) -> list[Row]:
    """Of 1,000 changes."""
    name = f"1,000 changes, batches of {BATCH}"
    calls, units = (
        (mine.meter.requests.total(), peer.meter.requests.total()),
        (mine.meter.write_units, peer.meter.write_units),
    )
    return [
        row("replicate", name, "requests", "per 1,000", *calls, peer.name),
        row("replicate", name, "write units", "per 1,000", *units, peer.name),
    ]


def side_differences(side: Side, orders: Orders) -> int:
    """How many items the replica lacks, has otherwise, or has and should not."""
    pages = boto3.client("dynamodb", region_name=AWAY).get_paginator("scan").paginate(TableName=side.table)
    there = {item["order_id"]["S"]: {**item} for page in pages for item in page["Items"]}
    for item in there.values():
        item.pop(REPLICA_VERSION, None)
    right = orders.held()
    return sum(
        each not in there or each not in right or not same(there[each], right[each])
        for each in there.keys() | right.keys()
    )


def _create(name: str, key: str, region: str) -> None:
    boto3.client("dynamodb", region_name=region).create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
