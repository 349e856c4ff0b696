"""The scheduled look at replicas: as many random segments as its read units pay for, and a metric of what differs."""

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from distributary.consumer.assumed_role import assumed
from distributary.consumer.aws import client
from distributary.consumer.deadline import Context, Deadline
from distributary.consumer.parallel import Parallel
from distributary.consumer.telemetry import add_dimensions
from distributary.dynamodb.tombstones import Tombstones
from distributary.replicate.declarations import Mirror, peers_of, target_of
from distributary.replicate.factory import mirror
from distributary.replicate.settings import DriftSettings
from distributary.replicate.verify import regions, sample
from distributary.replicate.verify.comparison import Comparator, of_mirror
from distributary.replicate.verify.recheck_queue import RecheckQueue
from distributary.replicate.verify.report import MirrorReport
from distributary.replicate.verify.table import Side
from distributary.replicate.verify.tables import Place, declared, described, key_names
from distributary.replicate.verify.verifier import Verify

SIDE_BY_SIDE = 4
ATTEMPTS, READ_SECONDS = 5, 10.0


class Invoked(Context, Protocol):
    """What is used of Lambda's context object beside `Context`."""

    invoked_function_arn: str


def measured(
    settings: DriftSettings, table: str, deadline: Deadline, sleep: Callable[[float], None] = time.sleep
) -> MirrorReport:
    """Segments in random order until the read units or half of the time are used up; second looks in the other half.
    Of several regions each other one has its share of both.

    What differs is counted, never repaired. Raises ConfigError or Unavailable.
    """
    found, here = declared(), settings.source_table_arn.split(":")[3]
    home = client("dynamodb", None, ATTEMPTS, READ_SECONDS)
    source = described(home, table)
    if isinstance(found, Mirror):
        away = _away(settings, target_of(settings.replica_regions))
        replica = described(away, settings.replica_table)
        place = Place(settings.replica_table, settings.replica_regions[0], None)
        branch = mirror(
            found,
            away,
            (str(place.region), place.table),
            Tombstones(away, "", 0),
            Parallel(1),
            settings.version_attribute,
        )
        sides = Side(home, table), Side(away, settings.replica_table, name="replica")
        comparator = of_mirror(branch, *sides, settings.generation, key_names(source, replica))
        return _sampled(comparator, int(source["ItemCount"]), settings, settings.read_units, deadline.share(2), sleep)
    others = peers_of(found, here, settings.replica_regions, settings.target_role)
    reports = []
    for at, other in enumerate(others):
        away = _away(settings, other)
        keys = key_names(source, described(away, table))
        comparator = regions.comparator(
            Side(home, table, name=here), Side(away, table, name=other), keys, settings.version_attribute
        )
        units, share = settings.read_units // len(others), deadline.share(2 * (len(others) - at))
        reports.append((here, other, _sampled(comparator, int(source["ItemCount"]), settings, units, share, sleep)))
    return regions.one_report(reports)


def _away(settings: DriftSettings, region: str) -> Any:
    session = None if settings.target_role == "none" else assumed(client("sts"), settings.target_role)
    return client("dynamodb", region, ATTEMPTS, READ_SECONDS, session=session)


def _sampled(
    comparator: Comparator,
    items: int,
    settings: DriftSettings,
    units: int,
    part: Deadline,
    sleep: Callable[[float], None],
) -> MirrorReport:
    """`part`: of the time, for first looks."""

    def enough() -> bool:
        return part.left() == 0 or comparator.source.pace.units + comparator.replica.pace.units >= units

    verify = Verify(
        comparator, RecheckQueue(settings.pause_seconds), Parallel(SIDE_BY_SIDE), enough=enough, sleep=sleep
    )
    segments = sample.segments_of(items)
    return verify.scan(random.sample(range(segments), min(segments, max(1, units))), segments)


def publish(report: MirrorReport, stack: str = "") -> dict[str, int]:
    """Drift (items that differ) and Compared (items and rows looked at), with the dimensions of `Telemetry`; in the log
    the kinds of difference, and nothing of an item: `distributary verify replicate` names them."""
    counts = {"Drift": report["differences"], "Compared": report["items"] + report["rows"]}
    metrics = EphemeralMetrics()
    add_dimensions(metrics, "replicate", stack)
    for name, value in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    metrics.flush_metrics()
    kinds = dict(Counter(each["kind"] for each in report.samples.get("differences", [])))
    log = Logger().warning if counts["Drift"] else Logger().info
    moving, parked, sampled = report["moving"], report["parked"], dict(report.sampled)
    log("drift", compared=counts["Compared"], kinds=kinds, moving=moving, parked=parked, sampled=sampled)
    return {name.lower(): value for name, value in counts.items()}


def table_here(arn: str, function_arn: str) -> str:
    """What the table is called from this function: by name in its own account, else by its ARN.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/rbac-cross-account-access.html"""
    same_account = arn.split(":")[4] == function_arn.split(":")[4]
    return arn.rpartition("/")[2] if same_account else arn
