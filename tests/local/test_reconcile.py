"""The demo's comparison finds what it is there to find."""

from collections import Counter
from types import SimpleNamespace

import pytest

from local.demo.oracle import Expectation, documents
from local.demo.pair import Edits, expected_items
from local.demo.reconcile import compare, greetings

NOTHING_PARKED = SimpleNamespace(mentions=lambda keys: False)


def test_equal_sides_have_no_differences():
    assert compare("derive", Expectation({"a": 1}), {"a": 1}).differences == []


@pytest.mark.parametrize(
    ("expected", "actual", "said"),
    [({"a": 1}, {}, "missing: a"), ({}, {"a": 1}, "not in the source: a"), ({"a": 1}, {"a": 2}, "different: a")],
)
def test_a_missing_a_dead_and_a_stale_row_are_each_a_difference(expected, actual, said):
    assert compare("derive", Expectation(expected), actual).differences == [said]


def test_only_an_excused_row_may_differ_and_it_is_counted():
    found = compare("index", Expectation({"a": 1, "b": 1}, {"a"}), {"a": 2, "b": 1})
    assert (found.differences, found.excused) == ([], 1)


def test_a_rejected_item_that_is_not_parked_is_a_difference():
    found = compare("derive", Expectation(unparked=["a"]), {})
    assert found.differences == ["rejected but not parked: a"]


@pytest.mark.parametrize("sent", [0, 2])
def test_a_new_user_without_exactly_one_message_is_a_difference(sent):
    assert greetings({"ada"}, Counter({"ada": sent}), NOTHING_PARKED).differences == [f"{sent} messages: ada"]


def test_a_message_to_someone_who_is_not_new_is_a_difference():
    assert greetings(set(), Counter({"eve": 1}), NOTHING_PARKED).differences == ["1 messages: eve"]


def test_an_unsent_message_is_excused_only_if_its_change_is_parked():
    parked = SimpleNamespace(mentions=lambda keys: keys == {"user_id": {"S": "ada"}})
    assert greetings({"ada"}, Counter(), parked).excused == 1


def user(visits):
    return {"user_id": {"S": "ada"}, "email": {"S": "ada@example.com"}, "visits": visits}


@pytest.mark.parametrize(("visits", "excused"), [({"S": "many"}, {"users/ada"}), ({"N": "7"}, set())])
def test_a_deferred_item_that_is_parked_is_excused_if_its_document_is_refused(visits, excused):
    """What was deferred is parked by its key, and the search engine refuses a text where the mapping has a number."""
    parked = SimpleNamespace(holds=lambda keys, image: False, names=lambda keys: keys == {"user_id": {"S": "ada"}})
    found = documents([user(visits)], ("user_id",), parked)
    assert (list(found.rows), found.excused, found.unparked) == (["users/ada"], excused, [])


class TestOfTwoRegionsThatAreWrittenToAtOnce:
    """What the rule makes of it, told from the applications' own notes."""

    @pytest.fixture
    def regions(self):
        return Edits("us-east-1", None, None), Edits("eu-west-1", None, None)

    def edit(self, region, at, name="m"):
        region.done += 1
        order = at, 0 if region.region == "us-east-1" else -1, region.done
        region.made[f"{region.region}/{region.done}"] = order, {"id": {"S": name}, "edit": {"S": str(at)}}
        return f"{region.region}/{region.done}"

    def stands(self, *regions):
        return {name: item["edit"] for name, item in expected_items(regions).items()}

    def test_the_last_one_stands_wherever_it_was_made(self, regions):
        us, eu = regions
        self.edit(us, 1), self.edit(eu, 3), self.edit(us, 2), self.edit(us, 1, "n")
        assert self.stands(us, eu) == self.stands(eu, us) == {"m": "3", "n": "1"}

    def test_of_equal_times_the_first_regions_stands_and_within_it_the_later(self, regions):
        us, eu = regions
        first, second, _ = self.edit(us, 1), self.edit(us, 1), self.edit(eu, 1)
        us.made[first][1]["edit"], us.made[second][1]["edit"] = {"S": "earlier"}, {"S": "later"}
        assert self.stands(us, eu) == {"m": "later"}

    def test_a_deletion_covers_what_it_deleted_and_nothing_newer(self, regions):
        us, eu = regions
        old = self.edit(us, 1)
        eu.deleted.append(old)
        assert self.stands(us, eu) == {}
        self.edit(us, 2)
        assert self.stands(us, eu) == {"m": "2"}
