"""What DynamoDB accepts as an item, and how large it is.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

import copy
from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, Subnormal
from functools import lru_cache
from typing import Any

from tests.fakes.expressions import Malformed

MAX_BYTES = 400 * 1024
_NUMBERS = Context(prec=38, Emin=-130, Emax=125, traps=[Inexact, InvalidOperation, Overflow, Subnormal])

_UNCHANGING = frozenset((str, bytes, bool, type(None)))

Schema = Mapping[str, str]
"""Key attribute to its type: S, N or B."""


class Stored(dict[str, Any]):
    """An item as it is stored. A table replaces its items and never changes them, so `bytes` is counted once."""

    __slots__ = ("bytes",)


def copied(value: Any) -> Any:
    """A deep copy of DynamoDB JSON, many times faster than the general one."""
    kind = type(value)
    if kind is Stored:
        item = Stored((name, copied(content)) for name, content in value.items())
        item.bytes = value.bytes
        return item
    if kind is dict:
        return {name: copied(content) for name, content in value.items()}
    if kind is list:
        return [copied(content) for content in value]
    return value if kind in _UNCHANGING else copy.deepcopy(value)


def accepted(item: Mapping[str, Any], schema: Schema) -> Stored:
    """The item as it is stored, its numbers normalized. Raises Malformed."""
    missing = [name for name in schema if name not in item]
    if missing:
        raise Malformed(f"One or more parameter values were invalid: Missing the key {missing[0]} in the item")
    _check_key({name: item[name] for name in schema}, schema)
    stored = Stored((name, stored_value(typed)) for name, typed in item.items())
    stored.bytes = sum(len(name.encode()) + value_bytes(typed) for name, typed in stored.items())
    if stored.bytes > MAX_BYTES:
        raise Malformed("Item size has exceeded the maximum allowed size")
    return stored


def key_of(key: Mapping[str, Any], schema: Schema) -> tuple[Any, ...]:
    """The key attributes' values in the schema's order. Raises Malformed unless they are all and only the key."""
    if set(key) != set(schema):
        raise Malformed("The provided key element does not match the schema")
    _check_key(key, schema)
    return tuple(next(iter(stored_value(key[name]).values())) for name in schema)


def _check_key(key: Mapping[str, Any], schema: Schema) -> None:
    for at, (name, type) in enumerate(schema.items()):
        ((tag, content),) = key[name].items()
        if tag != type:
            raise Malformed(f"Type mismatch for key {name} expected: {type} actual: {tag}")
        if tag in "SB" and not content:
            raise Malformed(f"The AttributeValue for a key attribute cannot contain an empty value. Key: {name}")
        limit = (2048, 1024)[at]
        if tag in "SB" and value_bytes(key[name]) > limit:
            raise Malformed(f"Size of key {name} has exceeded the maximum size limit of {limit} bytes")


def stored_value(typed: Mapping[str, Any]) -> dict[str, Any]:
    """One typed attribute as it is stored. Raises Malformed."""
    if len(typed) != 1:
        raise Malformed("Supplied AttributeValue must contain exactly one of the supported datatypes")
    ((tag, content),) = typed.items()
    match tag:
        case "N":
            return {"N": _number(content)}
        case "SS" | "NS" | "BS":
            members = [_number(member) for member in content] if tag == "NS" else list(content)
            if not members or len(set(members)) < len(members):
                raise Malformed("One or more parameter values were invalid: a set is empty or contains duplicates")
            return {tag: sorted(members)}
        case "M":
            return {"M": {_text(name): stored_value(member) for name, member in content.items()}}
        case "L":
            return {"L": [stored_value(member) for member in content]}
        case "S":
            return {tag: _text(content)}
        case "B" | "BOOL" | "NULL":
            return {tag: content}
    raise Malformed(f"Supplied AttributeValue has an unknown type: {tag}")


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Malformed("One or more parameter values were invalid: a string is not valid UTF-8") from None
    return text


@lru_cache(maxsize=4096)
def _number(text: str) -> str:
    try:
        number = _NUMBERS.create_decimal(text)
    except ArithmeticError:
        raise Malformed(f"The parameter cannot be converted to a numeric value: {text}") from None
    normal = number.normalize(_NUMBERS)
    return format(normal, "f") if abs(normal.adjusted()) <= 40 else str(normal)


def item_bytes(item: Mapping[str, Any]) -> int:
    """Names and values, in UTF-8 bytes."""
    if type(item) is Stored:
        return item.bytes
    return sum(len(name.encode()) + value_bytes(typed) for name, typed in item.items())


def value_bytes(typed: Mapping[str, Any]) -> int:
    """The size of one typed attribute's content."""
    ((tag, content),) = typed.items()
    match tag:
        case "S":
            return len(content) if content.isascii() else len(content.encode())
        case "N":
            return _number_bytes(content)
        case "B":
            return len(content)
        case "SS" | "NS" | "BS":
            return sum(value_bytes({tag[0]: member}) for member in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + value_bytes(member) for name, member in content.items())
        case "L":
            return 3 + sum(1 + value_bytes(member) for member in content)
    return 1


@lru_cache(maxsize=4096)
def _number_bytes(text: str) -> int:
    return len(Decimal(text).as_tuple().digits) // 2 + 2
