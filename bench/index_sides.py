"""The index function and what people use otherwise, each with an index of its own, given the same batches."""

import contextlib
import gc
import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from opensearchpy import OpenSearch, helpers

from bench.consume import Context
from distributary.branches.index import Documents
from distributary.consume import Deployment, consume
from distributary.indexes import Index, check
from distributary.parallel import Parallel
from distributary.parking import Parking
from distributary.search.bulk import Bulk
from distributary.search.connect import connect
from distributary.search.schema import apply
from distributary.telemetry import Telemetry
from distributary.views import Entity

FIELDS = {name: {"type": "keyword"} for name in ("id", "tags", *(f"text_{n}" for n in range(10)))}
INDEX_FIELDS = {**FIELDS, "revision": {"type": "long"}}
PACKAGE = "dynamodb-stream-elasticsearch@3.3.1"
NPM, POWERTOOLS = f"{PACKAGE} (npm), bulk mode", "BatchProcessor and opensearch-py's helpers.bulk"

Times = tuple[float, float]
"""Milliseconds of wall time, and of CPU in the function's own process."""


class Side:
    """`handle` takes a batch to the engine at an address, which may be a proxy's before it."""

    def __init__(self, name: str, readable: str) -> None:
        self.name, self.readable = name, readable

    def handle(self, batch: dict[str, Any], url: str) -> Times:
        """Everything succeeds."""
        raise NotImplementedError

    def found(self, client: Any) -> dict[str, int]:
        """What a reader finds: revisions by id."""
        client.indices.refresh(index=self.readable)
        hits = helpers.scan(client, index=self.readable, query={"query": {"match_all": {}}}, size=1000)
        return {hit["_source"]["id"]: hit["_source"]["revision"] for hit in hits}


class InProcess(Side):
    """A handler in Python; `build` puts it together over a client."""

    def __init__(self, name: str, readable: str, build: Callable[[str], Callable[[dict[str, Any]], Mapping]]) -> None:
        super().__init__(name, readable)
        self._build, self._handlers = build, dict[str, Callable[[dict[str, Any]], Mapping]]()

    def handle(self, batch: dict[str, Any], url: str) -> Times:
        """See `Side`."""
        if url not in self._handlers:
            self._handlers[url] = self._build(url)
        handler = self._handlers[url]
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            answer = handler(batch)
        taken = (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3
        assert not answer["batchItemFailures"], (self.name, answer)
        return taken


class Npm(Side):
    """The package, installed into .bench, in a Node process that lives as long as the block."""

    def __init__(self, readable: str, folder: Path) -> None:
        super().__init__(NPM, readable)
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", "."]
        subprocess.run([*command, PACKAGE, "aws-sdk@2"], check=True, capture_output=True, cwd=folder)
        environment = {
            **os.environ,
            "NODE_PATH": str(folder.resolve() / "node_modules"),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE": "1",
            "NODE_NO_WARNINGS": "1",
        }
        script = str(Path(__file__).with_name("npm_peer.js"))
        self._process = subprocess.Popen(
            ["node", script], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def handle(self, batch: dict[str, Any], url: str) -> Times:
        """See `Side`. A delete of what is not there is its ordinary answer, not an error."""
        assert self._process.stdin
        assert self._process.stdout
        order = {"event": batch, "endpoint": url, "index": self.readable}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert not answer["error"], (self.name, answer)
        return answer["wall"], answer["cpu"]

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def ours(prefix: str, client: Any) -> InProcess:
    """As functions/index/app.py puts it together."""
    thing = Entity(name="thing", keys=("id",), attributes=tuple(name for name in INDEX_FIELDS if name != "id"))
    index = Index(name=f"{prefix}-ours", of=thing, id="{id}", fields=INDEX_FIELDS)
    apply(client, index, 0)

    def build(url: str) -> Callable[[dict[str, Any]], Mapping]:
        branch = Documents(index, check(index), index.write_alias(0), Bulk(connect(url, "none")))
        deployed = Deployment(branch, Parking(None, "bench", "index", Parallel(1)), Telemetry("index"), 0)
        return lambda event: consume(event, Context(), deployed)

    return InProcess("ours", index.name, build)


def powertools(prefix: str) -> InProcess:
    """The handler as the guides show it: a record's image becomes an action, and the batch one helpers.bulk.
    https://docs.opensearch.org/latest/clients/python-low-level/
    https://docs.powertools.aws.dev/lambda/python/latest/utilities/batch/"""
    name = f"{prefix}-powertools"

    def build(url: str) -> Callable[[dict[str, Any]], Mapping]:
        client, processor = OpenSearch(hosts=[url]), BatchProcessor(event_type=EventType.DynamoDBStreams)

        def handler(event: dict[str, Any]) -> Mapping:
            actions: list[dict[str, Any]] = []

            def each(record: DynamoDBRecord) -> None:
                assert record.dynamodb is not None
                id, image = record.dynamodb.keys["id"], record.dynamodb.new_image
                if image:
                    document = {**image, "revision": int(image["revision"]), "tags": sorted(image["tags"])}
                    actions.append({"_op_type": "index", "_index": name, "_id": id, "_source": document})
                else:
                    actions.append({"_op_type": "delete", "_index": name, "_id": id})

            answer = process_partial_response(event, lambda record: each(record), processor)
            helpers.bulk(client, actions, raise_on_error=False)
            return answer

        return handler

    return InProcess(POWERTOOLS, name, build)


def create_plain(client: Any, name: str) -> None:
    """An index with the same mapping as ours, for a side that makes none."""
    client.indices.create(index=name, body={"mappings": {"properties": INDEX_FIELDS}})
