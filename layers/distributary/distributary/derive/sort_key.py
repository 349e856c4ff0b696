"""Texts whose byte order is the order of the values that they stand for."""

from decimal import Decimal
from typing import Any

from distributary.errors import Rejected
from distributary.stream.codec import number_text

_EXPONENTS = 200
"""More than any exponent of a DynamoDB number, so that shifted by it none is negative."""

_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def sortable(value: Any, limit: int) -> str:
    """At most `limit` UTF-8 bytes; binaries come before numbers, numbers before text, numbers by value.

    Raises Rejected for any other type and for a value that is too long to be a key.
    """
    match value:
        case bytes():
            text = f"B{value.hex()}"
        case int() | Decimal() if not isinstance(value, bool):
            text = f"N{_number(Decimal(number_text(value)))}"
        case str():
            text = f"S{value}"
        case _:
            raise Rejected(f"{type(value).__name__} has no order; give a string, number or binary")
    if len(text.encode()) > limit:
        raise Rejected(f"the value's key would have {len(text.encode())} bytes, and may have {limit}")
    return text


def _number(number: Decimal) -> str:
    """Sign, exponent, digits; a negative number has the complement of its digits, and an end after all digits."""
    if not number:
        return "1"
    digits = "".join(map(str, number.as_tuple().digits)).rstrip("0")
    text = f"{number.adjusted() + _EXPONENTS:03d}{digits}"
    return f"2{text}" if number > 0 else f"0{text.translate(_COMPLEMENT)}~"
