"""A replica against its source, or all regions' tables: 0 all equal, 1 differences, 2 not completed."""

import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from distributary.consumer.deadline import FOREVER
from distributary.consumer.parallel import Parallel
from distributary.dynamodb.read_budget import Pace
from distributary.dynamodb.tombstones import Tombstones
from distributary.errors import ConfigError
from distributary.replicate.declarations import Mirror, MultiActive
from distributary.replicate.factory import mirror
from distributary.replicate.multi_active.factory import between
from distributary.replicate.reconcile import MirrorReconciler
from distributary.replicate.verify import regions, sample
from distributary.replicate.verify.comparison import Comparator, of_mirror
from distributary.replicate.verify.recheck_queue import RecheckQueue
from distributary.replicate.verify.repair import Repair, by_reconciling
from distributary.replicate.verify.report import MirrorReport
from distributary.replicate.verify.since import SECONDS_KEPT, changed
from distributary.replicate.verify.table import Keys, Side
from distributary.replicate.verify.tables import Place, Places, declared, described, key_names
from distributary.replicate.verify.verifier import Verify
from distributary.stream import version as versions
from distributary.verify.parked import NOTHING_LISTED, ParkedItems
from distributary.verify.progress import progress

REPAIRS = 32
"""So many rows are repaired side by side: each takes some seven round trips to the other region."""

_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(Places):
    """What to compare. `sample`: a random share only; `since`: only what changed in this time, such as 30m. `pause`:
    seconds between looks, longer than the lag. `read_units`: a second, of each table at most. `parking`: the bucket
    that tells whose changes are parked; none if empty."""

    segments: int = 4
    read_units: float | None = None
    sample: float | None = None
    since: str | None = None
    pause: float = 10.0
    repair: bool = False
    tombstone_days: int = 7
    generation: int = 0
    parking: str = ""


def run(options: Options) -> MirrorReport:
    """Raises ConfigError, every fault at once, or what a read raised."""
    found = declared()
    if faults := [*_faults(options, isinstance(found, MultiActive))]:
        raise ConfigError(faults)
    return _of_regions(options, found) if isinstance(found, MultiActive) else _of_mirror(options, found)


def _of_mirror(options: Options, found: Mirror) -> MirrorReport:
    home, away = options.source, options.replica
    client, other = home.client(), away.client()
    table, replica = described(client, home.table), described(other, away.table)
    tombstones = Tombstones(client, options.tombstone_table, options.tombstone_days)
    target = str(away.region), away.table
    branch = mirror(found, other, target, tombstones, Parallel(1), options.version_attribute)
    comparator = of_mirror(
        branch,
        Side(client, home.table, Pace(options.read_units)),
        Side(other, away.table, Pace(options.read_units), "replica"),
        options.generation,
        key_names(table, replica),
    )
    repair = by_reconciling(MirrorReconciler(branch, comparator)) if options.repair else None
    streams = [(home, table.get("LatestStreamArn"))]
    return _run(options, comparator, repair, (table["ItemCount"], replica["ItemCount"]), streams, _parked(options))


def _of_regions(options: Options, found: MultiActive) -> MirrorReport:
    """Each other region against the one of --region, one after the other."""
    places = options.of_regions(found)
    here, *others = places
    clients = {region: place.client() for region, place in places.items()}
    tables = {region: described(clients[region], options.table) for region in places}
    repair, reports, parked = None, [], _parked(options)
    if options.repair:
        names, parallel = dict.fromkeys(places, (options.table, options.tombstone_table)), Parallel(1)
        days, attribute = options.tombstone_days, options.version_attribute
        branch = between(found, clients, names, days, attribute, None, parallel)
        repair = partial(branch.reconcile, deadline=FOREVER)
    for other in others:
        home, away = (Side(clients[each], options.table, Pace(options.read_units), each) for each in (here, other))
        comparator = regions.comparator(home, away, key_names(tables[here], tables[other]), options.version_attribute)
        streams = [(places[region], tables[region].get("LatestStreamArn")) for region in (here, other)]
        counts = tables[here]["ItemCount"], tables[other]["ItemCount"]
        reports.append((here, other, _run(options, comparator, repair, counts, streams, parked)))
    return regions.one_report(reports)


