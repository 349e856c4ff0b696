"""The demo's comparison finds what it is there to find."""

from collections import Counter
from types import SimpleNamespace

import pytest

from local.demo.oracle import Expectation
from local.demo.reconcile import compare, greetings

NOTHING_PARKED = SimpleNamespace(objects=0, mentions=lambda keys: False)


def test_equal_sides_have_no_differences():
    assert compare("derive", Expectation({"a": 1}), {"a": 1}, NOTHING_PARKED).differences == []


@pytest.mark.parametrize(
    ("expected", "actual", "said"),
    [({"a": 1}, {}, "missing: a"), ({}, {"a": 1}, "not in the source: a"), ({"a": 1}, {"a": 2}, "different: a")],
)
def test_a_missing_a_dead_and_a_stale_row_are_each_a_difference(expected, actual, said):
    assert compare("derive", Expectation(expected), actual, NOTHING_PARKED).differences == [said]


def test_only_an_excused_row_may_differ_and_it_is_counted():
    found = compare("index", Expectation({"a": 1, "b": 1}, {"a"}), {"a": 2, "b": 1}, NOTHING_PARKED)
    assert (found.differences, found.excused) == ([], 1)


def test_a_rejected_item_that_is_not_parked_is_a_difference():
    found = compare("derive", Expectation(unparked=["a"]), {}, NOTHING_PARKED)
    assert found.differences == ["rejected but not parked: a"]


@pytest.mark.parametrize("sent", [0, 2])
def test_a_new_user_without_exactly_one_message_is_a_difference(sent):
    assert greetings({"ada"}, Counter({"ada": sent}), NOTHING_PARKED).differences == [f"{sent} messages: ada"]


def test_a_message_to_someone_who_is_not_new_is_a_difference():
    assert greetings(set(), Counter({"eve": 1}), NOTHING_PARKED).differences == ["1 messages: eve"]


def test_an_unsent_message_is_excused_only_if_its_change_is_parked():
    parked = SimpleNamespace(objects=1, mentions=lambda keys: keys == {"user_id": {"S": "ada"}})
    assert greetings({"ada"}, Counter(), parked).excused == 1
