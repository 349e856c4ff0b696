"""The trunk function reads a table's stream once for several branches."""

import os
from functools import cache
from pathlib import Path
from typing import Any

from distributary.consumer.consume import Deployment, Response
from distributary.consumer.deadline import Context
from distributary.consumer.init_phase import prepare
from distributary.consumer.telemetry import Telemetry
from distributary.dynamodb.client import clients
from distributary.trunk.branch_code import load, service
from distributary.trunk.factory import build
from distributary.trunk.settings import TrunkSettings
from distributary.trunk.trunk import Trunk, distribute


def branch(name: str) -> Deployment:
    """A branch as its own function builds it."""
    with service(name):
        deployed: Deployment = load(Path(__file__).parent, name).runtime()
    return deployed


def telemetry(name: str) -> Telemetry:
    """Of a branch whose function is not run here."""
    with service(name):
        return Telemetry(name, os.environ.get("STACK_NAME", ""))


@cache
def trunk() -> Trunk:
    """The function as its environment asks for; built once per process, in Lambda's init phase."""
    return build(TrunkSettings.load(os.environ), branch, cache(clients), telemetry)


def handler(event: Any, context: Context) -> Response:
    """Takes a batch of stream records, and answers the first that failed in any branch."""
    return distribute(event, context, trunk())


prepare(trunk)
