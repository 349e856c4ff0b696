"""The welcome branch, put together: by the function, the tests, and the benchmarks."""

import time
from collections.abc import Callable, Sequence
from functools import cache, partial

from distributary.consumer.aws import Clients, Later
from distributary.consumer.parallel import Parallel
from distributary.errors import ConfigError
from distributary.stream.entity import other_tables
from distributary.welcome.branch import WelcomeBranch
from distributary.welcome.channels import Connections
from distributary.welcome.claims import Claims
from distributary.welcome.rate_limit import Pace
from distributary.welcome.rules import Rule, check
from distributary.welcome.settings import WelcomeSettings


def build(
    declared: Sequence[Rule],
    settings: WelcomeSettings,
    clients: Clients,
    parallel: Parallel,
    now: Callable[[], float] = time.time,
    pace: Pace | None = None,
) -> WelcomeBranch:
    """A branch that sends the declared messages. Raises ConfigError that names every fault of the declarations.

    A provider's client makes one attempt only, since a retry by the SDK could send a message twice.
    """
    rules, dynamodb = check(declared, settings.event_names), clients("dynamodb")
    if faults := other_tables({f"rule '{rule.name}'": rule.of for rule in rules}, settings.tables):
        raise ConfigError(faults)
    once = partial(clients, attempts=1, read_seconds=5.0)
    connections = Connections(settings, cache(lambda service: Later(partial(once, service))))
    return WelcomeBranch(
        rules,
        Claims(dynamodb, settings.claim_table, settings.claims_kept_days, now),
        {channel: channel.connect(connections) for channel in {rule.channel for rule in rules}},
        pace or Pace(settings.send_rate / settings.concurrency),
        parallel,
        settings.max_age_seconds,
        now,
    )
