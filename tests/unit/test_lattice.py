"""What is known of an item merges to the same: in any order, in any grouping, however often."""

from decimal import Decimal
from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.replicate.multi_active.edits import merging
from distributary.replicate.multi_active.lattice import (
    Lattice,
    LWWRegister,
    MergeState,
    Rank,
    Sibling,
    cells_of,
    rank_of,
)
from distributary.replicate.multi_active.merge_rules import custom
from distributary.replicate.multi_active.state import NEVER, Time

EU, US, AP = REGIONS = ("eu-west-1", "us-east-1", "ap-south-1")
times = st.sampled_from([NEVER, *map(Time.of, (Decimal(1), Decimal("2.5"), Decimal(10), "1", "é"))])
ranks = st.builds(Rank, times, st.sampled_from([*REGIONS, "retired-1"]), st.integers(0, 3), st.booleans())
values = st.sampled_from([None, {"S": "x"}, {"N": "1"}, {"M": {}}])
names = st.sampled_from([("a",), ("b",), ("tags", "S:x"), ("tags", "S:y"), ("n", "M"), ("n", "M:eu-west-1")])
seen = st.dictionaries(st.sampled_from(REGIONS), st.integers(0, 3), max_size=2)


def later(a, b):
    """A rule that keeps neither laws nor order."""
    return {**a, **b, "sum": a.get("sum", 0) + b["a"]}


BY_ATTRIBUTE = Lattice(REGIONS)
CUSTOM = Lattice(REGIONS, merging(custom(later, [])))


def _value(draw, name):
    """A set's member is what it is called."""
    return draw(st.sampled_from([None, {"S": name[1][2:]}]) if name[0] == "tags" else values)


@st.composite
def knowns(draw, lattice):
    """As they come about: of single writes, and joined."""
    known = MergeState()
    for _ in range(draw(st.integers(0, 3))):
        rank = draw(ranks)
        versions = {rank.region: rank.version}
        if rank.dead:
            one = MergeState(dead=rank, versions=versions)
        else:
            image = {name: value for name in draw(st.sets(names, max_size=4)) if (value := _value(draw, name))}
            cells = {name: LWWRegister(rank, _value(draw, name)) for name in draw(st.sets(names, max_size=4))}
            if lattice is CUSTOM:
                image, cells = {("a",): {"N": draw(st.sampled_from("12"))}}, {}
            one = MergeState(wholes={rank.region: Sibling(rank, image, draw(seen))}, cells=cells, versions=versions)
        known = lattice.join(known, one)
    return known


@pytest.mark.parametrize("lattice", [BY_ATTRIBUTE, CUSTOM], ids=["by attribute", "custom"])
class TestLaws:
    @given(data=st.data())
    def test_what_is_joined_with_itself_is_itself(self, lattice, data):
        a = data.draw(knowns(lattice))
        assert lattice.join(a, a) == a

    @given(data=st.data())
    def test_either_may_come_first(self, lattice, data):
        a, b = data.draw(knowns(lattice)), data.draw(knowns(lattice))
        assert lattice.join(a, b) == lattice.join(b, a)

    @given(data=st.data())
    def test_any_two_may_meet_first(self, lattice, data):
        a, b, c = (data.draw(knowns(lattice)) for _ in range(3))
        assert lattice.join(lattice.join(a, b), c) == lattice.join(a, lattice.join(b, c))

    @given(data=st.data())
    def test_what_came_once_changes_nothing_again(self, lattice, data):
        a, b = data.draw(knowns(lattice)), data.draw(knowns(lattice))
        both = lattice.join(a, b)
        assert lattice.join(both, a) == lattice.join(both, b) == both

    @given(data=st.data())
    def test_a_clash_is_the_same_from_either_side_and_never_with_oneself(self, lattice, data):
        a, b = data.draw(knowns(lattice)), data.draw(knowns(lattice))
        assert lattice.clash(a, b) == lattice.clash(b, a)
        assert not lattice.clash(a, a)

    @given(data=st.data())
    def test_a_deleted_item_keeps_no_content(self, lattice, data):
        known = data.draw(knowns(lattice))
        assert (lattice.shown(known) is None) == (lattice.newest(known) == known.dead)
        if lattice.shown(known) is None:
            assert (known.wholes, known.cells) == ({}, {})


@given(a=ranks, b=ranks)
def test_writes_are_totally_ordered(a, b):
    assert (BY_ATTRIBUTE.order(a) == BY_ATTRIBUTE.order(b)) == (a == b)


@given(rank=ranks)
def test_a_rank_is_kept_exactly(rank):
    assert rank_of(rank.as_json()) == rank


