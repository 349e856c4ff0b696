"""The index function: one declared OpenSearch index, kept in step with a table's stream."""

import os
from functools import cache
from typing import Any

from distributary.branches.index import Documents
from distributary.clients import client
from distributary.consume import Deployment, Response, consume
from distributary.deadline import Context
from distributary.indexes import check
from distributary.parallel import Parallel
from distributary.parking import Parking
from distributary.search.bulk import Bulk
from distributary.search.connect import connect
from distributary.settings import IndexSettings
from distributary.telemetry import Telemetry
from indexes import INDEX


@cache
def deployed() -> Deployment:
    """What the environment asks for, put together once per process."""
    settings = IndexSettings.load(os.environ)
    bulk = Bulk(connect(settings.endpoint, settings.service))
    branch = Documents(INDEX, check(INDEX), INDEX.write_alias(settings.generation), bulk)
    parking = Parking(client("s3"), settings.parking_bucket, "index", Parallel())
    return Deployment(branch, parking, Telemetry("index"), settings.generation)


def handler(event: Any, context: Context) -> Response:
    """A batch of stream records in, the first failed one out."""
    return consume(event, context, deployed())
