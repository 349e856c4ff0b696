"""The derive function: declared views, kept in step with a table's stream."""

import os
from functools import cache
from typing import Any

from distributary.consumer.aws import client
from distributary.consumer.consume import Deployment, Response, consume
from distributary.consumer.deadline import Context
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.telemetry import Telemetry
from distributary.derive import check
from distributary.derive.branch import Derive
from distributary.derive.ledger import Ledger
from distributary.derive.ledger_tables import Books
from distributary.derive.settings import DeriveSettings
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register
from views import VIEWS


@cache
def deployed() -> Deployment:
    """What the environment asks for, put together once per process."""
    settings = DeriveSettings.load(os.environ)
    dynamodb, parallel = client("dynamodb"), Parallel()
    tombstones = Tombstones(dynamodb, settings.tombstone_table, settings.tombstone_days)
    books = Books(dynamodb, settings.ledger_table, settings.derived_table, settings.tombstone_days)
    register = Register(dynamodb, settings.derived_table, tombstones, parallel)
    branch = Derive(check(VIEWS), register, Ledger(books, parallel))
    parking = Parking(client("s3"), settings.parking_bucket, "derive", parallel)
    return Deployment(branch, parking, Telemetry("derive"), settings.generation)


def handler(event: Any, context: Context) -> Response:
    """A batch of stream records in, the first failed one out."""
    return consume(event, context, deployed())
