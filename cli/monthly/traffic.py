"""What a table's application writes: from the table's own metrics, or as the user says."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cli.costs import WRITE_BYTES, Size
from cli.errors import UsageFault
from cli.status import metrics
from cli.status.metrics import Metric, Series
from distributary.consumer.aws import AwsError, why_no_table

MONTH = 730 * 3600.0
"""Seconds."""

DAYS = 14
"""Of the table's metrics."""

_WRITES = ("PutItem", "UpdateItem", "DeleteItem")


@dataclass(frozen=True, slots=True)
class Traffic:
    """`rate`: changes a second. `inserts`, `updates`, `deletes`: shares of them, 1 in all. `size`: the table's items,
    and bytes of one. `batch`: changes of an invocation; `distinct`: different items of these."""

    rate: float
    inserts: float
    updates: float
    deletes: float
    size: Size
    batch: float
    distinct: float

    @property
    def invocations(self) -> float:
        """Each second."""
        return self.rate / self.batch

    def line(self) -> str:
        """For people."""
        shares = ", ".join(
            f"{share:.0%} {name}"
            for name, share in (("inserts", self.inserts), ("updates", self.updates), ("deletes", self.deletes))
        )
        return (
            f"{self.rate:,.2f} changes a second ({shares}), {self.size.items:,} items of {self.size.bytes:,.0f} bytes; "
            f"{self.batch:,.1f} changes an invocation, of {self.distinct:,.1f} items"
        )


@dataclass(frozen=True, slots=True)
class Said:
    """What the user gave; None: look it up, or take the usual."""

    rate: float | None = None
    updates: float | None = None
    deletes: float | None = None
    items: int | None = None
    item_bytes: int | None = None
    batch: float | None = None
    distinct: float | None = None

    @property
    def needs_table(self) -> bool:
        """Whether something has to be looked up."""
        return None in (self.rate, self.items, self.item_bytes)


def traffic(table: str, said: Said, clients: Any, now: datetime, window: float = 1.0, most: int = 100) -> Traffic:
    """`window`: seconds that Lambda waits for a batch; `most`: changes of one. Raises UsageFault, ClientError."""
    if said.rate == 0:
        raise UsageFault("--writes 0: give more than 0, or leave it out: then the table's own metrics count")
    size = _size(table, said, clients)
    rate, updates, deletes = said.rate, said.updates, said.deletes
    if rate is None or updates is None or deletes is None:
        found = _measured(table, clients, now, size) if said.rate is None else (0.0, 0.5, 0.05)
        rate = found[0] if rate is None else rate
        updates, deletes = (
            given if given is not None else own for given, own in zip((updates, deletes), found[1:], strict=True)
        )
    if rate <= 0:
        raise UsageFault(f"{table} was not written to in the last {DAYS} days: give --writes, and --updates")
    if updates + deletes > 1:
        raise UsageFault("--updates and --deletes are shares, 1 together at most")
    batch = said.batch or min(float(most), max(1.0, rate * window / _shards(rate, size)))
    made = Traffic(rate, 1 - updates - deletes, updates, deletes, size, batch, batch)
    return replace(made, distinct=min(batch, said.distinct or different(batch, max(1, size.items))))


def different(draws: float, among: float) -> float:
    """How many different ones are met if so many are drawn at random, each as often as any other."""
    return among * (1 - (1 - 1 / among) ** draws) if among > 1 else min(1.0, draws)


def _shards(rate: float, size: Size) -> int:
    """Of the stream: a partition takes 1,000 write units a second, and 10 GB.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"""
    return max(1, math.ceil(rate * size.write / 1000), math.ceil(size.items * size.bytes / 10e9))


def _size(table: str, said: Said, clients: Any) -> Size:
    if said.items is not None and said.item_bytes is not None:
        return Size(said.items, said.item_bytes)
    try:
        found = Size.described(clients("dynamodb").describe_table(TableName=table)["Table"])
    except AwsError as error:
        raise UsageFault(why_no_table(table, error)) from None
    size = Size(found.items if said.items is None else said.items, said.item_bytes or found.bytes)
    if not size.items or not size.bytes:
        raise UsageFault(f"the size of {table} is not known yet: give --items and --item-size")
    return size


def _measured(table: str, clients: Any, now: datetime, size: Size) -> tuple[float, float, float]:
    """Changes a second, and the shares of updates and deletes. What a batch or a transaction wrote is in the units
    alone. A put is taken for an insert."""
    named = {
        operation: Metric("AWS/DynamoDB", "SuccessfulRequestLatency", _of(table, Operation=operation), "SampleCount")
        for operation in _WRITES
    }
    units = Metric("AWS/DynamoDB", "ConsumedWriteCapacityUnits", _of(table))
    expired = Metric("AWS/DynamoDB", "TimeToLiveDeletedItemCount", _of(table))
    asked = [units, expired, *named.values()]
    found: Mapping[Metric, Series] = metrics.read(clients("cloudwatch"), asked, now, DAYS * 24)
    puts, changed, deleted = (found[each].total for each in named.values())
    by_ttl, requests = found[expired].total, puts + changed + deleted
    written = max(found[units].total * WRITE_BYTES / (size.write * WRITE_BYTES), requests)
    changes = written + by_ttl
    if not changes:
        return 0.0, 0.0, 0.0
    share = written / requests if requests else 0.0
    return changes / (DAYS * 86400), changed * share / changes, (deleted * share + by_ttl) / changes


def _of(table: str, **more: str) -> tuple[tuple[str, str], ...]:
    return (("TableName", table), *more.items())
