"""Texts sort as the values that they stand for."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.derive.sort_key import sortable
from distributary.errors import Rejected
from tests.unit.strategies import binaries, numbers, texts

same_kind = st.tuples(numbers, numbers) | st.tuples(texts, texts) | st.tuples(binaries, binaries)


def place(value):
    return sortable(value, 2000).encode()


@given(same_kind)
def test_places_are_in_the_order_of_their_values(pair):
    one, other = (value.encode() if isinstance(value, str) else value for value in pair)
    a, b = map(place, pair)
    assert (a < b, a == b) == (one < other, one == other)


def test_binaries_come_before_numbers_and_numbers_before_text():
    assert place(b"\xff") < place(Decimal("-1E+125")) < place(Decimal("9E+125")) < place("")


@pytest.mark.parametrize("value", [True, None, 0.5, [1], frozenset({"a"}), {"a": 1}])
def test_what_has_no_order_is_rejected(value):
    with pytest.raises(Rejected, match="has no order"):
        place(value)


def test_what_is_too_long_for_a_key_is_rejected():
    assert sortable("x" * 1023, 1024)
    with pytest.raises(Rejected, match="1025 bytes, and may have 1024"):
        sortable("x" * 1024, 1024)
