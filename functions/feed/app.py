"""The feed function gives another function a part of what a table, an export or an archive holds."""

import os
from functools import cache
from typing import Any

from distributary.consumer.aws import client
from distributary.consumer.deadline import Context, Deadline
from distributary.feed.part import RESERVE_SECONDS, Feeding
from distributary.feed.settings import FeedSettings


@cache
def feeding() -> Feeding:
    """The function as its environment asks for."""
    return Feeding(FeedSettings.load(os.environ), cache(client))


def handler(event: Any, context: Context) -> dict[str, Any]:
    """Takes what statemachines/feed.asl.yaml gives it; see `feed.part`."""
    return feeding().answer(event, Deadline.of(context, RESERVE_SECONDS))
