"""Examines a replica before and while it is attached."""

from collections.abc import Iterator
from dataclasses import dataclass

from distributary.errors import ConfigError
from distributary.replicate.declarations import Mirror, peers_of
from distributary.replicate.doctor.checkup import Patient, run_checks, run_region_checks
from distributary.replicate.doctor.finding import Finding
from distributary.replicate.verify.tables import Place, declared
from distributary.stream.change import REPLICA_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which replica to examine. `function`: the name of the replicate function, attached or about to be."""

    table: str
    region: str | None = None
    endpoint_url: str | None = None
    replica_table: str = ""
    replica_region: str | None = None
    target_endpoint_url: str | None = None
    tombstone_table: str = ""
    function: str | None = None
    version_attribute: str = REPLICA_VERSION


def examine(options: Options) -> Iterator[Finding]:
    """Raises ConfigError."""
    found = declared()
    if isinstance(found, Mirror):
        missing = [name for name in ("replica_table", "replica_region") if not getattr(options, name)]
        if missing:
            raise ConfigError(
                [f"--{each.replace('_', '-')} is missing: give it, or set {each.upper()}" for each in missing]
            )
        return run_checks(_patient(options))
    here = options.region or str(Place(options.table, None, options.endpoint_url).client().meta.region_name)
    others = peers_of(found, here, tuple(region for region in found.regions if region != here))
    places = {region: Place(options.table, region, options.endpoint_url) for region in (here, *others)}
    return run_region_checks(places, options.tombstone_table, options.function, options.version_attribute)


def _patient(options: Options) -> Patient:
    home = Place(options.table, options.region, options.endpoint_url)
    away = Place(options.replica_table, options.replica_region, options.target_endpoint_url or options.endpoint_url)
    tombs = options.tombstone_table
    tombstones = Place(tombs, options.region, options.endpoint_url) if tombs else None
    return Patient(home, away, tombstones, options.function, options.version_attribute)


def line(finding: Finding) -> str:
    """A finding for people, with how to fix it."""
    fix = f"\n{'':8} fix: {finding.fix}" if finding.fix else ""
    return f"{finding.level:<8} {finding.check}: {finding.found}{fix}"
