"""One text for each item, whatever its keys are called and hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.errors import Rejected
from distributary.stream.codec import encode
from distributary.stream.keys import identity
from tests.unit.strategies import as_event, hostile, numbers

keys = st.dictionaries(hostile.filter(bool), hostile | numbers | st.binary(max_size=4), min_size=1, max_size=2)


def typed(item):
    return {name: as_event(encode(value)) for name, value in item.items()}


@given(keys, keys)
def test_different_keys_never_share_an_identity(one, other):
    assert (identity(typed(one)) == identity(typed(other))) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": {"S": "1"}}, {"a": {"N": "1"}}),
        ({"a": {"S": "MQ"}}, {"a": {"B": "MQ=="}}),
        ({"a": {"S": "x&b=S:y"}}, {"a": {"S": "x"}, "b": {"S": "y"}}),
        ({"a=S:x&b": {"S": "y"}}, {"a": {"S": "x"}, "b": {"S": "y"}}),
        ({"a": {"S": "x"}}, {"b": {"S": "x"}}),
        ({"a": {"S": "%23"}}, {"a": {"S": "#"}}),
    ],
)
def test_types_names_and_separators_keep_items_apart(one, other):
    assert identity(one) != identity(other)


def test_the_order_of_the_keys_and_the_spelling_of_a_number_do_not_matter():
    one = identity({"a": {"N": "1.0"}, "b": {"S": "x"}})
    assert one == identity({"b": {"S": "x"}, "a": {"N": "1E0"}}) == "a=N:1&b=S:x"


@pytest.mark.parametrize("key", [{"BOOL": True}, {"L": []}, {"SS": ["a"]}, {"S": 5}, {"B": "?"}, {}, None])
def test_what_can_be_no_key_is_rejected(key):
    with pytest.raises(Rejected):
        identity({"a": key})
