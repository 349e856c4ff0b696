"""Three handlers that keep an index: ours, Powertools with helpers.bulk, and dynamodb-stream-elasticsearch from npm."""

import contextlib
import gc
import io
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller
from opensearchpy import OpenSearch, helpers

from bench.consume import Context
from distributary.consumer.consume import Deployment, consume
from distributary.consumer.init_phase import NEW_OBJECTS
from distributary.consumer.marshaller import StreamMarshaller
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.index import Entity, Index, check
from distributary.index.branch import IndexBranch
from distributary.index.opensearch import schema
from distributary.index.opensearch.bulk import Bulk
from distributary.index.opensearch.connect import connect

HERE = Path(__file__).parent
STANDARD = LambdaMarshaller()
READING = StreamMarshaller(STANDARD)
"""How Lambda's runtime makes an event of its bytes, without and with Distributary."""

MAPPING = {
    "order_id": {"type": "keyword"},
    "store": {"type": "keyword"},
    "amount": {"type": "long"},
    "customer": {"type": "keyword"},
    "status": {"type": "keyword"},
    "address": {"type": "text"},
    "note": {"type": "text"},
}
ORDER = Entity(name="order", keys=("order_id",), attributes=tuple(MAPPING)[1:])


class Missing(Exception):
    """What the comparison needs and this machine has not; one line."""


class Side(Protocol):
    """A handler with an index of its own; `reader` is what one searches."""

    name: str
    reader: str

    def handle(self, event: dict[str, Any]) -> tuple[float, float]:
        """Applies a batch, all of it; milliseconds of wall time and of the handler's CPU."""


class Ours:
    """As functions/index/app.py puts it together."""

    name = "index"

    def __init__(self, url: str, prefix: str) -> None:
        self.reader = f"{prefix}-ours"
        index = Index(name=self.reader, of=ORDER, id="{order_id}", fields=MAPPING)
        client, parallel = connect(url, "none"), Parallel()
        schema.apply(client, index, 0)
        branch = IndexBranch(check([index]), 0, Bulk(client, parallel=parallel))
        self._deployed = Deployment(branch, Parking(None, "bench", "index", parallel), Telemetry("index"), Streams(0))

    def handle(self, event: dict[str, Any]) -> tuple[float, float]:
        """See `Side`. The collector runs as often as in a deployed function."""
        threshold, *others = gc.get_threshold()
        gc.set_threshold(NEW_OBJECTS, *others)
        try:
            return _timed(event, READING, lambda read: consume(read, Context(), self._deployed))
        finally:
            gc.set_threshold(threshold, *others)


class Powertools:
    """BatchProcessor gathers the documents, and one helpers.bulk sends them."""

    name = "BatchProcessor, helpers.bulk"

    def __init__(self, url: str, prefix: str) -> None:
        self.reader = f"{prefix}-powertools"
        self._client = OpenSearch(hosts=[url])
        _made(self._client, self.reader)
        self._processor = BatchProcessor(event_type=EventType.DynamoDBStreams)
        self._actions: list[dict[str, Any]] = []

    def handle(self, event: dict[str, Any]) -> tuple[float, float]:
        """See `Side`."""
        return _timed(event, STANDARD, self._handler)

    def _handler(self, event: dict[str, Any]) -> Mapping[str, Any]:
        self._actions = []
        answer = process_partial_response(event, self._record, self._processor)
        helpers.bulk(self._client, self._actions, ignore_status=404)
        return answer

    def _record(self, record: DynamoDBRecord) -> None:
        assert record.dynamodb is not None
        action = {"_index": self.reader, "_id": record.dynamodb.keys["order_id"]}
        new = record.dynamodb.new_image
        if not new:
            self._actions.append({**action, "_op_type": "delete"})
            return
        source = {name: new[name] for name in MAPPING}
        self._actions.append({**action, "_source": {**source, "amount": int(source["amount"])}})


class Npm:
    """The package as published, in a Node.js process that is told one event a line."""

    name = "npm dynamodb-stream-elasticsearch 3.3.1"

    def __init__(self, url: str, prefix: str, folder: Path) -> None:
        self.reader = f"{prefix}-npm"
        _made(OpenSearch(hosts=[url]), self.reader)
        command = ["node", str(folder / "drive.js"), url, self.reader]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def handle(self, event: dict[str, Any]) -> tuple[float, float]:
        """See `Side`. A delete of what is gone is no error to the package."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(event) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer
        return answer["wall"], answer["cpu"]

    def end(self) -> None:
        """Ends its process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def installed(folder: Path) -> Path:
    """The locked packages in this folder. Raises Missing where there is no npm."""
    for tool in ("npm", "node"):
        if not shutil.which(tool):
            raise Missing(f"`{tool}` is not on the PATH: no comparison with {Npm.name}")
    shutil.copytree(HERE / "npm", folder, dirs_exist_ok=True)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"npm ci: {done.stderr.strip()[-300:]}")
    return folder


def _made(client: Any, index: str) -> None:
    client.indices.create(index=index, body={"mappings": {"properties": MAPPING}})


def _timed(
    event: dict[str, Any], marshaller: Any, handler: Callable[[dict[str, Any]], Mapping[str, Any]]
) -> tuple[float, float]:
    """From the event's bytes on. What the benchmark itself holds is no matter of the collector's meanwhile."""
    content = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    gc.collect()
    gc.freeze()
    wall, cpu = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        answer = handler(marshaller.unmarshal_request(content))
    ended = (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3
    assert not answer["batchItemFailures"], answer
    return ended
