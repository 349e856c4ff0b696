"""The index function keeps declared OpenSearch indexes in step with a table's stream."""

import os
from functools import cache
from typing import Any

from distributary.consumer.consume import Deployment, Response, consume
from distributary.consumer.deadline import Context
from distributary.consumer.declared import declared_beside
from distributary.consumer.init_phase import prepare
from distributary.consumer.parallel import Parallel
from distributary.consumer.telemetry import Telemetry
from distributary.dynamodb.read_budget import Pace
from distributary.index.factory import bindings, build, rebuilder, reconciler
from distributary.index.opensearch.connect import clients
from distributary.index.settings import IndexSettings

with declared_beside(__file__):
    from indexes import INDEXES


@cache
def runtime() -> Deployment:
    """The function as its environment asks for; built once per process, in Lambda's init phase."""
    settings, parallel = IndexSettings.load(os.environ), Parallel()
    once = cache(clients)
    telemetry = Telemetry("index", os.environ.get("STACK_NAME", ""))
    branch = build(INDEXES, settings, once, parallel, due=telemetry.rebuild_due)
    bound = bindings(INDEXES, settings, once)
    pace = Pace(settings.reconcile_read_units)
    reconcile = reconciler(branch, settings, once, pace)
    rebuild = rebuilder(branch, reconcile, settings, once, pace)
    return Deployment.of(branch, settings, once, parallel, telemetry, bound.bind, reconcile, rebuild)


def handler(event: Any, context: Context) -> Response:
    """Takes a batch of stream records, and answers the first that failed."""
    return consume(event, context, runtime())


prepare(runtime)
