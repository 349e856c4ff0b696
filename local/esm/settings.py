"""An event source mapping's settings, as the template gives them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.errors import LocalError
from local.esm import filters

_KNOWN = {
    "Stream",
    "Enabled",
    "StartingPosition",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "ParallelizationFactor",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "FunctionResponseTypes",
    "FilterCriteria",
    "DestinationConfig",
    "MetricsConfig",
}


@dataclass(frozen=True, slots=True)
class MappingSettings:
    """Defaults and limits are Lambda's: https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html

    `retries` and `record_age` (seconds) are -1 for no limit but the stream's 24 hours; `on_failure` is an ARN.
    """

    starting_position: str
    batch_size: int = 100
    window: float = 0
    parallelization: int = 1
    bisect: bool = False
    retries: int = -1
    record_age: int = -1
    reports_failures: bool = False
    on_failure: str | None = None
    patterns: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> "MappingSettings":
        """From the resolved properties of a SAM event of type DynamoDB. LocalError for what Lambda would refuse."""
        if unknown := sorted(properties.keys() - _KNOWN):
            raise LocalError(f"the local event source mapping does not know {', '.join(unknown)}: remove it, or add it")
        position = properties.get("StartingPosition")
        if position not in ("TRIM_HORIZON", "LATEST"):
            raise LocalError(f"StartingPosition is {position}: a DynamoDB stream takes TRIM_HORIZON or LATEST")
        responses = properties.get("FunctionResponseTypes") or []
        destination = (properties.get("DestinationConfig") or {}).get("OnFailure") or {}
        return cls(
            starting_position=position,
            batch_size=_whole(properties, "BatchSize", 100, 1, 10_000),
            window=_whole(properties, "MaximumBatchingWindowInSeconds", 0, 0, 300),
            parallelization=_whole(properties, "ParallelizationFactor", 1, 1, 10),
            bisect=_true(properties.get("BisectBatchOnFunctionError")),
            retries=_whole(properties, "MaximumRetryAttempts", -1, -1, 10_000),
            record_age=_record_age(properties),
            reports_failures="ReportBatchItemFailures" in responses,
            on_failure=destination.get("Destination"),
            patterns=_patterns(properties.get("FilterCriteria") or {}),
        )


def _whole(properties: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    given = properties.get(name, default)
    try:
        value = int(given)
    except (TypeError, ValueError):
        raise LocalError(f"{name} is {given!r}: give a whole number") from None
    if not least <= value <= most:
        raise LocalError(f"{name} is {value}: Lambda takes {least} to {most}")
    return value


def _record_age(properties: Mapping[str, Any]) -> int:
    age = _whole(properties, "MaximumRecordAgeInSeconds", -1, -1, 604_800)
    if -1 < age < 60:
        raise LocalError(f"MaximumRecordAgeInSeconds is {age}: Lambda takes -1, or 60 to 604800")
    return age


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _patterns(criteria: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    patterns = []
    for each in criteria.get("Filters") or []:
        try:
            pattern = json.loads(each["Pattern"])
        except ValueError as error:
            raise LocalError(f"a filter's pattern is no JSON ({error}): {each['Pattern']}") from None
        filters.check(pattern)
        patterns.append(pattern)
    return tuple(patterns)
