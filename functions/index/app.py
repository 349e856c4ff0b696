"""The index function: the declared OpenSearch indexes, kept in step with a table's stream."""

import os
from functools import cache
from typing import Any

from distributary.consumer.aws import client
from distributary.consumer.consume import Deployment, Response, consume
from distributary.consumer.deadline import Context
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.telemetry import Telemetry
from distributary.index import check
from distributary.index.branch import Documents
from distributary.index.dual_write import Both
from distributary.index.opensearch.bulk import Bulk
from distributary.index.opensearch.connect import connect
from distributary.index.settings import IndexSettings
from indexes import INDEXES


@cache
def deployed() -> Deployment:
    """What the environment asks for, put together once per process."""
    settings = IndexSettings.load(os.environ)
    parallel = Parallel()
    search = connect(settings.endpoint, settings.service, settings.secret)
    bulk = Bulk(search, parallel=parallel, max_bytes=settings.request_bytes)
    branch = written(settings, bulk)
    parking = Parking(client("s3"), settings.parking_bucket, "index", parallel)
    return Deployment(branch, parking, Telemetry("index"), settings.generation)


def written(settings: IndexSettings, bulk: Bulk) -> Documents | Both:
    """One generation, or two while readers move from one to the other."""
    sources = check(INDEXES)
    here = Documents(sources, settings.generation, bulk)
    if settings.also_generation is None:
        return here
    return Both(here, Documents(sources, settings.also_generation, bulk))


def handler(event: Any, context: Context) -> Response:
    """A batch of stream records in, the first failed one out."""
    return consume(event, context, deployed())
