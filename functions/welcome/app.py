"""The welcome function: one message for each new user of a table."""

import os
from functools import cache
from typing import Any

from distributary.branches.welcome import Welcome
from distributary.channels import Ses
from distributary.clients import client
from distributary.consume import Deployment, Response, consume
from distributary.deadline import Context
from distributary.parallel import Parallel
from distributary.parking import Parking
from distributary.rules import check
from distributary.settings import WelcomeSettings
from distributary.tables.claims import Claims
from distributary.telemetry import Telemetry
from rules import RULES


@cache
def deployed() -> Deployment:
    """What the environment asks for, put together once per process."""
    settings = WelcomeSettings.load(os.environ)
    claims, parallel = Claims(client("dynamodb"), settings.claim_table, settings.claim_days), Parallel()
    channel = Ses(client("sesv2", attempts=1, read_seconds=5.0), settings.sender)
    branch = Welcome(check(RULES), claims, channel, parallel, settings.max_age_seconds)
    parking = Parking(client("s3"), settings.parking_bucket, "welcome", parallel)
    return Deployment(branch, parking, Telemetry("welcome"), settings.generation)


def handler(event: Any, context: Context) -> Response:
    """A batch of stream records in, the first failed one out."""
    return consume(event, context, deployed())
