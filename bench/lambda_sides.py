"""One way to read a stream's event, alone in a process: `python -m bench.lambda_sides SIDE SIZE RECORDS SOURCE`.

Prints the least microseconds of CPU per record, from the event's bytes to the response's through Lambda's own runtime
client, the megabytes that the process grew by above its idle state, which includes the event's bytes, and those of the
whole process.
"""

import contextlib
import ctypes
import gc
import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from awslambdaric.bootstrap import handle_event_request
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

from bench.orders import READ, body

Handler = Callable[[Any, Any], Any]
BATCHES = 12
_FAR = 4_000_000_000_000
"""Milliseconds since the epoch: the invocation's end."""


TRUNK_BRANCHES = ("derive", "index", "replicate", "archive")


class Reader:
    """A branch that reads five attributes."""

    def apply(self, changes: Sequence[Any], deadline: Any) -> list[Any]:  # noqa: ARG002
        """All applied."""
        from distributary.consumer.outcome import APPLIED

        for change in changes:
            new = change.new
            assert new is not None
            for name in READ:
                new[name]
        return [APPLIED] * len(changes)


def ours() -> Handler:
    """A branch that reads five attributes, as a function of Distributary puts it together."""
    from distributary.consumer.consume import Deployment, consume
    from distributary.consumer.parallel import Parallel
    from distributary.consumer.parking import Parking
    from distributary.consumer.streams import Streams
    from distributary.consumer.telemetry import Telemetry

    parking = Parking(None, "bench", "bench", Parallel(1))
    deployed = Deployment(Reader(), parking, Telemetry("bench"), Streams(0))
    as_in_lambda(lambda: deployed)
    return lambda event, context: consume(event, context, deployed)


def trunk() -> Handler:
    """Four such branches in one trunk, none of which rests."""
    from distributary.consumer.parallel import Parallel
    from distributary.consumer.parking import Parking
    from distributary.consumer.streams import Streams
    from distributary.consumer.telemetry import Telemetry
    from distributary.trunk.breaker import READ_SECONDS, Breakers
    from distributary.trunk.deferred import Deferral, Store
    from distributary.trunk.trunk import Limb, Trunk, distribute

    class NoRows:
        def batch_get_item(self, **_: Any) -> Any:
            return {"Responses": {}, "UnprocessedKeys": {}}

    def limb(name: str) -> Limb:
        parking, deferral = Parking(None, "bench", name, Parallel(1)), Deferral(Store(None, "bench"), name)
        return Limb(Reader(), parking, Telemetry(name), Streams(0), deferral, READ_SECONDS)

    client: Any = NoRows()
    breakers = Breakers(client, "breakers", TRUNK_BRANCHES)
    made = Trunk(tuple(map(limb, TRUNK_BRANCHES)), Streams(0), breakers, Parallel(len(TRUNK_BRANCHES)))
    as_in_lambda(lambda: made)
    return lambda event, context: distribute(event, context, made)


def as_in_lambda(runtime: Callable[[], object]) -> None:
    """The init phase of a function of Distributary."""
    from distributary.consumer.init_phase import prepare
    from distributary.consumer.marshaller import StreamMarshaller

    os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "on-demand"
    prepare(runtime)
    assert isinstance(LambdaRuntimeClient.marshaller, StreamMarshaller)


def each_time() -> Handler:
    """Powertools' BatchProcessor, `record.dynamodb.new_image[name]` five times."""

    def read(record: Any) -> None:
        for name in READ:
            record.dynamodb.new_image[name]

    return _batch_processor(read)


def once() -> Handler:
    """Powertools' BatchProcessor, `record.dynamodb.new_image` taken once."""

    def read(record: Any) -> None:
        image = record.dynamodb.new_image
        for name in READ:
            image[name]

    return _batch_processor(read)


def _batch_processor(read: Callable[[Any], None]) -> Handler:
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    processor = BatchProcessor(event_type=EventType.DynamoDBStreams)
    return lambda event, context: process_partial_response(event, read, processor, context)


def plain() -> Handler:
    """A handler of one's own that deserializes the new image with boto3."""
    from boto3.dynamodb.types import TypeDeserializer

    deserialize = TypeDeserializer().deserialize

    def handler(event: Any, context: Any) -> Any:  # noqa: ARG001
        for record in event["Records"]:
            image = {name: deserialize(typed) for name, typed in record["dynamodb"]["NewImage"].items()}
            for name in READ:
                image[name]
        return {"batchItemFailures": []}

    return handler


SIDES = {"ours": ours, "trunk": trunk, "each time": each_time, "once": once, "plain": plain}


class Client:
    """As far as the runtime's request handling asks its client."""

    def __init__(self) -> None:
        self.marshaller = LambdaRuntimeClient.marshaller

    def post_invocation_result(self, invocation: str, result: Any, *more: Any) -> None:
        """The response's bytes."""
        assert json.loads(result)["batchItemFailures"] == [], (invocation, more)

    def post_invocation_error(self, invocation: str, error: str, *more: Any) -> None:
        """No side may fail."""
        raise AssertionError(invocation, error, more)


class Log:
    """The runtime's own."""

    def log_error(self, lines: Sequence[str]) -> None:
        """To the standard error."""
        print(*lines, sep="\n", file=sys.stderr)


class Runtime:
    """Lambda's own runtime client, whose requests are answered by `handler`."""

    def __init__(self, handler: Handler) -> None:
        self._client, self._log, self._handler = Client(), Log(), handler

    def handle(self, content: bytes) -> tuple[float, float]:
        """Seconds of CPU, and seconds that passed, from the event's bytes to the response's."""
        began, used = time.perf_counter(), time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            handle_event_request(
                self._client, self._handler, "1", content, "application/json", None, None, "arn", _FAR, None, self._log
            )
        return time.process_time() - used, time.perf_counter() - began


def measure(side: str, size: str, records: int, source: str) -> dict[str, float]:
    """`us` per record, `mb` of memory above the idle process, and `peak`: megabytes of the whole process."""
    runtime, batch = Runtime(SIDES[side]()), body(size, records, source)

    def handle(content: bytes) -> float:
        gc.collect()
        return runtime.handle(content)[0] * 1e6

    handle(body(size, 10, source))
    grown = _grown(lambda: handle(batch))
    peak = _kilobytes("VmHWM") / 1024
    return {"us": min(handle(batch) for _ in range(BATCHES)) / records, "mb": grown, "peak": peak}


def _grown(work: Callable[[], object]) -> float:
    """Megabytes of the largest resident set while it works, above the one before. Linux counts them."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _kilobytes("VmRSS")
    work()
    return (_kilobytes("VmHWM") - before) / 1024


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


if __name__ == "__main__":
    side, size, records, source = sys.argv[1:]
    print(json.dumps(measure(side, size, int(records), source)))
