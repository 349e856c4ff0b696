"""A backfill into derive and index: items a second against loops and bulk helpers, and what it costs, counted.

The source is in memory, a page of it 5 ms away. `python -m bench.backfill` prints the costs: of derive over the tests'
fakes, which count what each call takes.
"""

import contextlib
import io
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller
from boto3.dynamodb.types import TypeDeserializer
from opensearchpy import OpenSearch, helpers

from bench.consume import Context
from bench.harness import Row, row
from bench.transports import certificate, serving
from cli.feed.backfill import Backfill, State
from distributary.consumer.consume import Deployment, consume
from distributary.consumer.marshaller import StreamMarshaller
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.derive import Aggregate, Entity, Projection
from distributary.derive.factory import build, reconciler
from distributary.dynamodb.client import clients
from distributary.feed.give import Giver
from distributary.feed.invoke import Feed, body_of
from distributary.feed.snapshot import Table
from distributary.feed.sources import Scan
from distributary.index import Entity as Indexed
from distributary.index import Index, check
from distributary.index.branch import IndexBranch
from distributary.index.opensearch import schema
from distributary.index.opensearch.bulk import Bulk
from distributary.index.opensearch.connect import connect
from local.emulators import embedded
from tests.fakes.built import derive, derive_settings
from tests.fakes.dynamodb import DynamoDB

CALL_SECONDS = 0.005
ITEMS, DOCUMENTS, COUNTED, ROUNDS, SEGMENTS = 1000, 4000, 10_000, 3, 4
PAGE = 1000
DESERIALIZER = TypeDeserializer()
MARSHALLER = StreamMarshaller(LambdaMarshaller())
"""Reads an event as the runtime of a deployed function does."""
LOOP, WRITER, SINGLE, BULK = "a loop of put_item", "boto3's batch_writer", "a loop of index", "helpers.bulk"
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "Distributary",
    "POWERTOOLS_SERVICE_NAME": "bench",
}
FIELDS = {"customer": {"type": "keyword"}, "status": {"type": "keyword"}, "total": {"type": "double"}}
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-20T09:12:44.017"
SCHEMAS = {"derived": {"pk": "S", "sk": "S"}, "ledger": {"id": "S"}, "tombstones": {"id": "S"}, "orders": {"id": "S"}}
ORDER = Entity(name="order", keys=("id",), attributes=tuple(FIELDS))
RARE = Entity(name="rare", keys=("id",), attributes=tuple(FIELDS), where=lambda order: order["status"] == "rare")
VIEWS = {
    "a projection of all": Projection(name="order", of=ORDER, pk="ORDER#{id}", sk="ORDER"),
    "a projection of 1 in 100": Projection(name="rare", of=RARE, pk="ORDER#{id}", sk="ORDER"),
    "an aggregate of all": Aggregate(
        name="sales", of=ORDER, pk="C#{customer}", sk="SALES", count="n", sum={"sum": "total"}
    ),
    "an aggregate of 1 in 100": Aggregate(
        name="sales", of=RARE, pk="C#{customer}", sk="SALES", count="n", sum={"sum": "total"}
    ),
}


class Service(DynamoDB):  # type: ignore[misc]
    """The source is scanned in segments; a page of it takes `seconds`."""

    def __init__(self, items: Sequence[Mapping[str, Any]], seconds: float) -> None:
        super().__init__(SCHEMAS)
        self.seconds, self.items = seconds, items
        self.state["orders"] = {(item["id"]["S"],): dict(item) for item in items}

    def scan(self, *, TableName: str, Segment: int = 0, TotalSegments: int = 1, **more: Any) -> dict[str, Any]:
        """A page of the source, of keys where a projection asks for them."""
        if TableName != "orders":
            return super().scan(TableName=TableName, Segment=Segment, TotalSegments=TotalSegments, **more)
        time.sleep(self.seconds)
        self.calls["Scan"] += 1
        own = self.items[Segment::TotalSegments]
        begin = int(more["ExclusiveStartKey"]["at"]["N"]) if "ExclusiveStartKey" in more else 0
        page = own[begin : begin + PAGE]
        found = [{"id": item["id"]} for item in page] if "ProjectionExpression" in more else [dict(i) for i in page]
        last = {"LastEvaluatedKey": {"at": {"N": str(begin + PAGE)}}} if begin + PAGE < len(own) else {}
        return {"Items": found, **last}


