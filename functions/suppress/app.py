"""The suppress function: whoever bounced or complained is written to no more."""

import os
from functools import cache
from typing import Any

from distributary.consumer.aws import client
from distributary.consumer.deadline import Context
from distributary.welcome.bounces import suppress
from distributary.welcome.settings import SuppressSettings
from distributary.welcome.suppressions import Suppressions


@cache
def suppressions() -> Suppressions:
    """What the environment asks for, put together once per process."""
    return Suppressions(client("dynamodb"), SuppressSettings.load(os.environ).claim_table)


def handler(event: Any, context: Context) -> None:  # noqa: ARG001
    """SES's events through SNS in. What raises, Lambda tries again, and then keeps in the parking bucket."""
    suppress(event, suppressions())


if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
    suppressions()
