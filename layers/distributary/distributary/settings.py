"""Each function's settings: the one place that knows the names of its environment variables."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from distributary.errors import ConfigError
from distributary.version import GENERATIONS


def _setting(variable: str, parse: Callable[[str], Any]) -> Any:
    return field(metadata={"variable": variable, "parse": parse})


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"give a whole number from {least} to {most}")
        return int(text)

    return parse


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"give {what}")
        return text

    return parse


_bucket = _matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "an S3 bucket's name")
_table = _matching(r"[A-Za-z0-9_.-]{3,255}|arn:[^\s]+:table/[A-Za-z0-9_.-]{3,255}", "a DynamoDB table's name or ARN")
_attribute = _matching(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}", "an attribute's name that the application does not use")
_role = _matching(r"none|arn:[^\s*?]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}", "a role's ARN, or none")
REGION = r"[a-z]{2,}(-[a-z]+)+-[0-9]+"
_region = _matching(REGION, "an AWS region such as eu-west-1")


def _regions(text: str) -> tuple[str, ...]:
    regions = tuple(text.split(","))
    if not all(re.fullmatch(REGION, region) for region in regions) or len(set(regions)) < len(regions):
        raise ValueError("give an AWS region such as eu-west-1, or several, separated by commas")
    return regions


_endpoint = _matching(r"https?://[A-Za-z0-9.\[\]:-]+(:[0-9]+)?/?", "an address such as https://search.example.com")
_service = _matching(r"es|aoss|none", "es, aoss or none")
_sender = _matching(r"[^\s<>@\x00-\x1f]+@[A-Za-z0-9.-]+", "a plain e-mail address, verified with SES")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every function needs. `generation` is raised by one for a rebuild, a repair or a change of source."""

    parking_bucket: str = _setting("PARKING_BUCKET", _bucket)
    generation: int = _setting("GENERATION", _whole(0, GENERATIONS - 1))

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> Self:
        """Raises ConfigError that names every missing or malformed variable at once."""
        values, faults = {}, []
        for each in fields(cls):
            variable = each.metadata["variable"]
            if not environment.get(variable):
                faults.append(f"{variable} is missing: set it on the function (template.yaml does)")
                continue
            try:
                values[each.name] = each.metadata["parse"](environment[variable])
            except ValueError as error:
                faults.append(f"{variable}: {error}")
        if faults:
            raise ConfigError(faults)
        return cls(**values)

    @classmethod
    def variables(cls) -> set[str]:
        """The environment variables that `load` reads."""
        return {each.metadata["variable"] for each in fields(cls)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveSettings(Settings):
    """`tombstone_days`: longer than the longest redrive or backfill."""

    derived_table: str = _setting("DERIVED_TABLE", _table)
    ledger_table: str = _setting("LEDGER_TABLE", _table)
    tombstone_table: str = _setting("TOMBSTONE_TABLE", _table)
    tombstone_days: int = _setting("TOMBSTONE_DAYS", _whole(1, 3650))


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings(Settings):
    """`service` is what requests are signed for; none sends them unsigned."""

    endpoint: str = _setting("OPENSEARCH_ENDPOINT", _endpoint)
    service: str = _setting("OPENSEARCH_SERVICE", _service)


@dataclass(frozen=True, slots=True, kw_only=True)
class WelcomeSettings(Settings):
    """A claim outlives its user's news by `claim_days`; a record older than `max_age_seconds` greets nobody."""

    claim_table: str = _setting("CLAIM_TABLE", _table)
    claim_days: int = _setting("CLAIM_DAYS", _whole(1, 3650))
    max_age_seconds: int = _setting("MAX_AGE_SECONDS", _whole(60, 86_400))
    sender: str = _setting("SENDER", _sender)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicateSettings(Settings):
    """`tombstone_days`: longer than the longest redrive or backfill. `target_role` is what the replica's account lets
    this function assume, none for the function's own. Multi-active has tables and tombstones of the same names in
    `source_region` and in all `replica_regions`."""

    replica_table: str = _setting("REPLICA_TABLE", _table)
    replica_regions: tuple[str, ...] = _setting("REPLICA_REGION", _regions)
    source_region: str = _setting("SOURCE_REGION", _region)
    target_role: str = _setting("TARGET_ROLE_ARN", _role)
    version_attribute: str = _setting("VERSION_ATTRIBUTE", _attribute)
    tombstone_table: str = _setting("TOMBSTONE_TABLE", _table)
    tombstone_days: int = _setting("TOMBSTONE_DAYS", _whole(1, 3650))
