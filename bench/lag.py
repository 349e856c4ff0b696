"""The built replicate function on a real stream, its replica 80 ms away: changes a second and lag, end to end."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.harness import Row, row
from local.attach import source_table
from local.aws import Aws
from local.demo.report import percentile
from local.distance import far
from local.emulators import embedded
from local.errors import LocalError
from local.esm.mapping import EventSourceMapping, Hooks
from local.stack import Project, Stack

ROOT = Path(__file__).resolve().parents[1]
HOME, AWAY, MILLISECONDS = "us-east-1", "eu-west-1", 80
CHANGES, EACH_SECOND, WRITERS, ITEMS = 900, 60, 8, 500
DRAIN_SECONDS = 120.0


def rows() -> list[Row]:
    """Changes that wait for the function, and then a steady load; one shard, one instance, the template's settings."""
    with embedded() as endpoints, far(endpoints.aws, {AWAY: MILLISECONDS}) as distant:
        near, there = Aws.at_emulator(endpoints.aws, HOME), Aws.at_emulator(distant, HOME)
        waiting = Run(near, there, "lag-waiting").waiting()
        steady = Run(near, there, "lag-steady").steady()
    paces, load = f"{CHANGES} changes that wait, {MILLISECONDS} ms", f"{EACH_SECOND} a second, {MILLISECONDS} ms"
    return [
        _alone(paces, "changes a second", "1/s", waiting.each_second),
        _alone(load, "changes a second", "1/s", steady.each_second),
        *(_alone(load, f"p{round(100 * share)} lag", "s", steady.lag(share)) for share in (0.5, 0.99)),
    ]


class Run:
    """One table and its mirror. The application is at `near`; the function's way to the replica is long."""

    def __init__(self, near: Aws, there: Aws, table: str) -> None:
        self._near, self._there, self._table = near, there, table
        self._lock, self._last, self._began = threading.Lock(), 0.0, 0.0
        self._lags: list[float] = []
        self._client = near.client("dynamodb")
        self._client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )

    @property
    def each_second(self) -> float:
        """From the first delivery's chance to the last checkpoint."""
        return len(self._lags) / (self._last - self._began)

    def lag(self, share: float) -> float:
        """Seconds from an item's write, by its own stamp, to the checkpoint behind it."""
        return percentile(self._lags, share)

    def waiting(self) -> "Run":
        """Everything is in the stream when the mapping begins."""
        self._write(0)
        return self._mirrored(lambda: None)

    def steady(self) -> "Run":
        """The mapping is there first."""
        return self._mirrored(lambda: self._write(EACH_SECOND))

    def _mirrored(self, meanwhile: Any) -> "Run":
        given = {"ReplicaTableName": f"{self._table}-replica", "ReplicaRegion": AWAY}
        found, spec = source_table(self._near, self._table)
        with Stack(Project(ROOT, ROOT / ".build" / "local"), self._there, given, lambda *_: None) as stack:
            stack.create_replica(spec)
            stack.prepare(["replicate"])
            hooks, self._began = Hooks(checkpointed=self._ended), time.time()
            mapping = stack.attach(found.stream_arn, ["replicate"], self._near, hooks)["replicate"]
            meanwhile()
            self._drained(mapping)
        return self

    def _write(self, each_second: float) -> None:
        began = time.monotonic()

        def one(at: int) -> None:
            if each_second:
                time.sleep(max(0.0, began + at / each_second - time.monotonic()))
            item = {"id": {"S": f"u{at % ITEMS}"}, "at": {"N": repr(time.time())}, "text": {"S": "x" * 300}}
            self._client.put_item(TableName=self._table, Item=item)

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(one, range(CHANGES)))

    def _ended(self, _shard: str, records: Sequence[Mapping[str, Any]]) -> None:
        now = time.time()
        with self._lock:
            self._last = now
            self._lags += [now - float(each["dynamodb"]["NewImage"]["at"]["N"]) for each in records]

    def _drained(self, mapping: EventSourceMapping) -> None:
        asked = time.monotonic()
        while not mapping.drained(asked):
            if time.monotonic() > asked + DRAIN_SECONDS:
                raise LocalError(f"{self._table}: not drained after {DRAIN_SECONDS:.0f} s: lower CHANGES")
            time.sleep(0.1)


def _alone(workload: str, figure: str, unit: str, value: float) -> Row:
    """There is nobody beside us: the figure stands for itself."""
    return row("replicate", workload, figure, unit, value, 0.0, "none: end to end")
