"""The deferred function gives branches what the trunk deferred, once they take it."""

import os
from functools import cache
from typing import Any

from distributary.consumer.deadline import Context, Deadline
from distributary.consumer.telemetry import Telemetry
from distributary.dynamodb.client import clients
from distributary.feed.invoke import Invoke, deployed
from distributary.trunk.branch_code import service
from distributary.trunk.factory import feeder
from distributary.trunk.feeder import INVOKE_SECONDS, RUN_SECONDS, Fed, Feeder, feed_all, left_over
from distributary.trunk.settings import DeferredSettings


@cache
def feeding() -> Feeder:
    """The function as its environment asks for."""

    def invoke(branch: str, arn: str) -> Invoke:
        return deployed(clients("lambda", attempts=1, read_seconds=INVOKE_SECONDS), branch, arn)

    return feeder(DeferredSettings.load(os.environ), cache(clients), invoke)


def told(fed: Fed) -> None:
    """What a branch was given, as its metrics and in its log."""
    with service(fed.branch):
        telemetry = Telemetry(fed.branch, os.environ.get("STACK_NAME", ""))
    telemetry.fed(fed.done, fed.backlog, fed.age, left_over(fed))


def handler(event: Any, context: Context) -> dict[str, Any]:  # noqa: ARG001
    """Called by a schedule. Answers what each branch was given."""
    left = context.get_remaining_time_in_millis() / 1000
    return feed_all(feeding(), told, Deadline.of(context, max(0.0, left - RUN_SECONDS)))
