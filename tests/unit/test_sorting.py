"""Texts sort as the values that they stand for."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.errors import Rejected
from distributary.stream.sort_key import number_of, sortable, sortable_number
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


ends = st.sampled_from(["", "#", "#z", "|", "|0", "~9", "/a", " ", "\x7f"])


@given(numbers | st.integers(-(10**38) + 1, 10**38 - 1).map(Decimal), numbers, ends, ends)
def test_the_texts_of_two_numbers_sort_as_the_numbers_whatever_follows(one, other, after_one, after_other):
    a, b = sortable_number(one), sortable_number(other)
    assert (a < b, a == b) == (one < other, one == other)
    if one != other:
        assert ((a + after_one).encode() < (b + after_other).encode()) == (one < other)


@given(numbers)
def test_a_sortable_number_is_read_back(number):
    text = sortable_number(number)
    assert number_of(text) == number
    assert len(text) <= 43
    assert set(text) <= set("0123456789-_")


@pytest.mark.parametrize(
    "text",
    ["", "0", "2", "11", "1-", "2200-", "22001", "2200120-", "22000-", "07998", "x", "2200\u0661-", "2999" + "1-"],
)
def test_what_no_number_is_written_as_is_not_read(text):
    with pytest.raises(ValueError, match="number"):
        number_of(text)


@pytest.mark.parametrize("value", [True, "1", b"1", 0.5, None, Decimal("1" * 39)])
def test_only_a_number_of_dynamodb_has_a_sortable_text(value):
    with pytest.raises(Rejected, match="number"):
        sortable_number(value)


def test_sortable_numbers_have_this_form_for_good():
    """Stored keys have it: it cannot change without a rebuild."""
    texts = [sortable_number(Decimal(text)) for text in ("-12.5", "-0.5", "0", "0.001", "12.5", "1E+125", "9" * 38)]
    assert texts == ["0798874_", "08004_", "1", "21971-", "2201125-", "23251-", f"2237{'9' * 38}-"]
