"""ministack, run as it is but for six faults of its DynamoDB, and two of its CloudFormation.

To its conditions any two maps are equal, and any two lists: what is written on condition that a map is as it was seen
would overwrite any content. It finds an item by a number in its key only in one spelling of that number. It knows
no table by its ARN. Its TTL deletes without a stream record. And it counts the items of a table anew at each write, so
that a write takes the longer the more there are. What it writes into a Kinesis data stream is not what AWS
writes. Its CloudFormation takes each condition on a part of a parameter for true, and refuses consumers of data
streams. Its distributed maps are those of `map_runs.py`. With OUTBOX in its environment, it writes each mail that it
takes into that folder.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core.responses import get_account_id, get_region
from ministack.services import dynamodb, ses, ses_v2
from ministack.services.cloudformation import changesets, engine, handlers, stacks

from local import expiry, map_runs, outbox, stream_consumers, streaming_destination
from local.errors import LocalError
from local.intrinsics import Scope, resolve

_comparable = dynamodb._ddb_comparable
_key_value = dynamodb._extract_key_val
_count = dynamodb._update_counts

BY_ARN = (
    "_batch_get_item",
    "_describe_kinesis_streaming_destination",
    "_describe_table",
    "_get_item",
    "_query",
    "_scan",
)
"""Operations that a command or a function gives a table's ARN."""


def comparable(value: Any) -> tuple[str, Any]:
    """A DynamoDB value as ministack compares it: its type, and what is equal only for equal values
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html)."""
    match value:
        case {"M": dict(members)}:
            return "M", {name: comparable(member) for name, member in members.items()}
        case {"L": list(members)}:
            return "L", [comparable(member) for member in members]
    return _comparable(value)


def key_value(typed: Any) -> Any:
    """A key attribute as ministack looks it up; 7.0 and 7E0 are the number 7."""
    value = _key_value(typed)
    if isinstance(typed, dict) and "N" in typed:
        return dynamodb._ddb_canonicalize_number(value) or value
    return value


def by_arn(operation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An operation that takes the ARN of a table for its name
    (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html)."""

    def run(request: Any) -> Any:
        named = dict(request)
        if "TableName" in named:
            named["TableName"] = dynamodb._normalize_table_name(named["TableName"])
        if isinstance(asked := named.get("RequestItems"), dict):
            named["RequestItems"] = {dynamodb._normalize_table_name(table): each for table, each in asked.items()}
        return operation(named)

    return run


def evaluated(evaluate: Callable[..., dict[str, bool]]) -> Callable[..., dict[str, bool]]:
    """The conditions of a template, with the functions that they may use
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-conditions.html)."""

    def run(template: Any, given: Any) -> dict[str, bool]:
        conditions = template.get("Conditions") or {}
        values = {name: str(each["Value"]) for name, each in given.items()}
        scope = Scope(values, {}, conditions, get_region(), get_account_id(), "")
        try:
            return {name: bool(resolve(each, scope)) for name, each in conditions.items()}
        except LocalError:
            return evaluate(template, given)

    return run


def not_counted(table: Any) -> None:
    """In place of what counts all items of a table after each action of each write."""


def counted(describe: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What describes a table by its name or in a request, which is when its items are counted."""

    def run(asked: Any) -> Any:
        name = dynamodb._normalize_table_name(asked.get("TableName") or "") if isinstance(asked, dict) else asked
        if table := dynamodb._tables.get(name):
            _count(table)
        return describe(asked)

    return run


def count_when_asked() -> None:
    """Has ministack count the items of a table when somebody asks how many there are."""
    dynamodb._update_counts = not_counted
    for described in ("_table_description", "_create_backup"):
        setattr(dynamodb, described, counted(getattr(dynamodb, described)))


if __name__ == "__main__":
    dynamodb._ddb_comparable = comparable
    dynamodb._extract_key_val = key_value
    for operation in BY_ARN:
        setattr(dynamodb, operation, by_arn(getattr(dynamodb, operation)))
    count_when_asked()
    expiry.install()
    map_runs.install()
    streaming_destination.install()
    stream_consumers.install()
    exact = evaluated(engine._evaluate_conditions)
    for module in (engine, changesets, handlers, stacks):
        module._evaluate_conditions = exact
    if folder := os.environ.get("OUTBOX"):
        for service in (ses, ses_v2):
            outbox.install(service, ses._sent_emails, Path(folder))
    app.main()
