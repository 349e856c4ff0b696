"""Each function's settings: the one place that knows the names of its environment variables."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from distributary.errors import ConfigError
from distributary.stream.change import Kind
from distributary.stream.version import GENERATIONS


def _setting(variable: str, parse: Callable[[str], Any]) -> Any:
    return field(metadata={"variable": variable, "parse": parse})


class _Optional:
    """Also the empty text, which a variable that is missing counts as."""

    def __init__(self, parse: Callable[[str], Any], missing: Any = "") -> None:
        self._parse, self._missing = parse, missing

    def __call__(self, text: str) -> Any:
        return self._parse(text) if text else self._missing


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


_endpoint = _matching(
    r"(https://[A-Za-z0-9.\[\]:-]+|http://(localhost|127\.0\.0\.1|\[::1\]))(:[0-9]+)?/?",
    "an address such as https://search.example.com",
)
_service = _matching(r"es|aoss|basic|none", "es, aoss, basic or none")
_secret = _matching(r"none|arn:[^\s]+:(secretsmanager|ssm):[^\s]+", "a secret's or parameter's ARN, or none")
_address = _matching(r"[^\s<>@\x00-\x1f]+@[A-Za-z0-9.-]+", "a plain e-mail address, verified with SES")
_name = _matching(r"[A-Za-z0-9_.-]{1,64}", "a name of letters, digits, '_', '.', '-'")
_topic = _matching(r"arn:[^\s]+:sns:[^\s]+:[A-Za-z0-9_-]{1,256}", "an SNS topic's ARN")
_bus = _matching(r"[A-Za-z0-9_./-]{1,256}|arn:[^\s]+:event-bus/[A-Za-z0-9_./-]{1,256}", "an event bus's name or ARN")


def _rate(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text) or not float(text):
        raise ValueError("give messages per second, more than 0, such as 14")
    return float(text)


def _kinds(text: str) -> frozenset[Kind]:
    names = text.split(",")
    if unknown := sorted(set(names) - set(Kind)):
        raise ValueError(f"give some of {', '.join(Kind)}, parted by commas alone, not {', '.join(unknown)}")
    return frozenset(map(Kind, names))


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
            variable, parse = each.metadata["variable"], each.metadata["parse"]
            if not environment.get(variable) and not isinstance(parse, _Optional):
                faults.append(f"{variable} is missing: set it on the function (template.yaml does)")
                continue
            try:
                values[each.name] = parse(environment.get(variable, ""))
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
    """`service` is what requests are signed for; basic sends name and password of `secret`, none nothing.
    `request_mib` bounds a bulk request before compression. `also_generation` is written to as well while readers move
    there."""

    also_generation: int | None = _setting("ALSO_GENERATION", _Optional(_whole(0, GENERATIONS - 1), None))
    endpoint: str = _setting("OPENSEARCH_ENDPOINT", _endpoint)
    service: str = _setting("OPENSEARCH_SERVICE", _service)
    secret: str = _setting("OPENSEARCH_SECRET", _secret)
    request_mib: int = _setting("OPENSEARCH_REQUEST_MIB", _whole(1, 90))

    @property
    def request_bytes(self) -> int:
        """`request_mib` in bytes."""
        return self.request_mib << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeSettings(Settings):
    """`marker_days`: longer than the longest redrive or backfill."""

    endpoint: str = _setting("OPENSEARCH_ENDPOINT", _endpoint)
    service: str = _setting("OPENSEARCH_SERVICE", _service)
    secret: str = _setting("OPENSEARCH_SECRET", _secret)
    marker_days: int = _setting("MARKER_DAYS", _whole(1, 3650))


@dataclass(frozen=True, slots=True, kw_only=True)
class WelcomeSettings(Settings):
    """A claim outlives its user's news by `claim_days`; a record older than `max_age_seconds` sends nothing.
    `send_rate` is messages per second, of all execution environments together, of which there are `concurrency` at
    most; `event_names` are what the mapping lets through."""

    claim_table: str = _setting("CLAIM_TABLE", _table)
    claim_days: int = _setting("CLAIM_DAYS", _whole(1, 3650))
    max_age_seconds: int = _setting("MAX_AGE_SECONDS", _whole(60, 86_400))
    event_names: frozenset[Kind] = _setting("EVENT_NAMES", _kinds)
    send_rate: float = _setting("SEND_RATE", _rate)
    concurrency: int = _setting("CONCURRENCY", _whole(1, 1000))
    sender: str = _setting("SENDER", _address)
    reply_to: str = _setting("REPLY_TO", _Optional(_address))
    configuration_set: str = _setting("CONFIGURATION_SET", _Optional(_name))
    topic_arn: str = _setting("TOPIC_ARN", _Optional(_topic))
    event_bus: str = _setting("EVENT_BUS", _Optional(_bus))


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppressSettings:
    """Where bounces and complaints are remembered."""

    claim_table: str = _setting("CLAIM_TABLE", _table)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSettings(Settings):
    """`read_units` are what one run may read of all tables together; `pause_seconds` are longer than the lag;
    `target_role` and `replica_regions` as in `ReplicateSettings`."""

    source_table_arn: str = _setting("SOURCE_TABLE_ARN", _table)
    replica_table: str = _setting("REPLICA_TABLE", _table)
    replica_regions: tuple[str, ...] = _setting("REPLICA_REGION", _regions)
    target_role: str = _setting("TARGET_ROLE_ARN", _role)
    version_attribute: str = _setting("VERSION_ATTRIBUTE", _attribute)
    read_units: int = _setting("DRIFT_READ_UNITS", _whole(1, 1_000_000))
    pause_seconds: int = _setting("DRIFT_PAUSE_SECONDS", _whole(0, 120))
