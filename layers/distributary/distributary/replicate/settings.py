"""The settings of the functions replicate and drift."""

import re
from dataclasses import dataclass

from distributary.consumer.settings import (
    STREAM_DAYS,
    ReconcilingSettings,
    Settings,
    matching,
    setting,
    table_name,
    whole,
)
from distributary.errors import ConfigError
from distributary.stream.keys import table_of

_attribute = matching(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}", "an attribute's name that the application does not use")
_role = matching(r"none|arn:[^\s*?]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}", "a role's ARN, or none")
REGION = r"[a-z]{2,}(-[a-z]+)+-[0-9]+"
_region = matching(REGION, "an AWS region such as eu-west-1")


def _regions(text: str) -> tuple[str, ...]:
    regions = tuple(text.split(","))
    if not all(re.fullmatch(REGION, region) for region in regions) or len(set(regions)) < len(regions):
        raise ValueError("give an AWS region such as eu-west-1, or several, separated by commas")
    return regions


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicateSettings(ReconcilingSettings):
    """`tombstone_days`: longer than the longest redrive or backfill. `target_role` is what the replica's account lets
    this function assume, none for the function's own. Multi-active has tables and tombstones of the same names in
    `source_region` and in all `replica_regions`."""

    replica_table: str = setting("REPLICA_TABLE", table_name)
    replica_regions: tuple[str, ...] = setting("REPLICA_REGION", _regions)
    source_region: str = setting("SOURCE_REGION", _region)
    target_role: str = setting("TARGET_ROLE_ARN", _role)
    version_attribute: str = setting("VERSION_ATTRIBUTE", _attribute)
    tombstone_table: str = setting("TOMBSTONE_TABLE", table_name)
    tombstone_days: int = setting("TOMBSTONE_DAYS", whole(STREAM_DAYS + 1, 3650))

    def __post_init__(self) -> None:
        """Raises ConfigError for a replica that is its own source: each write would come back as a change."""
        if self.source_region in self.replica_regions and any(map(self._is_replica, self.streams)):
            raise ConfigError(
                f"REPLICA_TABLE: '{self.replica_table}' in {self.source_region} is the source itself; give another "
                "table, or take this region out of ReplicaRegion"
            )

    def _is_replica(self, stream: str) -> bool:
        """Whether the stream's table is the replica: of that name, in the account of its ARN or of the role."""
        account = stream.split(":")[4]
        named = next((each for each in (self.replica_table, self.target_role) if each.startswith("arn:")), stream)
        return self.replica_table.rpartition("/")[2] == table_of(stream) and named.split(":")[4] == account


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSettings(Settings):
    """`read_units` are what one run may read of all tables together; `pause_seconds` are longer than the lag;
    `target_role` and `replica_regions` as in `ReplicateSettings`."""

    source_table_arn: str = setting("SOURCE_TABLE_ARN", table_name)
    replica_table: str = setting("REPLICA_TABLE", table_name)
    replica_regions: tuple[str, ...] = setting("REPLICA_REGION", _regions)
    target_role: str = setting("TARGET_ROLE_ARN", _role)
    version_attribute: str = setting("VERSION_ATTRIBUTE", _attribute)
    read_units: int = setting("DRIFT_READ_UNITS", whole(1, 1_000_000))
    pause_seconds: int = setting("DRIFT_PAUSE_SECONDS", whole(0, 120))
