"""Texts whose byte order is the order of the values that they stand for."""

import re
from decimal import Decimal
from typing import Any

from distributary.errors import Rejected
from distributary.stream.codec import number_text

_EXPONENTS = 200
"""More than any exponent of a DynamoDB number, so that shifted by it none is negative."""

_COMPLEMENT = str.maketrans("0123456789", "9876543210")
_BEFORE_DIGITS, _AFTER_DIGITS = "-", "_"
_WRITTEN = re.compile(
    rf"1|2([0-9]{{3}})([0-9]*[1-9]){_BEFORE_DIGITS}|0([0-9]{{3}})([0-9]*[0-8]){_AFTER_DIGITS}", re.ASCII
)


def sortable(value: Any, limit: int) -> str:
    """At most `limit` UTF-8 bytes; binaries come before numbers, numbers before text, numbers by value.

    Raises Rejected for any other type and for a value that is too long to be a key.
    """
    match value:
        case bytes():
            text = f"B{value.hex()}"
        case int() | Decimal() if not isinstance(value, bool):
            text = f"N{_number(Decimal(number_text(value)), '', '~')}"
        case str():
            text = f"S{value}"
        case _:
            raise Rejected(f"{type(value).__name__} has no order; give a string, number or binary")
    if len(text.encode()) > limit:
        raise Rejected(f"the value's key would have {len(text.encode())} bytes, and may have {limit}")
    return text


def sortable_number(number: int | Decimal) -> str:
    """The text that `{name:sortable}` writes for a number in a key template. The texts of two numbers sort as the
    numbers do, whatever follows them in the key.

    Returns:
        At most 43 bytes, all of them digits, `-` or `_`.

    Raises:
        Rejected: It is no number that DynamoDB takes: 38 digits, 1E-130 to 9.99E+125
            (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
    """
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        raise Rejected(f"{type(number).__name__} is no number; give an int or a Decimal")
    return _number(Decimal(number_text(number)), _BEFORE_DIGITS, _AFTER_DIGITS)


def number_of(text: str) -> Decimal:
    """The number that `sortable_number` wrote. Raises ValueError for any other text."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError("no sortable number")
    if text == "1":
        return Decimal()
    exponent, digits = found[1] or found[3].translate(_COMPLEMENT), found[2] or found[4].translate(_COMPLEMENT)
    shift = int(exponent) - _EXPONENTS - len(digits) + 1
    number = Decimal((int(text[0] == "0"), tuple(map(int, digits)), shift))
    try:
        number_text(number)
    except Rejected as error:
        raise ValueError(str(error)) from None
    return number


def _number(number: Decimal, positive_end: str, negative_end: str) -> str:
    """Sign, exponent, digits, end. A negative number has the complement of its digits, and an end after all digits;
    a positive number's end, if it has one, is before all digits."""
    if not number:
        return "1"
    digits = "".join(map(str, number.as_tuple().digits)).rstrip("0")
    text = f"{number.adjusted() + _EXPONENTS:03d}{digits}"
    return f"2{text}{positive_end}" if number > 0 else f"0{text.translate(_COMPLEMENT)}{negative_end}"