def at(time, region, version, dead=False):
    return Rank(Time.of(Decimal(time)), region, version, dead)


def test_a_tie_goes_to_the_region_that_is_named_first():
    assert BY_ATTRIBUTE.newer(at(7, US, 900), at(7, EU, 1)) == at(7, EU, 1)


def test_numbers_are_compared_as_numbers():
    assert BY_ATTRIBUTE.newer(at(9, EU, 2), at(10, US, 1)) == at(10, US, 1)


def write(rank, image, changed):
    """An application's: the attributes that it left, and the names of those that it changed."""
    content = {(name,): {"S": value} for name, value in image.items()}
    cells = {(name,): LWWRegister(rank, content.get((name,))) for name in changed}
    return MergeState(wholes={rank.region: Sibling(rank, content)}, cells=cells, versions={rank.region: rank.version})


def joined(knowns):
    """In that order."""
    return reduce(BY_ATTRIBUTE.join, knowns, MergeState())


def test_an_update_that_outranks_a_delete_brings_the_whole_item_back():
    """Its record tells what it changed and the item as it then was; what the delete covered is not in the cells."""
    made = write(at(1, EU, 1), {"a": "old", "b": "old"}, "ab")
    gone = MergeState(dead=at(2, EU, 2, True), versions={EU: 2})
    updated = write(at(3, US, 1), {"a": "new", "b": "old"}, "a")
    for order in permutations((made, gone, updated)):
        assert BY_ATTRIBUTE.shown(joined(order)) == {"a": {"S": "new"}, "b": {"S": "old"}}


def test_an_insert_after_a_delete_begins_anew_and_two_at_once_are_merged():
    first, gone = write(at(1, EU, 1), {"a": "1"}, "a"), MergeState(dead=at(2, EU, 2, True), versions={EU: 2})
    again, other = write(at(3, EU, 3), {"b": "3"}, "b"), write(at(4, US, 1), {"c": "4"}, "c")
    for order in permutations((first, gone, again, other)):
        assert BY_ATTRIBUTE.shown(joined(order)) == {"b": {"S": "3"}, "c": {"S": "4"}}


def test_a_change_that_never_came_is_made_up_for_by_its_regions_next_one():
    """It stays so where another region writes afterwards, and does not cover what that wrote."""
    made, last = write(at(1, EU, 1), {"a": "1", "b": "1"}, "ab"), write(at(3, EU, 3), {"a": "2", "b": "3"}, "b")
    assert BY_ATTRIBUTE.shown(joined((made, last))) == {"a": {"S": "2"}, "b": {"S": "3"}}
    other = write(at(4, US, 1), {"a": "1", "b": "4"}, "b")
    assert BY_ATTRIBUTE.shown(joined((made, last, other))) == {"a": {"S": "2"}, "b": {"S": "4"}}


def test_sets_and_cells_of_counters_merge_inside():
    item = {
        "tags": {"SS": ["x", "y"]},
        "n": {"M": {"eu": {"N": "1"}, "": {"N": "2"}}},
        "empty": {"M": {}},
        "plain": {"S": "p"},
    }
    rank = at(1, EU, 1)
    cells = {name: LWWRegister(rank, value) for name, value in cells_of(item, ("tags", "n", "empty", "plain")).items()}
    assert ("tags", "S:x") in cells
    assert ("n", "M:eu") in cells
    assert BY_ATTRIBUTE.shown(MergeState(wholes={EU: Sibling(rank, {})}, cells=cells)) == item


def test_an_attribute_that_regions_gave_other_forms_is_the_same_everywhere():
    early, late = at(1, EU, 1), at(2, US, 1)
    plain = MergeState(wholes={EU: Sibling(early, {})}, cells={("n",): LWWRegister(early, {"S": "text"})})
    parts = {("n", "M"): LWWRegister(late, {"M": {}}), ("n", "M:eu"): LWWRegister(late, {"N": "1"})}
    inside = MergeState(wholes={US: Sibling(late, {})}, cells=parts)
    assert BY_ATTRIBUTE.shown(BY_ATTRIBUTE.join(plain, inside)) == {"n": {"S": "text"}}


@pytest.mark.parametrize(("saw", "shown"), [({}, {"a": {"N": "1"}, "sum": {"N": "1"}}), ({EU: 1}, {"a": {"N": "1"}})])
def test_a_rule_of_your_own_decides_only_between_concurrent_items(saw, shown):
    image = {("a",): {"N": "1"}}
    wholes = {EU: Sibling(at(1, EU, 1), image), US: Sibling(at(2, US, 1), image, saw)}
    assert CUSTOM.shown(MergeState(wholes=wholes, versions={EU: 1, US: 1})) == shown