def _parked(options: Options) -> ParkedItems:
    """Listed once in a run."""
    if not options.parking:
        return NOTHING_LISTED
    return ParkedItems.of(options.source.client("s3"), options.parking, "replicate", options.table)


def _run(
    options: Options,
    comparator: Comparator,
    repair: Repair | None,
    items: tuple[int, int],
    streams: Sequence[tuple[Place, str | None]],
    parked: ParkedItems,
) -> MirrorReport:
    share = 0.0 if options.since else options.sample or 1.0
    counts = {"items": round(share * items[0]), "rows": round(share * items[1])}
    with progress({**counts, "second looks": 0}) as report_progress:
        verify = Verify(
            comparator,
            RecheckQueue(options.pause),
            Parallel(options.segments),
            repair,
            Parallel(REPAIRS),
            report_progress,
        )
        verify.parked = parked
        if not options.since:
            return _scanned(verify, options, items[0])
        now = time.time()
        return verify.named(_named(streams, now - _ago(options.since), now))


def _named(streams: Sequence[tuple[Place, str | None]], since: float, until: float) -> Iterator[list[Keys]]:
    for place, stream in streams:
        if not stream:
            raise ConfigError(f"--since: table {place.table} has no stream; leave --since out")
        yield from changed(place.client("dynamodbstreams"), stream, since, until)


def _scanned(verify: Verify, options: Options, items: int) -> MirrorReport:
    if options.sample is None:
        return verify.scan(range(options.segments), options.segments)
    segments = sample.segments_of(items)
    return verify.scan(sample.drawn(options.sample, segments, random.Random()), segments)


def _faults(options: Options, several: bool) -> Iterator[str]:
    replica = () if several else ("replica_table", "replica_region")
    for name in (*replica, *(["tombstone_table"] if options.repair else [])):
        if not getattr(options, name):
            yield f"--{name.replace('_', '-')} is missing: give it, or set {name.upper()}"
    if not 1 <= options.segments <= 64:
        yield "--segments: give 1 to 64"
    if options.read_units is not None and not 1 <= options.read_units <= 1e6:
        yield "--read-units: give 1 or more a second"
    if options.sample is not None and not 0 < options.sample < 1:
        yield "--sample: give a share between 0 and 1, such as 0.01"
    if options.since and not 0 < _ago(options.since) <= SECONDS_KEPT:
        yield "--since: give 90s, 30m or 24h at most, as long as a stream keeps its records; for more, leave it out"
    if not 0 <= options.pause <= 3600:
        yield "--pause: give 0 to 3600 seconds"
    if not 0 <= options.generation < versions.GENERATIONS:
        yield "--generation: give the function's GENERATION"
    if not 1 <= options.tombstone_days <= 3650:
        yield "--tombstone-days: give 1 to 3650"


def _ago(text: str) -> float:
    """Seconds; 0 for what is no time."""
    match = re.fullmatch(r"([0-9]{1,6})([smh])", text)
    return float(match[1]) * _SECONDS[match[2]] if match else 0.0


def lines(report: MirrorReport) -> Iterator[str]:
    """The report for people: what differs, the counts, and what a sample says."""
    for each in report.samples.get("differences", []):
        yield f"{each['kind']:<8} {each['item']}"
    yield from report.parked_lines()
    for each in report.samples.get("moving", [])[:20]:
        yield f"moving   {each['item']}"
    names = ("items", "rows", "parked", "moving", "differences", "repaired")
    yield ", ".join(f"{name} {report[name]:,}" for name in names)
    yield "read units: " + ", ".join(f"{side} {units:,.0f}" for side, units in report.units.items())
    if found := report.sampled:
        yield f"a sample: {found['segments_read']:,} of {found['segments']:,} segments" + _rest(found)


def _rest(found: dict[str, float]) -> str:
    if "share_at_most" not in found:
        return ""
    return f"; with {found['confidence']:.0%} confidence at most {found['share_at_most']:.2%} of them hold a difference"
