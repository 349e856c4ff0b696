"""Derive and the hand-written handler, each with a table of its own at the same endpoint, driven by the same events."""

import contextlib
import gc
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3

from bench.consume import Context
from bench.crash import WRITES, Crash, Fuse
from bench.handwritten import CLAIMED, IDEMPOTENT, Claimed, Handwritten, Idempotent
from bench.meter import Meter
from bench.workloads import Totals
from distributary.consumer.consume import Branch, Deployment, consume
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.derive import Aggregate, Entity
from distributary.derive.factory import build
from distributary.derive.settings import DeriveSettings
from distributary.dynamodb.client import connect

DAYS = 7
ORDER = Entity(name="order", keys=("order_id",), attributes=("store", "amount"))
STORES = Aggregate(
    name="by-store", of=ORDER, pk="STORE#{store}", sk="TOTALS", count="orders", sum={"revenue": "amount"}
)


@dataclass
class Side:
    """A handler, the client that it calls, `others` that it calls too, and what its batches cost."""

    table: str
    client: Any
    handler: Callable[[dict[str, Any]], Mapping[str, Any]]
    others: list[Any] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def handle(self, batch: dict[str, Any]) -> None:
        """Everything succeeds."""
        with contextlib.redirect_stdout(io.StringIO()):
            answer = self.handler(batch)
        assert not answer["batchItemFailures"], answer

    def timed(self, batch: dict[str, Any]) -> None:
        """Adds a batch's milliseconds of wall time, and of CPU in this process."""
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        self.handle(batch)
        self.cpu.append((time.process_time() - cpu) * 1e3)
        self.wall.append((time.perf_counter() - wall) * 1e3)

    def crash(self, batch: dict[str, Any]) -> None:
        """After half as many writes as a timed batch took."""
        writes = sum(self.meter.requests[name] for name in WRITES) // len(self.wall)
        with contextlib.suppress(Crash), Fuse(max(1, writes // 2)).burning(self.client):
            self.handle(batch)
            raise AssertionError(f"{self.table}: the batch was done before the crash")

    def errors(self, truth: Totals) -> tuple[int, int]:
        """How many groups are wrong, and by how much their counts are, together."""
        found = self.totals()
        stores = [(found.get(each, (0, 0)), truth.get(each, (0, 0))) for each in found.keys() | truth.keys()]
        return sum(is_ != should for is_, should in stores), sum(abs(is_[0] - should[0]) for is_, should in stores)

    def totals(self) -> Totals:
        """See `totals_in`."""
        return totals_in(self.table)


def totals_in(table: str) -> Totals:
    """What a derived table shows; a row without orders and revenue is none."""
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=table)
    rows = {
        row["pk"]["S"].removeprefix("STORE#"): (int(row["orders"]["N"]), int(row["revenue"]["N"]))
        for page in pages
        for row in page["Items"]
    }
    return {store: row for store, row in rows.items() if row != (0, 0)}


def branch_of(prefix: str, dynamodb: Any, parallel: Parallel) -> Branch:
    """`STORES` in tables of its own, which are made: PREFIX-derived has its rows. No item has a tombstone there."""
    derived, ledger = (f"{prefix}-{name}" for name in ("derived", "ledger"))
    create(derived, "pk", "sk")
    create(ledger, "id")
    settings = DeriveSettings(
        parking_bucket="bench",
        generation=0,
        derived_table=derived,
        ledger_table=ledger,
        tombstone_table=f"{prefix}-tombstones",
        tombstone_days=DAYS,
    )
    return build([STORES], settings, lambda *_, **__: dynamodb, parallel)


def ours(prefix: str) -> Side:
    """As functions/derive/app.py puts it together."""
    dynamodb, parallel = connect(None), Parallel()
    branch = branch_of(prefix, dynamodb, parallel)
    deployed = Deployment(branch, Parking(None, "bench", "derive", parallel), Telemetry("derive"), Streams(0))
    return Side(f"{prefix}-derived", dynamodb, lambda event: consume(event, Context(), deployed))


def handwritten(prefix: str, totals: Totals) -> Side:
    """See `Handwritten`."""
    table = _holding(f"{prefix}-handwritten", totals)
    return Side(table.name, table.meta.client, Handwritten(table))


def correct(prefix: str, totals: Totals) -> dict[str, Side]:
    """See `Idempotent` and `Claimed`, by name."""
    sides = {}
    for name, kind in ((IDEMPOTENT, Idempotent), (CLAIMED, Claimed)):
        table, claims = _holding(f"{prefix}-{kind.__name__}", totals), f"{prefix}-{kind.__name__}-claims"
        create(claims, "id")
        handler = kind(table, claims)
        sides[name] = Side(table.name, table.meta.client, handler)
        sides[name].others = [handler.client] if isinstance(handler, Idempotent) else []
    return sides


def _holding(name: str, totals: Totals) -> Any:
    """A table that holds the totals already."""
    create(name, "pk", "sk")
    table = boto3.resource("dynamodb").Table(name)
    with table.batch_writer() as batch:
        for store, (orders, revenue) in totals.items():
            batch.put_item(Item={"pk": f"STORE#{store}", "sk": "TOTALS", "orders": orders, "revenue": revenue})
    return table


def create(name: str, *key: str) -> None:
    """A table whose keys are texts."""
    boto3.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": each, "KeyType": kind} for each, kind in zip(key, ("HASH", "RANGE"), strict=False)
        ],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in key],
        BillingMode="PAY_PER_REQUEST",
    )
