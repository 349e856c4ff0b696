"""The replicate function keeps other regions' tables as replica.py declares."""

import os
from functools import cache, partial
from typing import Any

from distributary.consumer.consume import Deployment, Response, consume
from distributary.consumer.deadline import Context
from distributary.consumer.declared import declared_beside
from distributary.consumer.init_phase import prepare
from distributary.consumer.parallel import Parallel
from distributary.consumer.telemetry import Telemetry
from distributary.dynamodb.client import clients
from distributary.dynamodb.stream_bindings import StreamBindings
from distributary.dynamodb.versioned_table import ROW_FORMAT
from distributary.replicate.factory import build, reconciler
from distributary.replicate.mirror import CALLS
from distributary.replicate.settings import ReplicateSettings

with declared_beside(__file__):
    from replica import REPLICA


@cache
def runtime() -> Deployment:
    """The function as its environment asks for; built once per process, in Lambda's init phase."""
    settings, parallel = ReplicateSettings.load(os.environ), Parallel(CALLS)
    once = cache(clients)
    telemetry = Telemetry("replicate", os.environ.get("STACK_NAME", ""))
    branch = build(REPLICA, settings, once, parallel, partial(telemetry.count, "Conflicts"))
    bindings = StreamBindings(once("dynamodb", connections=CALLS), settings.tombstone_table, "replicate", ROW_FORMAT)
    units = settings.reconcile_read_units
    reconcile = reconciler(branch, once, settings.source, settings.generation, units)
    return Deployment.of(branch, settings, once, parallel, telemetry, bindings.bind, reconcile)


def handler(event: Any, context: Context) -> Response:
    """Takes a batch of stream records, and answers the first that failed."""
    return consume(event, context, runtime())


prepare(runtime)
