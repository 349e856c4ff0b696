"""Another region's table, 80 ms away: changes a second, requests, write units, and what differs after faults."""

import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

import boto3

from bench.derive import ENVIRONMENT
from bench.harness import Row, row
from bench.instant import instant
from bench.mirrors import AWAY, BATCHED, PLAIN, Event, Side, batched, ours, plain
from bench.workloads import UNIFORM, Orders
from distributary.replicate.verify.equality import same
from distributary.stream.change import REPLICA_VERSION
from local.distance import far
from local.emulators import embedded

MILLISECONDS = 80
BATCH = 100
"""The template's BatchSize."""

ROUNDS = {"ours": 9, PLAIN: 2, BATCHED: 9}
TARGETS = {PLAIN: 0.1, BATCHED: 1.0}
REDRIVEN = 20
"""One change in so many was parked, and is redriven late."""


def rows() -> list[Row]:
    """Speed behind the distance, where the endpoint takes no time; costs and differences on an emulator."""
    with instant() as there, far(there, {AWAY: MILLISECONDS}) as endpoint, _at(endpoint):
        speed = _speed()
    with embedded() as endpoints, _at(endpoints.aws):
        return [*speed, *_costs_and_differences()]


@contextmanager
def _at(endpoint: str) -> Iterator[None]:
    with mock.patch.dict(os.environ, {**ENVIRONMENT, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint}):
        yield


def _sides(prefix: str) -> tuple[Side, Side, Side]:
    return ours(f"{prefix}-ours"), plain(f"{prefix}-plain"), batched(f"{prefix}-batched")


def _events(orders: Orders) -> list[Event]:
    records = orders.batch()["Records"]
    return [{"Records": records[at : at + BATCH]} for at in range(0, len(records), BATCH)]


def _speed() -> list[Row]:
    """Medians over batches of 100, one instance, its connections open."""
    orders, (mine, *peers) = Orders(UNIFORM), _sides("speed")
    list(orders.placed())
    events = _events(orders)
    for side in (mine, *peers):
        side.handle(events[0])
        for event in events[1 : 1 + ROUNDS[side.name]]:
            side.timed(event)
    took = {side.name: statistics.median(side.seconds) * 1000 / BATCH for side in (mine, *peers)}
    name = f"{MILLISECONDS} ms away, batches of {BATCH}"
    return [
        figure
        for peer in peers
        for figure in (
            row(
                "replicate", name, "time per change", "ms", took["ours"], took[peer.name], peer.name, TARGETS[peer.name]
            ),
            row("replicate", name, "changes a second", "1/s", 1e3 / took["ours"], 1e3 / took[peer.name], peer.name),
        )
    ]


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
