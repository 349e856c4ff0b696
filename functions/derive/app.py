"""The derive function keeps declared views in step with a table's stream."""

import os
from functools import cache
from typing import Any

from distributary.consumer.consume import Deployment, Response, consume
from distributary.consumer.deadline import Context
from distributary.consumer.declared import declared_beside
from distributary.consumer.init_phase import prepare
from distributary.consumer.parallel import Parallel
from distributary.consumer.telemetry import Telemetry
from distributary.derive.factory import build, rebuilder, reconciler
from distributary.derive.settings import DeriveSettings
from distributary.dynamodb.client import clients
from distributary.dynamodb.read_budget import Pace
from distributary.dynamodb.stream_bindings import StreamBindings

with declared_beside(__file__):
    from views import VIEWS


@cache
def runtime() -> Deployment:
    """The function as its environment asks for; built once per process, in Lambda's init phase."""
    settings, parallel = DeriveSettings.load(os.environ), Parallel()
    once = cache(clients)
    telemetry = Telemetry("derive", os.environ.get("STACK_NAME", ""))
    branch = build(VIEWS, settings, once, parallel, due=telemetry.rebuild_due)
    bindings = StreamBindings(once("dynamodb"), settings.tombstone_table, "derive")
    pace, own = Pace(settings.reconcile_read_units), settings.own_streams
    reconcile = reconciler(branch, settings.source, settings.generation, pace)
    rebuild = rebuilder(branch, reconcile, settings.source, settings.generation, settings.streams, pace, own)
    return Deployment.of(branch, settings, once, parallel, telemetry, bindings.bind, reconcile, rebuild)


def handler(event: Any, context: Context) -> Response:
    """Takes a batch of stream records, and answers the first that failed."""
    return consume(event, context, runtime())


prepare(runtime)
