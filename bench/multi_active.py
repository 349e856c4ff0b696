"""A table of two regions, the other one 80 ms away: `python -m bench.multi_active [RULE ...]`.

Prints for each rule and each number of bytes the median microseconds of processor time per change, from the event's
bytes to the response's through Lambda's own runtime client, changes a second, and requests per change. Each is measured
in a process of its own, over TLS, against a server that takes every write and has no item.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from bench.derive import ENVIRONMENT
from bench.lambda_sides import Runtime, as_in_lambda
from bench.mirrors import AWAY, ROOT, environment
from bench.replicate import MILLISECONDS, NOTES
from bench.transports import certificate, serving
from bench.workloads import UNIFORM, Orders
from distributary.consumer.consume import Deployment, consume
from distributary.consumer.parallel import Parallel
from distributary.consumer.telemetry import Telemetry
from distributary.dynamodb.client import DynamoDBClient, clients
from distributary.replicate import by_attribute, last_writer
from distributary.replicate.declarations import MultiActive, Rule
from distributary.replicate.factory import build
from distributary.replicate.mirror import CALLS
from distributary.replicate.multi_active.merge_rules import Merge
from distributary.replicate.settings import ReplicateSettings

HERE = "us-east-1"
RULES: dict[str, Rule | Merge] = {"whole": last_writer(), "merged": by_attribute()}
ROUNDS = 7


def main(names: Sequence[str]) -> int:
    """Prints a line for each rule and size."""
    with tempfile.TemporaryDirectory() as folder:
        trusted = certificate(Path(folder))
        with serving(trusted, MILLISECONDS / 1000) as url:
            at = {"AWS_DEFAULT_REGION": HERE, "AWS_ENDPOINT_URL": url, "AWS_CA_BUNDLE": trusted}
            paths = [os.environ.get("PYTHONPATH", ""), str(ROOT), str(ROOT / "layers/distributary")]
            surroundings = {**os.environ, **ENVIRONMENT, **at, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
            for name in names or RULES:
                for of, note in NOTES.items():
                    command = [sys.executable, "-m", "bench.multi_active", "--measure", name, str(note)]
                    done = subprocess.run(command, env=surroundings, stdout=subprocess.PIPE, text=True, check=True)
                    print(f"{name:8} {of:8}", _shown(**json.loads(done.stdout)))
    return 0


def _shown(us: list[float], seconds: list[float], requests: float) -> str:
    a_second = [1 / each for each in seconds]
    cpu = f"{statistics.median(us):6.0f} us (least {min(us):.0f})"
    return f"{cpu} {statistics.median(a_second):6.0f}/s (most {max(a_second):.0f}) {requests:.1f} requests"


def measure(name: str, note: int) -> dict[str, object]:
    """`us` and `seconds` per change, of each batch of 1,000 after the first, and `requests` per change."""
    os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "on-demand"
    settings = ReplicateSettings.load({**os.environ, **environment("orders")})
    declared, parallel, once = MultiActive(regions=(HERE, AWAY), rule=RULES[name]), Parallel(CALLS), cache(clients)
    branch = build(declared, settings, once, parallel, lambda: None)
    deployed = Deployment.of(branch, settings, once, parallel, Telemetry("bench"))
    as_in_lambda(lambda: deployed)
    runtime, orders = Runtime(lambda event, context: consume(event, context, deployed)), Orders(UNIFORM, note)
    list(orders.placed())
    bodies = [json.dumps(orders.batch(), separators=(",", ":")).encode() for _ in range(ROUNDS + 1)]
    counted = _requests()
    runtime.handle(bodies[0])
    many = 1000
    requests = len(counted) / many
    timed = [runtime.handle(body) for body in bodies[1:]]
    return {
        "us": [used / many * 1e6 for used, _ in timed],
        "seconds": [passed / many for _, passed in timed],
        "requests": requests,
    }


def _requests() -> list[str]:
    """The operations of all clients, from now on."""
    counted, steps = list[str](), DynamoDBClient.steps

    def noted(client: DynamoDBClient, operation: str, arguments: object) -> object:
        counted.append(operation)
        return steps(client, operation, arguments)  # type: ignore[arg-type]

    DynamoDBClient.steps = noted  # type: ignore[method-assign, assignment]
    return counted


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
    else:
        sys.exit(main(sys.argv[1:]))
