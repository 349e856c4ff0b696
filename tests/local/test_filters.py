"""Lambda's filter rules."""

import pytest

from local.errors import LocalError
from local.esm.filters import check, passes

RECORD = {
    "eventName": "INSERT",
    "dynamodb": {"NewImage": {"city": {"S": "Oslo"}, "age": {"N": "41"}, "note": {"NULL": True}}, "SizeBytes": 12},
    "tags": ["a", "b"],
    "nothing": None,
}


def image(attribute, rule):
    return {"dynamodb": {"NewImage": {attribute: rule}}}


@pytest.mark.parametrize(
    "pattern",
    [
        {"eventName": ["INSERT", "MODIFY"]},
        image("city", {"S": ["Oslo"]}),
        image("city", {"S": [{"prefix": "Os"}]}),
        image("city", {"S": [{"suffix": "lo"}]}),
        image("city", {"S": [{"equals-ignore-case": "OSLO"}]}),
        image("city", {"S": [{"anything-but": ["Rome"]}]}),
        image("city", {"S": [{"anything-but": {"prefix": "R"}}]}),
        image("city", {"S": [{"exists": True}]}),
        image("town", {"S": [{"exists": False}]}),
        {"dynamodb": {"SizeBytes": [{"numeric": [">", 10, "<=", 12]}]}},
        {"nothing": [None]},
        {"tags": ["b"]},
        {"$or": [{"eventName": ["REMOVE"]}, {"tags": ["a"]}]},
    ],
)
def test_a_record_that_matches_passes(pattern):
    check(pattern)
    assert passes(RECORD, [pattern])


@pytest.mark.parametrize(
    "pattern",
    [
        {"eventName": ["REMOVE"]},
        {"eventName": ["INSERT"], "tags": ["c"]},
        image("town", {"S": ["Oslo"]}),
        image("town", {"S": [{"anything-but": ["Rome"]}]}),
        image("city", [{"exists": True}]),
        {"dynamodb": {"SizeBytes": [{"numeric": [">", 12]}]}},
        {"nothing": [""]},
        {"dynamodb": {"NewImage": {"note": {"NULL": [1]}}}},
    ],
)
def test_a_record_that_does_not_match_is_held_back(pattern):
    assert not passes(RECORD, [pattern])


def test_a_dynamodb_number_is_text_to_a_numeric_filter():
    assert not passes(RECORD, [image("age", {"N": [{"numeric": [">", 18]}]})])


def test_any_pattern_is_enough_and_none_lets_everything_pass():
    assert passes(RECORD, [{"eventName": ["REMOVE"]}, {"eventName": ["INSERT"]}])
    assert passes(RECORD, [])


@pytest.mark.parametrize("pattern", [[], {}, {"a": [{"like": "x"}]}, {"a": [["x"]]}, {"a": "x"}])
def test_a_pattern_that_is_not_understood_is_refused_in_one_line(pattern):
    with pytest.raises(LocalError) as refused:
        check(pattern)
    assert "\n" not in str(refused.value)


WEATHER = {
    "UserID": None,
    "LastName": "",
    "Name": "Alice",
    "Location": "New York",
    "Day": "Monday",
    "PaymentType": "Debit",
    "Weather": "Sunny",
    "Price": 15,
    "ProductName": "Boots",
    "Region": "us-east-1",
    "FileName": "map.png",
}


@pytest.mark.parametrize(
    ("pattern", "other"),
    [
        ({"UserID": [None]}, {"UserID": "u-1"}),
        ({"LastName": [""]}, {"LastName": "Liddell"}),
        ({"Name": ["Alice"]}, {"Name": "alice"}),
        ({"Name": [{"equals-ignore-case": "alice"}]}, {"Name": "Bob"}),
        ({"Location": ["New York"], "Day": ["Monday"]}, {"Day": "Tuesday"}),
        ({"PaymentType": ["Credit", "Debit"]}, {"PaymentType": "Cash"}),
        ({"$or": [{"Location": ["New York"]}, {"Day": ["Monday"]}]}, {"Location": "Oslo", "Day": "Tuesday"}),
        ({"Weather": [{"anything-but": ["Raining"]}]}, {"Weather": "Raining"}),
        ({"Price": [{"numeric": ["=", 15]}]}, {"Price": 100}),
        ({"Price": [{"numeric": [">", 10, "<=", 20]}]}, {"Price": 21}),
        ({"ProductName": [{"exists": True}]}, {"ProductName": ...}),
        ({"Discount": [{"exists": False}]}, {"Discount": 5}),
        ({"Region": [{"prefix": "us-"}]}, {"Region": "eu-west-1"}),
        ({"FileName": [{"suffix": ".png"}]}, {"FileName": "map.svg"}),
    ],
)
def test_each_comparison_of_lambdas_own_table_is_honoured(pattern, other):
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html#filtering-syntax"""
    check(pattern)
    record = {name: value for name, value in (WEATHER | other).items() if value is not ...}
    assert passes(WEATHER, [pattern])
    assert not passes(record, [pattern])
