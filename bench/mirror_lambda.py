"""A way to keep a table in another region, alone in a process: `python -m bench.mirror_lambda SIDE NOTE BATCH ROUNDS`.

Prints, of each timed batch, the seconds that passed and the microseconds of CPU per change: from the event's bytes to
the response's, through Lambda's own runtime client.
"""

import json
import os
import sys
from collections.abc import Callable

from bench.lambda_sides import Runtime
from bench.mirrors import BATCHED, PLAIN, Side, batched, ours, plain
from bench.workloads import UNIFORM, Orders

SIDES: dict[str, Callable[[str], Side]] = {"ours": ours, PLAIN: plain, BATCHED: batched}
_LARGE = 1000


def measure(name: str, note: int, size: int, rounds: int) -> dict[str, list[float]]:
    """`us` and `seconds` of each batch after the first."""
    os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "on-demand"
    side = SIDES[name](f"speed-{note}")
    side.meter.counting = False
    runtime, orders = Runtime(lambda event, _: side.handler(event)), Orders(UNIFORM, note)
    list(orders.placed())
    bodies: list[bytes] = []
    while len(bodies) <= rounds:
        records = orders.batch()["Records"]
        events = [{"Records": records[at : at + size]} for at in range(0, _LARGE, size)]
        bodies += [json.dumps(event, separators=(",", ":")).encode() for event in events]
    del records, events
    runtime.handle(bodies[0])
    timed = [runtime.handle(body) for body in bodies[1 : rounds + 1]]
    return {"us": [used / size * 1e6 for used, _ in timed], "seconds": [passed for _, passed in timed]}


if __name__ == "__main__":
    name, *numbers = sys.argv[1:]
    print(json.dumps(measure(name, *map(int, numbers))))
