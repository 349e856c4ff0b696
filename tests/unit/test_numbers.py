"""One text for each number, so that equal numbers make equal keys."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.errors import Rejected
from distributary.stream.codec import number_text
from tests.unit.strategies import numbers


@given(numbers, st.integers(0, 12))
def test_equal_numbers_have_one_text_however_they_are_written(number, zeros):
    sign, digits, exponent = number.as_tuple()
    padded = Decimal((sign, digits + (0,) * zeros, exponent - zeros))
    assert number_text(padded) == number_text(number)


@given(numbers, numbers)
def test_texts_are_equal_only_if_the_numbers_are(a, b):
    assert (number_text(a) == number_text(b)) == (a == b)


@given(numbers)
def test_the_text_is_the_number_and_a_json_number(number):
    assert Decimal(number_text(number)) == number
    assert json.loads(number_text(number), parse_int=Decimal, parse_float=Decimal) == number


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (Decimal("-0"), "0"),
        (Decimal("0E+100"), "0"),
        (1, "1"),
        (Decimal("1.0"), "1"),
        (Decimal("1E0"), "1"),
        (Decimal("100"), "100"),
        (Decimal("1E2"), "100"),
        (Decimal("-12.50"), "-12.5"),
        (10**37, "1" + "0" * 37),
        (10**100, "1E100"),
        (Decimal("1E-130"), "1E-130"),
        (Decimal("9." + "9" * 37 + "E+125"), "9" * 38 + "E88"),
        (10**38 - 1, "9" * 38),
    ],
)
def test_the_text_of(number, text):
    assert number_text(number) == text


@pytest.mark.parametrize("number", [10**38 + 1, Decimal("1E126"), Decimal("1E-131"), Decimal("NaN"), Decimal("inf")])
def test_a_number_that_dynamodb_cannot_hold_has_none(number):
    with pytest.raises(Rejected):
        number_text(number)
