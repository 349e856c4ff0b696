"""IAM's decisions, by a simulator that others wrote. It runs on Node, with the packages locked in `npm`."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCKED = Path(__file__).parent / "npm"
INSTALL = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]

Request = Mapping[str, Any]
Simulator = Callable[[Sequence[Request]], list[bool]]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def allowed() -> Simulator:
    """Whether each request is allowed: `policy`, `action`, `resource`, `context`, and for a resource of another
    account `principal`, `resourcePolicy` and `owner`."""
    missing = [tool for tool in ("node", "npm") if not shutil.which(tool)]
    assert not missing, f"{' and '.join(missing)} must be on the PATH: install Node 20 or newer"
    folder = ROOT / ".build" / "policies"
    shutil.copytree(LOCKED, folder, dirs_exist_ok=True)
    subprocess.run(INSTALL, cwd=folder, check=True)

    def decide(requests: Sequence[Request]) -> list[bool]:
        command = ["node", "simulate.mjs"]
        done = subprocess.run(command, cwd=folder, input=json.dumps(requests), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [result == "Allowed" for result in json.loads(done.stdout)]

    return decide
