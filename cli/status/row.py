"""One line of the screen, and what becomes of something that could not be read."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from distributary.consumer.aws import AwsError, code_of, how_to_reach
from distributary.errors import ConfigError, DistributaryError
from distributary.verify.finding import Finding, Level, line, unknown
from distributary.verify.report import printable

PERMISSIONS = {
    "DescribeStacks": "cloudformation:DescribeStacks",
    "ListStackResources": "cloudformation:ListStackResources",
    "GetFunctionConfiguration": "lambda:GetFunctionConfiguration",
    "ListEventSourceMappings": "lambda:ListEventSourceMappings",
    "GetMetricData": "cloudwatch:GetMetricData",
    "DescribeAlarms": "cloudwatch:DescribeAlarms",
    "ListObjectVersions": "s3:ListBucketVersions",
    "GetObject": "s3:GetObject and s3:GetObjectVersion",
    "DescribeTable": "dynamodb:DescribeTable",
    "GetItem": "dynamodb:GetItem",
    "BatchGetItem": "dynamodb:BatchGetItem",
    "ListObjectsV2": "s3:ListBucket",
}
"""What each call of `distributary status` needs: reading alone. The last two are for a stack with a trunk."""

TRACED = {
    "DescribeStacks": "cloudformation:DescribeStacks",
    "GetFunctionConfiguration": "lambda:GetFunctionConfiguration",
    "FilterLogEvents": "logs:FilterLogEvents",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListObjectsV2": "s3:ListBucket",
    "GetObject": "s3:GetObject and s3:GetObjectVersion",
    "BatchGetItem": "dynamodb:BatchGetItem",
}
"""What each call of `distributary trace` needs: reading alone."""

_REFUSED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403")


@dataclass(frozen=True, slots=True)
class Row(Finding):
    """A finding with its figures, for programs."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**Finding.as_json(self), "values": dict(self.values)}


def shown(row: Finding) -> str:
    """For people: whatever stands in a cause or a name, it stays on its line."""
    return line(Finding(printable(row.check), row.level, printable(row.found), printable(row.fix)))


def readable(check: str, read: Callable[[], Iterable[Row]]) -> list[Row]:
    """The rows; where one could not be read, a row that says why, and which permission is missing."""
    rows = list[Row]()
    try:
        for row in read():
            rows.append(row)
    except AwsError as error:
        rows.append(unread(check, error))
    except ConfigError as error:
        rows.append(_unknown(check, "; ".join(error.faults), ""))
    except DistributaryError as error:
        rows.append(_unknown(check, str(error), "run it again"))
    return rows


def unread(check: str, error: ClientError | BotoCoreError) -> Row:
    """A row that says why AWS did not answer, and which permission is missing."""
    if isinstance(error, BotoCoreError):
        how = how_to_reach(error)
        return _unknown(check, how or str(error), "" if how else "run it again")
    operation = error.operation_name
    if code_of(error) in _REFUSED:
        needed = {**TRACED, **PERMISSIONS}.get(operation, operation)
        return _unknown(check, f"the permission {needed} is missing", f"allow {needed}")
    return _unknown(check, f"{operation}: {code_of(error)}", "run it again")


def _unknown(check: str, why: str, fix: str) -> Row:
    found = unknown(check, why, fix)
    return Row(found.check, found.level, found.found, found.fix)


def well(check: str, found: str, **values: Any) -> Row:
    """Nothing to fix."""
    return Row(check, Level.OK, found, "", values)


def worth_knowing(check: str, found: str, fix: str = "", **values: Any) -> Row:
    """No fault."""
    return Row(check, Level.NOTE, found, fix, values)


def attention(check: str, found: str, fix: str, **values: Any) -> Row:
    """Someone has to act."""
    return Row(check, Level.FAULT, found, fix, values)
