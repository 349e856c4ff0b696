"""The scheduled look at a mirror: as many random segments as its read units pay for, and a metric of what differs."""

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from distributary.clients import client
from distributary.deadline import Context, Deadline
from distributary.parallel import Parallel
from distributary.settings import DriftSettings
from distributary.tables.tombstones import Tombstones
from distributary.verify.replica import sample
from distributary.verify.replica.look import Eye
from distributary.verify.replica.reading import Side
from distributary.verify.replica.report import MirrorReport
from distributary.verify.replica.run import Verify
from distributary.verify.replica.sides import Place, described, key_names, mirror
from distributary.verify.replica.suspects import Suspects

SIDE_BY_SIDE = 4
ATTEMPTS, READ_SECONDS = 5, 10.0


class Invoked(Context, Protocol):
    """What is used of Lambda's context object beside `Context`."""

    invoked_function_arn: str


def measured(
    settings: DriftSettings, table: str, deadline: Deadline, sleep: Callable[[float], None] = time.sleep
) -> MirrorReport:
    """Segments in random order until the read units or half of the time are used up; second looks in the other half.

    What differs is counted, never repaired. Raises ConfigError or Unavailable.
    """
    home = client("dynamodb", None, ATTEMPTS, READ_SECONDS)
    away = client("dynamodb", settings.replica_region, ATTEMPTS, READ_SECONDS)
    place = Place(settings.replica_table, settings.replica_region, None)
    source, replica = described(home, table), described(away, place.table)
    branch = mirror(away, place, Tombstones(None, "", 0), settings.version_attribute)
    sides = Side(home, table), Side(away, place.table)
    eye = Eye(
        *sides,
        key_names(source, replica),
        branch.plan,
        settings.generation,
        settings.version_attribute,
        branch.declared.expired == "ignore",
    )
    half = deadline.halved()

    def enough() -> bool:
        return half.left() == 0 or sum(side.pace.units for side in sides) >= settings.read_units

    suspects, parallel = Suspects(settings.pause_seconds), Parallel(SIDE_BY_SIDE)
    verify = Verify(eye, suspects, parallel, enough=enough, sleep=sleep)
    segments = sample.segments_of(int(source["ItemCount"]))
    return verify.scan(random.sample(range(segments), min(segments, settings.read_units)), segments)


def publish(report: MirrorReport) -> dict[str, int]:
    """Drift (items that differ) and Compared (items and rows looked at), with dimension `branch`; in the log the kinds
    of difference, and nothing of an item: `python -m distributary.verify replica` names them."""
    counts = {"Drift": report["differences"], "Compared": report["items"] + report["rows"]}
    metrics = EphemeralMetrics()
    metrics.add_dimension(name="branch", value="replicate")
    for name, value in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    metrics.flush_metrics()
    kinds = dict(Counter(each["kind"] for each in report.samples.get("differences", [])))
    log = Logger().warning if counts["Drift"] else Logger().info
    moving, rejected, sampled = report["moving"], report["rejected"], dict(report.sampled)
    log("drift", compared=counts["Compared"], kinds=kinds, moving=moving, rejected=rejected, sampled=sampled)
    return {name.lower(): value for name, value in counts.items()}


def table_here(arn: str, function_arn: str) -> str:
    """What the table is called from this function: by name in its own account, else by its ARN.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/rbac-cross-account-access.html"""
    same_account = arn.split(":")[4] == function_arn.split(":")[4]
    return arn.rpartition("/")[2] if same_account else arn
