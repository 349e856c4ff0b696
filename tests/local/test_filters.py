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
