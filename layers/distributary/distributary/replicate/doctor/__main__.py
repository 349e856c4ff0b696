"""`python -m distributary.replicate.doctor TABLE`: status 0 if all is well, 1 with something to fix, 2 if unknown."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence

from distributary.errors import ConfigError
from distributary.replicate.declarations import Mirror, peers_of
from distributary.replicate.doctor.checkup import Patient, run_checks, run_region_checks
from distributary.replicate.doctor.finding import Finding, status
from distributary.replicate.verify.tables import Place, declared
from distributary.stream.change import REPLICA_VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    options = parser().parse_args(arguments)
    try:
        findings = list(_examined(options))
    except ConfigError as error:
        return _stopped(str(error))
    if options.json:
        print(json.dumps({"status": status(findings), "findings": [each.as_json() for each in findings]}, indent=2))
    else:
        print(*map(_line, findings), sep="\n")
    return status(findings)


def _examined(options: argparse.Namespace) -> Iterator[Finding]:
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


def parser() -> argparse.ArgumentParser:
    """The command line; the replica's names default to the function's own environment variables."""
    parser = argparse.ArgumentParser("distributary.replicate.doctor", description=__doc__)
    parser.add_argument("table", help="the source table")
    parser.add_argument("--region", help="of the source (default: as boto3 finds it)")
    parser.add_argument("--endpoint-url", help="of the source, its stream, Lambda, and the tombstones")
    parser.add_argument("--replica-table", default=os.environ.get("REPLICA_TABLE"), help="(default: $REPLICA_TABLE)")
    parser.add_argument("--replica-region", default=os.environ.get("REPLICA_REGION"), help="(default: $REPLICA_REGION)")
    parser.add_argument("--target-endpoint-url", help="of the replica (default: --endpoint-url)")
    parser.add_argument("--tombstone-table", default=os.environ.get("TOMBSTONE_TABLE"), help="the stack's output")
    parser.add_argument("--function", help="name of the replicate function, attached or about to be")
    attribute = os.environ.get("VERSION_ATTRIBUTE", REPLICA_VERSION)
    parser.add_argument("--version-attribute", default=attribute, help="the function's VERSION_ATTRIBUTE")
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser


def _patient(options: argparse.Namespace) -> Patient:
    home = Place(options.table, options.region, options.endpoint_url)
    away = Place(options.replica_table, options.replica_region, options.target_endpoint_url or options.endpoint_url)
    tombs = options.tombstone_table
    tombstones = Place(tombs, options.region, options.endpoint_url) if tombs else None
    return Patient(home, away, tombstones, options.function, options.version_attribute)


def _line(finding: Finding) -> str:
    fix = f"\n{'':8} fix: {finding.fix}" if finding.fix else ""
    return f"{finding.level:<8} {finding.check}: {finding.found}{fix}"


def _stopped(why: str) -> int:
    print(f"doctor: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
