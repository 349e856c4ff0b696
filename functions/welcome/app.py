"""The welcome function: messages for what happens to a table's items, each sent once."""

import os
from functools import cache
from typing import Any

from distributary.consumer.aws import client
from distributary.consumer.consume import Deployment, Response, consume
from distributary.consumer.deadline import Context
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.telemetry import Telemetry
from distributary.welcome.branch import Welcome
from distributary.welcome.channels import Connections
from distributary.welcome.claims import Claims
from distributary.welcome.rate_limit import Pace
from distributary.welcome.rules import check
from distributary.welcome.settings import WelcomeSettings
from distributary.welcome.suppressions import Suppressions
from rules import RULES


@cache
def deployed() -> Deployment:
    """What the environment asks for, put together once per process."""
    settings = WelcomeSettings.load(os.environ)
    rules, dynamodb, parallel = check(RULES, settings.event_names), client("dynamodb"), Parallel()
    connections = Connections(settings, cache(lambda service: client(service, attempts=1, read_seconds=5.0)))
    branch = Welcome(
        rules,
        Claims(dynamodb, settings.claim_table, settings.claim_days),
        Suppressions(dynamodb, settings.claim_table),
        {channel: channel.connect(connections) for channel in {rule.channel for rule in rules}},
        Pace(settings.send_rate / settings.concurrency),
        parallel,
        settings.max_age_seconds,
    )
    parking = Parking(client("s3"), settings.parking_bucket, "welcome", parallel)
    return Deployment(branch, parking, Telemetry("welcome"), settings.generation)


def handler(event: Any, context: Context) -> Response:
    """A batch of stream records in, the first failed one out."""
    return consume(event, context, deployed())
