"""IAM's decisions, by a simulator that others wrote. It runs on Node, with the packages locked in `npm`."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from local.node import installed

ROOT = Path(__file__).parents[2]
LOCKED = Path(__file__).parent / "npm"

Request = Mapping[str, Any]
Simulator = Callable[[Sequence[Request]], list[bool]]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def allowed() -> Simulator:
    """Whether each request is allowed: `policy`, `action`, `resource`, `context`, and for a resource of another
    account `principal`, `resourcePolicy` and `owner`."""
    folder = installed(LOCKED, "policies")

    def decide(requests: Sequence[Request]) -> list[bool]:
        command = ["node", "simulate.mjs"]
        done = subprocess.run(command, cwd=folder, input=json.dumps(requests), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [result == "Allowed" for result in json.loads(done.stdout)]

    return decide
