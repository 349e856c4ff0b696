"""Examines a replica before and while it is attached."""

from collections.abc import Iterator
from dataclasses import dataclass

from distributary.errors import ConfigError
from distributary.replicate.declarations import Mirror
from distributary.replicate.doctor.checkup import Patient, run_checks, run_region_checks
from distributary.replicate.doctor.finding import Finding
from distributary.replicate.verify.tables import Place, Places, declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(Places):
    """Which replica to examine. `function`: the name of the replicate function, attached or about to be."""

    function: str | None = None


def examine(options: Options) -> Iterator[Finding]:
    """Raises ConfigError."""
    found = declared()
    if isinstance(found, Mirror):
        missing = [name for name in ("replica_table", "replica_region") if not getattr(options, name)]
        if missing:
            raise ConfigError(
                [f"--{each.replace('_', '-')} is missing: give it, or set {each.upper()}" for each in missing]
            )
        return run_checks(_patient(options, found))
    tombstones, function, attribute = options.tombstone_table, options.function, options.version_attribute
    return run_region_checks(options.of_regions(found), tombstones, function, attribute)


def _patient(options: Options, found: Mirror) -> Patient:
    tombs = options.tombstone_table
    tombstones = Place(tombs, options.region, options.endpoint_url) if tombs else None
    shared = found.of is not None or found.where is not None
    return Patient(options.home, options.away, tombstones, options.function, options.version_attribute, shared)


def line(finding: Finding) -> str:
    """A finding for people, with how to fix it."""
    fix = f"\n{'':8} fix: {finding.fix}" if finding.fix else ""
    return f"{finding.level:<8} {finding.check}: {finding.found}{fix}"
