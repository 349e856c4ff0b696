"""The codec is exact, both ways, or it refuses."""

from decimal import Decimal

import pytest
from hypothesis import given

from distributary.errors import Rejected
from distributary.stream.codec import decode, decode_item, encode, encode_item, for_client
from tests.unit.strategies import as_event, items, numbers, texts, values


@given(values)
def test_every_value_comes_back_as_it_went(value):
    back = decode(encode(value))
    assert back == value
    assert type(back) is type(value)


@given(items)
def test_every_item_comes_back_through_a_lambda_event(item):
    event_shaped = {name: as_event(typed) for name, typed in encode_item(item).items()}
    assert decode_item(event_shaped) == item


@given(values)
def test_typed_content_comes_back_as_it_stood(value):
    typed = encode(value)
    assert encode(decode(typed)) == typed


@given(values)
def test_a_copy_for_the_client_holds_the_same_bytes_numbers_and_order(value):
    typed = encode(value)
    assert for_client(as_event(typed)) == typed


@pytest.mark.parametrize("text", ["1.00", "1E2", "-0", "0.1000", "00017"])
def test_a_copy_keeps_a_number_as_it_was_written(text):
    assert for_client({"N": text}) == {"N": text}


def test_a_copy_keeps_the_order_of_a_set():
    assert for_client({"BS": ["Ag==", "AQ=="]}) == {"BS": [b"\x02", b"\x01"]}
    assert for_client({"SS": ["b", "a"]}) == {"SS": ["b", "a"]}


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ({"S": ""}, ""),
        ({"B": ""}, b""),
        ({"B": "AP/+"}, b"\x00\xff\xfe"),
        ({"N": "-0"}, Decimal(0)),
        ({"NULL": True}, None),
        ({"BOOL": False}, False),
        ({"L": []}, []),
        ({"M": {}}, {}),
        ({"M": {"": {"L": [{"NULL": True}]}}}, {"": [None]}),
        ({"SS": [""]}, frozenset([""])),
        ({"BS": ["", "AA=="]}, frozenset([b"", b"\0"])),
    ],
)
def test_empty_and_special_values_are_values(typed, value):
    assert decode(typed) == value
    assert type(decode(typed)) is type(value)


def nested(depth):
    typed = {"S": "core"}
    for _ in range(depth):
        typed = {"L": [typed]}
    return typed


MALFORMED = [
    {},
    None,
    "S",
    7,
    ["S", "x"],
    {"S": "a", "N": "1"},
    {"X": "unknown type"},
    {"S": 5},
    {"S": None},
    {"S": "\ud800"},
    {"N": 5},
    {"N": ""},
    {"N": "abc"},
    {"N": " 1"},
    {"N": "1_000"},
    {"N": "\uff11"},
    {"N": "NaN"},
    {"N": "sNaN"},
    {"N": "Infinity"},
    {"N": "-Infinity"},
    {"N": "1" * 39},
    {"N": "1E126"},
    {"N": "1E-131"},
    {"N": "9E-140"},
    {"B": "not base64!"},
    {"B": "QQ"},
    {"B": 5},
    {"B": "é"},
    {"BOOL": "true"},
    {"BOOL": 1},
    {"NULL": False},
    {"NULL": None},
    {"SS": []},
    {"SS": "ab"},
    {"SS": [1]},
    {"NS": ["1", "x"]},
    {"BS": ["?"]},
    {"L": {}},
    {"L": "ab"},
    {"L": [{"S": "fine"}, {"S": 5}]},
    {"M": []},
    {"M": {"a": {}}},
    {"M": {"\ud800": {"S": "x"}}},
    nested(300),
]


@pytest.mark.parametrize("typed", MALFORMED, ids=lambda typed: ascii(typed)[:40])
@pytest.mark.parametrize("read", [decode, for_client])
def test_what_is_no_dynamodb_value_is_rejected(read, typed):
    with pytest.raises(Rejected, match="attribute 'email'"):
        read(typed, "email")


def test_everything_that_dynamodb_nests_is_read():
    assert for_client(nested(32)) == nested(32)


def test_an_error_names_the_attribute_and_quotes_content_only_in_its_detail():
    with pytest.raises(Rejected) as caught:
        decode({"M": {"private@example.com": {"L": [{"N": "secret"}]}}}, "contacts")
    assert "contacts" in str(caught.value)
    assert "private" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "secret" in caught.value.detail


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        float("nan"),
        [1.0],
        {"a": 0.1},
        {1.5},
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("-Infinity"),
        10**38 + 1,
        Decimal("1." + "1" * 38),
        Decimal("1E126"),
        Decimal("1E-131"),
        10**4000,
        set(),
        frozenset(),
        {1, "a"},
        {"a", b"a"},
        {True},
        {None},
        {("tuple",)},
        {1: "a name that is no string"},
        "\udfff",
        {"a": "\ud800"},
        object(),
        1j,
        range(3),
    ],
)
def test_what_dynamodb_cannot_hold_exactly_is_refused(value):
    with pytest.raises(Rejected, match="attribute 'total'"):
        encode(value, "total")


@given(numbers)
def test_numbers_keep_every_digit(number):
    assert decode(encode(number)) == number


@given(texts)
def test_text_keeps_every_character(text):
    assert decode(encode(text)) == text
