"""The welcome function sends messages for what happens to a table's items, each once."""

import os
from functools import cache
from typing import Any

from distributary.consumer.consume import Deployment, Response, consume
from distributary.consumer.deadline import Context
from distributary.consumer.declared import declared_beside
from distributary.consumer.init_phase import prepare
from distributary.consumer.parallel import Parallel
from distributary.consumer.telemetry import Telemetry
from distributary.dynamodb.client import clients
from distributary.welcome.factory import build
from distributary.welcome.settings import WelcomeSettings

with declared_beside(__file__):
    from rules import RULES


@cache
def runtime() -> Deployment:
    """The function as its environment asks for; built once per process, in Lambda's init phase."""
    settings, parallel = WelcomeSettings.load(os.environ), Parallel()
    branch = build(RULES, settings, clients, parallel)
    telemetry = Telemetry("welcome", os.environ.get("STACK_NAME", ""))
    return Deployment.of(branch, settings, clients, parallel, telemetry, replays=True)


def handler(event: Any, context: Context) -> Response:
    """Takes a batch of stream records, and answers the first that failed."""
    return consume(event, context, runtime())


prepare(runtime)
