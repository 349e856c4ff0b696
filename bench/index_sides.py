"""Three handlers that keep an index: ours, Powertools with helpers.bulk, and dynamodb-stream-elasticsearch from npm.

Each has a process of its own, as in Lambda, which is told one event a line and says what it cost.
`python -m bench.index_sides SIDE URL INDEX` is that of the two in Python.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.lambda_sides import Handler, Runtime, as_in_lambda
from local import node
from local.errors import LocalError

HERE = Path(__file__).parent
ROOT = HERE.parent

MAPPING = {
    "order_id": {"type": "keyword"},
    "store": {"type": "keyword"},
    "amount": {"type": "long"},
    "customer": {"type": "keyword"},
    "status": {"type": "keyword"},
    "address": {"type": "text"},
    "note": {"type": "text"},
}


class Missing(Exception):
    """What the comparison needs and this machine has not; one line."""


class Side:
    """A handler's process. `reader` is the index that one searches."""

    def __init__(self, name: str, reader: str, command: list[str], environment: Mapping[str, str] = {}) -> None:
        self.name, self.reader = name, reader
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **environment},
        )

    def handle(self, event: dict[str, Any]) -> tuple[float, float]:
        """Applies a batch, all of it; milliseconds of wall time and of the handler's CPU."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(event, separators=(",", ":"), ensure_ascii=False) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer
        return answer["wall"], answer["cpu"]

    def end(self) -> None:
        """Ends its process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


OURS, POWERTOOLS, NPM = "index", "BatchProcessor, helpers.bulk", "npm dynamodb-stream-elasticsearch 3.3.1"


def ours(url: str, prefix: str) -> Side:
    """As functions/index/app.py puts it together."""
    return _python(OURS, url, f"{prefix}-ours")


def powertools(url: str, prefix: str) -> Side:
    """BatchProcessor gathers the documents, and one helpers.bulk sends them."""
    return _python(POWERTOOLS, url, f"{prefix}-powertools")


def npm(url: str, prefix: str, folder: Path) -> Side:
    """The package as published, in Node.js. A delete of what is gone is no error to it."""
    return Side(NPM, f"{prefix}-npm", ["node", str(folder / "drive.js"), url, f"{prefix}-npm"])


def _python(name: str, url: str, reader: str) -> Side:
    path = os.pathsep.join([str(ROOT), str(ROOT / "layers/distributary")])
    return Side(name, reader, [sys.executable, "-m", "bench.index_sides", name, url, reader], {"PYTHONPATH": path})


def _ours(url: str, reader: str) -> Handler:
    from distributary.consumer.consume import Deployment, consume
    from distributary.consumer.parallel import Parallel
    from distributary.consumer.parking import Parking
    from distributary.consumer.streams import Streams
    from distributary.consumer.telemetry import Telemetry
    from distributary.index import Entity, Index, check
    from distributary.index.branch import IndexBranch
    from distributary.index.opensearch import schema
    from distributary.index.opensearch.bulk import Bulk
    from distributary.index.opensearch.connect import connect

    order = Entity(name="order", keys=("order_id",), attributes=tuple(MAPPING)[1:])
    index = Index(name=reader, of=order, id="{order_id}", fields=MAPPING)
    schema.apply(connect(url, "none"), index, 0)
    parallel = Parallel()
    branch = IndexBranch(check([index]), 0, Bulk(connect(url, "none"), parallel=parallel))
    deployed = Deployment(branch, Parking(None, "bench", "index", parallel), Telemetry("index"), Streams(0))
    as_in_lambda(lambda: deployed)
    return lambda event, context: consume(event, context, deployed)


def _powertools(url: str, reader: str) -> Handler:
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
    from opensearchpy import OpenSearch, helpers

    client = OpenSearch(hosts=[url])
    processor = BatchProcessor(event_type=EventType.DynamoDBStreams)
    actions: list[dict[str, Any]] = []

    def one(record: DynamoDBRecord) -> None:
        assert record.dynamodb is not None
        action = {"_index": reader, "_id": record.dynamodb.keys["order_id"]}
        new = record.dynamodb.new_image
        if not new:
            actions.append({**action, "_op_type": "delete"})
            return
        source = {name: new[name] for name in MAPPING}
        actions.append({**action, "_source": {**source, "amount": int(source["amount"])}})

    def handler(event: Any, context: Any) -> Any:
        actions.clear()
        answer = process_partial_response(event, one, processor, context)
        helpers.bulk(client, actions, ignore_status=404)
        return answer

    return handler


HANDLERS: dict[str, Callable[[str, str], Handler]] = {OURS: _ours, POWERTOOLS: _powertools}


def installed() -> Path:
    """A folder with the locked packages. Raises Missing where there is no npm."""
    try:
        return node.installed(HERE / "npm", "bench")
    except LocalError as error:
        raise Missing(f"no comparison with {NPM}: {error}") from None


def main(name: str, url: str, reader: str) -> None:
    """Answers each event on the standard input."""
    runtime, said = Runtime(HANDLERS[name](url, reader)), sys.stdout
    for line in sys.stdin.buffer:
        used, passed = runtime.handle(line.rstrip())
        said.write(json.dumps({"cpu": used * 1e3, "wall": passed * 1e3}) + "\n")
        said.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
