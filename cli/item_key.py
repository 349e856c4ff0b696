"""Whether a key that was given is one of its table: an incomplete or mistyped one would match nothing."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from distributary.consumer.aws import code_of
from distributary.errors import ConfigError
from distributary.stream.codec import Typed


def is_key_of(dynamodb: Any, table: str, keys: Mapping[str, Typed]) -> bool:
    """Whether the table is there, and has this key. Raises ConfigError if it has another one: the digest of an
    incomplete key is that of no item, and nothing would be found."""
    try:
        described = dynamodb.describe_table(TableName=table)["Table"]
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":
            return False
        raise ConfigError(f"table {table}: {code_of(error)}; allow dynamodb:DescribeTable on it") from None
    if fault := _other_key(described, table, keys):
        raise ConfigError(f"--key: {fault}")
    return True


def check_key(dynamodb: Any, tables: Iterable[str], keys: Mapping[str, Typed]) -> None:
    """Raises ConfigError if these tables are there, and none of them has this key."""
    faults = []
    for table in tables:
        try:
            is_key_of(dynamodb, table, keys)
            return
        except ConfigError as fault:
            faults.append(str(fault))
    if faults:
        raise ConfigError(faults[0])


def other_key(dynamodb: Any, tables: Iterable[str], keys: Mapping[str, Typed]) -> str:
    """The fault of keys that none of these tables has; empty if one has them, or none may be described."""
    faults = []
    for table in tables:
        with suppress(ClientError):
            faults.append(_other_key(dynamodb.describe_table(TableName=table)["Table"], table, keys))
    return faults[0] if faults and all(faults) else ""


def _other_key(described: Mapping[str, Any], table: str, keys: Mapping[str, Typed]) -> str:
    """The fault of keys that are not the table's; empty if they are."""
    types = {each["AttributeName"]: each["AttributeType"] for each in described["AttributeDefinitions"]}
    names = [str(each["AttributeName"]) for each in described["KeySchema"]]
    if {name: next(iter(typed)) for name, typed in keys.items()} == {name: types[name] for name in names}:
        return ""
    return f"{table} has another key: give {json.dumps({name: {types[name]: '...'} for name in names})}"
