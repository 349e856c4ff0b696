"""Whether two items are the same to DynamoDB: exact types, whatever the order of sets or the spelling of numbers."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from distributary.stream.codec import Typed

Row = dict[str, Any]
"""An item, DynamoDB JSON as boto3 gives it."""


def same(one: Mapping[str, Typed], other: Mapping[str, Typed]) -> bool:
    """Not by Python's values: there True is 1, and a text is a text whether it is in S or in SS."""
    return canonical({"M": one}) == canonical({"M": other})


def canonical(typed: Typed) -> tuple[str, Any]:
    """Equal for what DynamoDB holds for equal, and for nothing else. Numbers are compared whole, never rounded."""
    ((tag, content),) = typed.items()
    match tag:
        case "N":
            return tag, Decimal(content)
        case "NS":
            return tag, frozenset(map(Decimal, content))
        case "SS" | "BS":
            return tag, frozenset(content)
        case "L":
            return tag, tuple(map(canonical, content))
        case "M":
            return tag, {name: canonical(member) for name, member in content.items()}
    return tag, content
