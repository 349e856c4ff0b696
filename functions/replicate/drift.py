"""The drift function: a random share of the mirror, held against its source on a schedule."""

import os
from typing import Any

from distributary.consumer.deadline import Deadline
from distributary.replicate.settings import DriftSettings
from distributary.replicate.verify.drift import Invoked, measured, publish, table_here


def handler(event: Any, context: Invoked) -> dict[str, int]:  # noqa: ARG001
    """How much was compared, and what differs. Raises if that cannot be completed, so that Lambda counts an error."""
    settings = DriftSettings.load(os.environ)
    table = table_here(settings.source_table_arn, context.invoked_function_arn)
    report = measured(settings, table, Deadline.of(context))
    return publish(report, os.environ.get("STACK_NAME", ""))