def orders(many: int) -> list[dict[str, Any]]:
    """Items of some 60 bytes; one in 100 is rare."""
    return [
        {
            "id": {"S": f"o{at:07}"},
            "customer": {"S": f"c{at % 1000}"},
            "status": {"S": "open" if at % 100 else "rare"},
            "total": {"N": str(at)},
        }
        for at in range(many)
    ]


class Environments:
    """A function's: one for each invocation at a time, kept for later ones, as Lambda does it. `invoked`: how often."""

    def __init__(self, deploy: Callable[[], Deployment]) -> None:
        self._deploy, self._idle, self.invoked = deploy, list[Deployment](), 0

    def warm(self, many: int) -> None:
        """So many have been used before."""
        for _ in range(many):
            deployed = self._deploy()
            with contextlib.redirect_stdout(io.StringIO()):
                consume({"Records": []}, Context(), deployed)
            self._idle.append(deployed)

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """What the function answers."""
        self.invoked += 1
        try:
            deployed = self._idle.pop()
        except IndexError:
            deployed = self._deploy()
        answer = consume(MARSHALLER.unmarshal_request(body_of(event)), Context(), deployed)
        self._idle.append(deployed)
        return answer


def backfill(service: Service, function: Environments, first_fill: bool) -> int:
    """As `distributary backfill` does it. How many invocations."""
    before, source = function.invoked, Scan(service, Table("orders", ("id",), STREAM, "eu-west-1"))
    with contextlib.redirect_stdout(io.StringIO()):
        result = Backfill(source, Giver(Feed(function.invoke), source.table), State(None, {}), first_fill).run(SEGMENTS)
    assert (result.items, result.left) == (len(service.items), 0), result.as_json()
    return function.invoked - before


def of_derive(service: Service, *views: Any, workers: int = 16) -> Deployment:
    """Over the fakes."""
    parallel = Parallel(workers)
    branch = derive(list(views), service, parallel=parallel)
    around = (Parking(None, "bench", "derive", parallel), Telemetry("derive"), Streams(0))
    return Deployment(branch, *around, reconciler(branch, lambda: "orders", 0))


def of_index(url: str, index: Index) -> Deployment:
    """On the node."""
    parallel = Parallel()
    branch = IndexBranch(check([index]), 0, Bulk(connect(url, "none"), parallel=parallel))
    return Deployment(branch, Parking(None, "bench", "index", parallel), Telemetry("index"), Streams(0))


def rows() -> list[Row]:
    """Seconds for each side, in turn."""
    with mock.patch.dict(os.environ, ENVIRONMENT):
        return [*_derive(), *_index()]


def _derive() -> list[Row]:
    """Over TLS to a server that takes every write, with the client that each side has in its function or script."""
    items, view = orders(ITEMS), VIEWS["a projection of all"]
    with tempfile.TemporaryDirectory() as folder:
        trusted = certificate(Path(folder))
        with serving(trusted, CALL_SECONDS) as url:
            given = {"AWS_ENDPOINT_URL": url, "AWS_CA_BUNDLE": trusted}
            with mock.patch.dict(os.environ, given):
                first, one, bulk = _seconds(*_sides_of_derive(items, view))
    of = f"backfill of {ITEMS:,} items, {CALL_SECONDS * 1000:.0f} ms a call, first fill"
    return [
        row("derive", of, "time", "s", first, one, LOOP, 0.2),
        row("derive", of, "time", "s", first, bulk, WRITER, 1.0),
    ]


def _sides_of_derive(items: Sequence[Mapping[str, Any]], view: Any) -> Iterator[Callable[[], Callable[[], object]]]:
    table = boto3.resource("dynamodb").Table("derived")
    source = Service(items, CALL_SECONDS)

    def deploy() -> Deployment:
        once, parallel = cache(clients), Parallel()
        branch = build([view], derive_settings(), once, parallel)
        return Deployment(branch, Parking(None, "bench", "derive", parallel), Telemetry("derive"), Streams(0))

    function = Environments(deploy)

    def first_fill() -> None:
        backfill(source, function, True)

    def loop() -> None:
        for item in _scanned(source):
            table.put_item(Item=_row(item))

    def batches() -> None:
        with table.batch_writer() as writer:
            for item in _scanned(source):
                writer.put_item(Item=_row(item))

    yield from (lambda: first_fill, lambda: loop, lambda: batches)


