"""A way to keep a table in another region, alone in a process: `python -m bench.mirror_lambda SIDE NOTE BATCH ROUNDS`.

Prints, of each timed batch, the seconds that passed and the microseconds of CPU per change: from the event's bytes to
the response's, through Lambda's own runtime client.
"""

import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Callable

from bench.lambda_sides import Client, Log
from bench.mirrors import BATCHED, PLAIN, Side, batched, ours, plain
from bench.workloads import UNIFORM, Orders

SIDES: dict[str, Callable[[str], Side]] = {"ours": ours, PLAIN: plain, BATCHED: batched}
_LARGE = 1000
_FAR = 4_000_000_000_000
"""Milliseconds since the epoch: the invocation's end."""


def measure(name: str, note: int, size: int, rounds: int) -> dict[str, list[float]]:
    """`us` and `seconds` of each batch after the first."""
    from awslambdaric import bootstrap

    os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "on-demand"
    side = SIDES[name](f"speed-{note}")
    side.meter.counting = False
    client, log, orders = Client(), Log(), Orders(UNIFORM, note)
    list(orders.placed())

    def handle(content: bytes) -> tuple[float, float]:
        began, used = time.perf_counter(), time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            bootstrap.handle_event_request(
                client, lambda event, _: side.handler(event), "1", content, "application/json", None, None, "arn",
                _FAR, None, log,
            )  # fmt: skip
        return (time.process_time() - used) / size * 1e6, time.perf_counter() - began

    bodies: list[bytes] = []
    while len(bodies) <= rounds:
        records = orders.batch()["Records"]
        events = [{"Records": records[at : at + size]} for at in range(0, _LARGE, size)]
        bodies += [json.dumps(event, separators=(",", ":")).encode() for event in events]
    del records, events
    handle(bodies[0])
    timed = [handle(body) for body in bodies[1 : rounds + 1]]
    return {"us": [us for us, _ in timed], "seconds": [seconds for _, seconds in timed]}


if __name__ == "__main__":
    name, *numbers = sys.argv[1:]
    print(json.dumps(measure(name, *map(int, numbers))))
