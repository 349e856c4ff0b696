"""The purge: once a day, the markers of deletions beyond the horizon leave the indexes."""

import os
import time
from functools import cache
from typing import Any

from distributary.consumer.deadline import Context, Deadline
from distributary.consumer.declared import declared_beside
from distributary.consumer.telemetry import Telemetry
from distributary.index.declarations import of_generation
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.purge import DAY_SECONDS, purge
from distributary.index.settings import PurgeSettings
from distributary.index.validation import whole

with declared_beside(__file__):
    from indexes import INDEXES


@cache
def runtime() -> tuple[PurgeSettings, Any, Telemetry]:
    """What the environment asks for, put together once per process."""
    settings = PurgeSettings.load(os.environ)
    return (
        settings,
        connect(settings.endpoint, settings.service, settings.secret),
        Telemetry("index", os.environ.get("STACK_NAME", "")),
    )


def handler(_: Any, context: Context) -> dict[str, dict[str, int]]:
    """By index, what was deleted and what had changed meanwhile. Lambda counts an error, which triggers an alarm."""
    settings, client, telemetry = runtime()
    deadline, before = Deadline.of(context), time.time() - settings.marker_days * DAY_SECONDS
    found = {}
    for index in whole(of_generation(INDEXES, settings.generation)):
        purged = purge(client, index.write_alias(settings.generation), before, deadline)
        found[index.name] = {"Purged": purged.deleted, "PurgeConflicts": purged.conflicts}
    telemetry.purge({name: sum(each[name] for each in found.values()) for name in ("Purged", "PurgeConflicts")})
    return found
