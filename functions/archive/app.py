"""The archive function keeps every change of a table's stream in S3."""

import os
from functools import cache
from typing import Any

from distributary.archive.factory import build
from distributary.archive.settings import ArchiveSettings
from distributary.consumer.aws import client
from distributary.consumer.consume import Deployment, Response, consume
from distributary.consumer.deadline import Context
from distributary.consumer.init_phase import prepare
from distributary.consumer.parallel import Parallel
from distributary.consumer.telemetry import Telemetry


@cache
def runtime() -> Deployment:
    """The function as its environment asks for; built once per process, in Lambda's init phase."""
    settings = ArchiveSettings.load(os.environ)
    branch = build(settings, client)
    telemetry = Telemetry("archive", os.environ.get("STACK_NAME", ""))
    return Deployment.of(branch, settings, client, Parallel(), telemetry, replays=True)


def handler(event: Any, context: Context) -> Response:
    """Takes a batch of stream records, and answers the first that failed."""
    return consume(event, context, runtime())


prepare(runtime)
