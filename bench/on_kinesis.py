"""The trunk on a stream against four functions on Kinesis: requests and capacity units of the same changes, counted."""

import contextlib
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import boto3

from bench.consume import Context
from bench.derive import ENVIRONMENT
from bench.harness import Row, row
from bench.index_sides import MAPPING
from bench.meter import Meter
from bench.mirrors import environment
from bench.orders import on_kinesis
from bench.sides import branch_of, create, totals_in
from bench.workloads import BATCH, ZIPF, Orders
from distributary.archive.branch import ArchiveBranch
from distributary.consumer.consume import Branch, Deployment, consume
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.dynamodb.client import connect
from distributary.index import Entity, Index, check
from distributary.index.branch import IndexBranch
from distributary.index.opensearch import schema
from distributary.index.opensearch.bulk import Bulk
from distributary.index.opensearch.connect import connect as search
from distributary.replicate import Mirror
from distributary.replicate.factory import build as replicate
from distributary.replicate.settings import ReplicateSettings
from distributary.trunk.breaker import Breakers
from distributary.trunk.deferred import Deferral, Store
from distributary.trunk.trunk import Limb, Trunk, distribute
from local.emulators import Endpoints, embedded

FUNCTIONS = "four functions on Kinesis, each with its own mapping"
BATCHES = 5
DEFER_AFTER_SECONDS = 60.0
"""The template's DeferAfterSeconds: nothing is deferred here."""
Event = dict[str, Any]


@dataclass
class Side:
    """Branches over tables, an index and a bucket of their own, and what they request. `handlers` take each batch."""

    name: str
    meter: Meter = field(default_factory=Meter)
    searched: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    handlers: list[Callable[[Event], Mapping[str, Any]]] = field(default_factory=list)

    def handle(self, event: Event) -> None:
        """By every function; everything succeeds."""
        for handler in self.handlers:
            with contextlib.redirect_stdout(io.StringIO()):
                answer = handler(json.loads(json.dumps(event)))
            assert not answer["batchItemFailures"], (self.name, answer)

    def count(self) -> None:
        """What is counted is what the next batches cost: not the first looks at empty tables."""
        self.meter.counting = True
        self.searched.clear()
        self.stored.clear()


class Counted:
    """A way to OpenSearch that counts its requests."""

    def __init__(self, wire: Any, requests: Counter[str]) -> None:
        self._wire, self._requests = wire, requests

    def __getattr__(self, name: str) -> Callable[..., Any]:
        self._requests[name] += 1
        found: Callable[..., Any] = getattr(self._wire, name)
        return found


def rows() -> list[Row]:
    """Per 1,000 changes. Both sides end with the same rows, or this fails."""
    given = {**ENVIRONMENT, "AWS_DEFAULT_REGION": "us-east-1"}
    with embedded() as endpoints, mock.patch.dict(os.environ, {**given, "AWS_ENDPOINT_URL": endpoints.aws}):
        trunk, functions = _trunk(endpoints), _functions(endpoints)
        orders = Orders(ZIPF)
        for batch in orders.placed():
            _both(trunk, functions, batch)
        trunk.count()
        functions.count()
        for _ in range(BATCHES):
            _both(trunk, functions, orders.batch())
        for side in (trunk, functions):
            assert totals_in(f"{side.name}-derived") == orders.totals(), f"{side.name}: wrong totals"
        return _compared(trunk, functions)


def _both(trunk: Side, functions: Side, batch: Event) -> None:
    trunk.handle(batch)
    functions.handle({"Records": on_kinesis(batch["Records"])})


def _compared(trunk: Side, functions: Side) -> list[Row]:
    figures: Mapping[str, Callable[[Side], float]] = {
        "requests to DynamoDB": lambda side: side.meter.requests.total(),
        "write units, transactions twice": lambda side: side.meter.write_units,
        "read units": lambda side: side.meter.read_units,
        "requests to OpenSearch": lambda side: side.searched.total(),
        "objects put into S3": lambda side: side.stored.total(),
        "invocations": lambda side: len(side.handlers) * BATCHES,
    }
    per = BATCHES * BATCH / 1000
    workload = f"batches of {BATCH:,} changes, {ZIPF.name}; derive, index, replicate, archive"
    return [
        row("trunk", workload, name, "per 1,000", count(trunk) / per, count(functions) / per, FUNCTIONS)
        for name, count in figures.items()
    ]


def _side(name: str) -> Side:
    side = Side(name)
    side.meter.counting = False
    return side


def _trunk(endpoints: Endpoints) -> Side:
    side = _side("trunk")
    create("trunk-breakers", "id")
    branches = _branches(side, endpoints)
    breakers = Breakers(side.meter.watch(connect(None)), "trunk-breakers", tuple(branches))
    made = Trunk(
        tuple(_limb(name, branch) for name, branch in branches.items()), Streams(0), breakers, Parallel(len(branches))
    )
    side.handlers = [lambda event: distribute(event, Context(), made)]
    return side


def _limb(name: str, branch: Branch) -> Limb:
    deferral = Deferral(Store(None, "bench"), name)
    return Limb(branch, _parking(name), Telemetry(name), Streams(0), deferral, DEFER_AFTER_SECONDS)


def _functions(endpoints: Endpoints) -> Side:
    side = _side("functions")
    for name, branch in _branches(side, endpoints).items():
        deployed = Deployment(branch, _parking(name), Telemetry(name), Streams(0))
        side.handlers.append(lambda event, deployed=deployed: consume(event, Context(), deployed))  # type: ignore[misc]
    return side


def _parking(name: str) -> Parking:
    return Parking(None, "bench", name, Parallel(1))


def _branches(side: Side, endpoints: Endpoints) -> dict[str, Branch]:
    dynamodb, parallel = side.meter.watch(connect(None)), Parallel()
    return {
        "derive": branch_of(side.name, dynamodb, parallel),
        "index": _index(side, endpoints, parallel),
        "replicate": _replicate(side.name, dynamodb, parallel),
        "archive": _archive(side),
    }


def _replicate(prefix: str, dynamodb: Any, parallel: Parallel) -> Branch:
    replica = f"{prefix}-replica"
    create(replica, "order_id")
    create(f"{replica}-tombstones", "id")
    settings = ReplicateSettings.load(environment(replica))
    return replicate(Mirror(), settings, lambda *_, **__: dynamodb, parallel, lambda: None)


def _index(side: Side, endpoints: Endpoints, parallel: Parallel) -> Branch:
    fields: Sequence[str] = tuple(MAPPING)[1:]
    order = Entity(name="order", keys=("order_id",), attributes=tuple(fields))
    index = Index(name=f"orders-{side.name}", of=order, id="{order_id}", fields=MAPPING)
    schema.apply(search(endpoints.opensearch, "none"), index, 0)
    wire: Any = Counted(search(endpoints.opensearch, "none"), side.searched)
    return IndexBranch(check([index]), 0, Bulk(wire, parallel=parallel))


def _archive(side: Side) -> Branch:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=f"{side.name}-archive")

    def seen(model: Any, **_: Any) -> None:
        side.stored[model.name] += 1

    s3.meta.events.register("provide-client-params.s3", seen)
    return ArchiveBranch(s3, f"{side.name}-archive")