def _index() -> list[Row]:
    items, names = orders(DOCUMENTS), iter(range(1000))
    with embedded() as endpoints:
        url = os.environ.get("OPENSEARCH_URL") or endpoints.opensearch
        client = OpenSearch(hosts=[url])

        def first_fill() -> Callable[[], object]:
            name = f"bench-backfill-{os.getpid()}-{next(names)}"
            index = Index(
                name=name, of=Indexed(name="order", keys=("id",), attributes=tuple(FIELDS)), id="{id}", fields=FIELDS
            )
            schema.apply(connect(url, "none"), index, 0)
            function = Environments(lambda: of_index(url, index))
            function.warm(SEGMENTS)
            return lambda: backfill(Service(items, CALL_SECONDS), function, True)

        def made() -> str:
            name = f"bench-peer-{os.getpid()}-{next(names)}"
            client.indices.create(index=name, body={"mappings": {"properties": FIELDS}})
            return name

        def single() -> Callable[[], object]:
            name = made()

            def run() -> None:
                for item in _scanned(Service(items, CALL_SECONDS)):
                    document = _plain(item)
                    client.index(index=name, id=document.pop("id"), body=document)

            return run

        def bulk() -> Callable[[], object]:
            name = made()
            found = map(_plain, _scanned(Service(items, CALL_SECONDS)))
            actions = ({"_index": name, "_id": each.pop("id"), "_source": each} for each in found)
            return lambda: helpers.bulk(client, actions)

        ours, one, many = _seconds(first_fill, single, bulk)
    of = f"backfill of {DOCUMENTS:,} items, first fill"
    return [
        row("index", of, "time", "s", ours, one, SINGLE, 0.2),
        row("index", of, "time", "s", ours, many, BULK),
    ]


def _seconds(*sides: Callable[[], Callable[[], object]]) -> list[float]:
    """The median of each, taken in turn, after one of each that does not count. A side prepares what a fill needs, such
    as an empty index, and returns the fill."""
    taken: list[list[float]] = [[] for _ in sides]
    for at in range(ROUNDS + 1):
        for side, own in zip(sides, taken, strict=True):
            fill = side()
            began = time.perf_counter()
            fill()
            if at:
                own.append(time.perf_counter() - began)
    return [statistics.median(own) for own in taken]


def _scanned(service: Service) -> Iterator[Mapping[str, Any]]:
    """By one reader, as a script reads a table."""
    more: dict[str, Any] = {}
    while True:
        page = service.scan(TableName="orders", **more)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _row(item: Mapping[str, Any]) -> dict[str, Any]:
    """As a script that reads and writes with boto3's resource has it."""
    found = {name: DESERIALIZER.deserialize(typed) for name, typed in item.items()}
    return {**found, "pk": f"ORDER#{found['id']}", "sk": "ORDER"}


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: DESERIALIZER.deserialize(typed) for name, typed in item.items()}
    return {**found, "total": float(found["total"])}


def costs() -> Iterator[str]:
    """A line for each view and way, each figure for a million items."""
    yield f"{'view':26}{'way':34}{'requests':>12}{'write units':>13}{'read units':>12}{'invocations':>13}"
    for name, view in VIEWS.items():
        service = Service(orders(COUNTED), 0.0)
        function = Environments(partial(of_derive, service, view, workers=1))
        yield _cost(name, "first fill", service, partial(backfill, service, function, True))
        yield _cost(name, "reconcile, all is right", service, partial(backfill, service, function, False))
        service = Service(orders(COUNTED), 0.0)
        function = Environments(partial(of_derive, service, view, workers=1))
        yield _cost(name, "reconcile, nothing is there", service, partial(backfill, service, function, False))


def _cost(view: str, way: str, service: Service, run: Callable[[], int]) -> str:
    service.calls, service.write_units, service.read_units = Counter(), 0, 0.0
    invocations, million = run(), 1_000_000 // COUNTED
    requests = service.calls.total() - service.calls["Scan"]
    figures = (requests, service.write_units, service.read_units, invocations)
    each = [f"{figure * million:,.0f}" for figure in figures]
    return f"{view:26}{way:34}{each[0]:>12}{each[1]:>13}{each[2]:>12}{each[3]:>13}"


if __name__ == "__main__":
    with mock.patch.dict(os.environ, ENVIRONMENT):
        for line in costs():
            print(line, flush=True)
