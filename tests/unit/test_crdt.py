"""The state of a merged item joins to the same: in any order, in any grouping, however often."""

from decimal import Decimal
from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.replicate import by_attribute, custom
from distributary.replicate.multi_active.crdt import (
    NEVER,
    MergeState,
    Part,
    Revision,
    Sibling,
    Time,
    Timestamp,
    cells_of,
    timestamp_of,
    unread,
)
from distributary.replicate.multi_active.edits import Edit, Edits, Shown
from tests.replaced import replace

EU, US, AP = REGIONS = ("eu-west-1", "us-east-1", "ap-south-1")
PARTS = ("tags", "n")
times = st.sampled_from([NEVER, *map(Time.of, (Decimal(1), Decimal("2.5"), Decimal(10), "1", "é"))])
stamps = st.builds(Timestamp, times, st.sampled_from([*REGIONS, "retired-1"]), st.integers(0, 3), st.booleans())
tags = st.sets(st.sampled_from("xy"), min_size=1).map(lambda found: {"SS": sorted(found)})
counters = st.dictionaries(st.sampled_from(REGIONS), st.just({"N": "1"})).map(lambda found: {"M": found})
texts = st.sampled_from([{"S": "x"}, {"N": "1"}])
contents = st.fixed_dictionaries({}, optional={"a": texts, "b": texts, "tags": tags, "n": counters | texts})
numbered = st.sampled_from("12").map(lambda number: {"a": {"N": number}})


def later(a, b):
    """A rule that keeps neither laws nor order."""
    return {**a, **b, "sum": a.get("sum", 0) + b["a"]}


BY_ATTRIBUTE = {each: Edits.of(by_attribute("at", union=PARTS), REGIONS, each, "_v") for each in REGIONS}
CUSTOM = {each: Edits.of(custom(later, [], "at"), REGIONS, each, "_v") for each in REGIONS}
LATTICE = BY_ATTRIBUTE[EU].lattice


def edit(edits, at, before, after, seen=()):
    """An application's write, of canonical content."""
    old, new = edits.cells(before), edits.cells(after)
    changed = frozenset(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    kept = changed if after is not None and edits.rule.items is None else frozenset()
    return Edit(at.position, at, before, after, "" if after is None else Shown(after).digest, new, kept, dict(seen))


@st.composite
def written(draw, edits):
    """What one region's application writes, one after the other."""
    before, found = None, []
    for position in range(1, draw(st.integers(1, 3)) + 1):
        after = draw(contents if edits.rule.items is None else numbered)
        if before is not None and draw(st.booleans()):
            after = None
        at = Timestamp(draw(times), edits.region, position * 10, after is None)
        found.append(
            edit(edits, at, before, after, draw(st.dictionaries(st.sampled_from(REGIONS), st.integers(0, 30))))
        )
        before = after
    return found


@st.composite
def states(draw, rules):
    """All states that come about where regions learn their edits, in any order and repeatedly, find some in rows before
    their records come, and join each other's states."""
    logs = {region: draw(written(edits)) for region, edits in rules.items()}
    at, found = dict.fromkeys(REGIONS, MergeState()), [MergeState()]
    for _ in range(draw(st.integers(1, 8))):
        region, other = draw(st.sampled_from(REGIONS)), draw(st.sampled_from(REGIONS))
        edits, one = rules[region], draw(st.sampled_from(logs[region]))
        if region != other:
            at[region] = edits.lattice.join(at[region], at[other])
        elif draw(st.integers(0, 3)) or one.after is None:
            at[region] = edits.learned(one, at[region])
        else:
            position = at[region].versions.get(region, -1) + 1
            at[region] = edits.found(region, Shown(one.after), at[region], position)
        found.append(at[region])
    return found


@pytest.mark.parametrize("rules", [BY_ATTRIBUTE, CUSTOM], ids=["by attribute", "custom"])
@pytest.mark.sampled(1)
class TestLaws:
    """`join` over all states that can come about."""

    def some(self, data, rules, many):
        found = data.draw(states(rules))
        return [data.draw(st.sampled_from(found)) for _ in range(many)]

    @given(data=st.data())
    def test_what_is_joined_with_itself_is_itself(self, rules, data):
        lattice = rules[EU].lattice
        (a,) = self.some(data, rules, 1)
        assert lattice.join(a, a) == a

    @given(data=st.data())
    def test_either_may_come_first(self, rules, data):
        lattice = rules[EU].lattice
        a, b = self.some(data, rules, 2)
        assert lattice.join(a, b) == lattice.join(b, a)

    @given(data=st.data())
    def test_any_two_may_meet_first(self, rules, data):
        lattice = rules[EU].lattice
        a, b, c = self.some(data, rules, 3)
        assert lattice.join(lattice.join(a, b), c) == lattice.join(a, lattice.join(b, c))

    @given(data=st.data())
    def test_what_came_once_changes_nothing_again(self, rules, data):
        lattice = rules[EU].lattice
        a, b = self.some(data, rules, 2)
        both = lattice.join(a, b)
        assert lattice.join(both, a) == lattice.join(both, b) == both

    @given(data=st.data())
    def test_a_clash_is_the_same_from_either_side_and_never_with_oneself(self, rules, data):
        lattice = rules[EU].lattice
        a, b = self.some(data, rules, 2)
        assert lattice.clash(a, b) == lattice.clash(b, a)
        assert not lattice.clash(a, a)

    @given(data=st.data())
    def test_a_deleted_item_keeps_no_content(self, rules, data):
        lattice = rules[EU].lattice
        (known,) = self.some(data, rules, 1)
        assert (lattice.value(known) is None) == (lattice.newest(known) == lattice.deleted(known))
        if lattice.value(known) is None:
            assert not any(part.sibling or part.cells for part in known.parts.values())

    @given(data=st.data())
    def test_an_edit_that_comes_again_changes_nothing(self, rules, data):
        edits = rules[EU]
        log = data.draw(written(edits))
        known = reduce(lambda known, each: edits.learned(each, known), log, MergeState())
        assert edits.learned(data.draw(st.sampled_from(log)), known) == known


@given(data=st.data())
def test_a_regions_records_end_as_its_application_did_in_any_order(data):
    edits = BY_ATTRIBUTE[EU]
    log = data.draw(written(edits))
    known = reduce(lambda known, each: edits.learned(each, known), data.draw(st.permutations(log)), MergeState())
    assert LATTICE.value(known) == log[-1].after


@given(a=stamps, b=stamps)
def test_writes_are_totally_ordered(a, b):
    assert (LATTICE.order(a) == LATTICE.order(b)) == (a == b)


@given(at=stamps)
def test_a_timestamp_is_kept_exactly(at):
    assert timestamp_of(at.as_json()) == at


def at(time, region, position, dead=False):
    return Timestamp(Time.of(Decimal(time)), region, position, dead)


def test_a_tie_goes_to_the_region_that_is_named_first():
    assert LATTICE.latest((at(7, US, 900), at(7, EU, 1))) == at(7, EU, 1)


def test_numbers_are_compared_as_numbers():
    assert LATTICE.latest((at(9, EU, 2), at(10, US, 1))) == at(10, US, 1)


def write(stamp, after, before=None):
    """An application's, told by the plain values of its attributes."""
    full = [None if each is None else {name: {"S": value} for name, value in each.items()} for each in (before, after)]
    return edit(BY_ATTRIBUTE[stamp.region], stamp, *full)


def shown(edits):
    """What the edits make of the item, in that order."""
    known = reduce(lambda known, each: BY_ATTRIBUTE[each.at.region].learned(each, known), edits, MergeState())
    value = LATTICE.value(known)
    return value and {name: typed["S"] for name, typed in value.items()}


def test_an_update_that_outranks_a_delete_brings_the_whole_item_back():
    """Its record tells what it changed and the item as it then was; what the delete covered is not in the cells."""
    made, gone = (
        write(at(1, EU, 1), {"a": "old", "b": "old"}),
        write(at(2, EU, 2, True), None, {"a": "old", "b": "old"}),
    )
    updated = write(at(3, US, 1), {"a": "new", "b": "old"}, {"a": "old", "b": "old"})
    for order in permutations((made, gone, updated)):
        assert shown(order) == {"a": "new", "b": "old"}


def test_an_insert_after_a_delete_begins_anew_and_two_at_once_are_merged():
    first, gone = write(at(1, EU, 1), {"a": "1"}), write(at(2, EU, 2, True), None, {"a": "1"})
    again, other = write(at(3, EU, 3), {"b": "3"}), write(at(4, US, 1), {"c": "4"})
    for order in permutations((first, gone, again, other)):
        assert shown(order) == {"b": "3", "c": "4"}


def test_a_change_that_never_came_is_made_up_for_by_its_regions_next_one():
    """It stays so where another region writes afterwards, and does not cover what that wrote."""
    made = write(at(1, EU, 1), {"a": "1", "b": "1"})
    last = write(at(3, EU, 3), {"a": "2", "b": "3"}, {"a": "2", "b": "1"})
    assert shown((made, last)) == {"a": "2", "b": "3"}
    other = write(at(4, US, 1), {"a": "1", "b": "4"}, {"a": "1", "b": "1"})
    assert shown((made, last, other)) == {"a": "2", "b": "4"}


@pytest.mark.parametrize("newest", ["of the edit", ""], ids=["edited", "deleted"])
def test_what_a_repair_found_is_not_the_newest_once_the_region_wrote_again(newest):
    """The application may write the same content once more: it has not been read."""
    known = MergeState({unread(EU): Part(digests={5: "found"}), EU: Part(digests={10: newest})})
    assert not known.has_read(EU, "found")
    assert known.has_read(EU, newest)
    later = MergeState({unread(EU): Part(digests={12: "found"}), EU: Part(digests={10: newest})})
    assert later.has_read(EU, "found")
    assert not later.has_read(EU, newest)


class TestWhatARepairFindsInARow:
    """The row of EU shows an edit of `b` alone. Meanwhile US has written `a`, which that row does not show yet."""

    @pytest.fixture
    def found(self):
        """EU has never written `a` itself, so the row seems to show that it has."""
        was, known = {"a": "stale", "b": "1"}, MergeState()
        for each in (write(at(1, US, 1), was), write(at(4, US, 2), {**was, "a": "of us"}, was)):
            known = BY_ATTRIBUTE[US].learned(each, known)
        mine = write(at(5, EU, 20), {**was, "b": "2"}, was)
        content = {**mine.after, "at": {"N": "5"}}
        return BY_ATTRIBUTE[EU].found(EU, Shown(content), known, 0), replace(mine, digest=Shown(content).digest)

    def test_it_counts_until_its_record_comes_and_then_the_record_does(self, found):
        known, edit = found
        assert LATTICE.value(known)["b"] == {"S": "2"}
        assert unread(EU) in known.parts
        value = LATTICE.value(BY_ATTRIBUTE[EU].learned(edit, known))
        assert (value["a"], value["b"]) == ({"S": "of us"}, {"S": "2"})

    def test_wherever_it_was_joined_the_record_replaces_it(self, found):
        known, edit = found
        learned = BY_ATTRIBUTE[EU].learned(edit, known)
        assert LATTICE.join(known, learned) == LATTICE.join(learned, known) == learned

    def test_it_stays_beside_an_earlier_edit_whose_record_comes_first(self, found):
        known, _ = found
        earlier = write(at(3, EU, 10), {"a": "stale", "b": "1", "c": "3"}, {"a": "stale", "b": "1"})
        value = LATTICE.value(BY_ATTRIBUTE[EU].learned(earlier, known))
        assert (value["b"], value["c"]) == ({"S": "2"}, {"S": "3"})


def test_sets_and_cells_of_counters_merge_inside():
    item = {
        "tags": {"SS": ["x", "y"]},
        "n": {"M": {"eu": {"N": "1"}, "": {"N": "2"}}},
        "empty": {"M": {}},
        "plain": {"S": "p"},
    }
    cells = cells_of(item, ("tags", "n", "empty", "plain"))
    assert ("tags", "S:x") in cells
    assert ("n", "M:eu") in cells
    part = Part(Revision(1), Sibling(at(1, EU, 1), cells), dict.fromkeys(cells, at(1, EU, 1)))
    assert LATTICE.value(MergeState({EU: part})) == item


def test_an_attribute_that_regions_gave_other_forms_is_the_same_everywhere():
    plain = edit(BY_ATTRIBUTE[EU], at(1, EU, 1), None, {"n": {"S": "text"}})
    inside = edit(BY_ATTRIBUTE[US], at(2, US, 1), None, {"n": {"M": {"eu": {"N": "1"}}}})
    for order in permutations((plain, inside)):
        known = reduce(lambda known, each: BY_ATTRIBUTE[each.at.region].learned(each, known), order, MergeState())
        assert LATTICE.value(known) == {"n": {"S": "text"}}


@pytest.mark.parametrize(("saw", "value"), [({}, {"a": {"N": "1"}, "sum": {"N": "1"}}), ({EU: 1}, {"a": {"N": "1"}})])
def test_a_rule_of_your_own_decides_only_between_concurrent_items(saw, value):
    content = {"a": {"N": "1"}}
    known = CUSTOM[EU].learned(edit(CUSTOM[EU], at(1, EU, 1), None, content), MergeState())
    known = CUSTOM[US].learned(edit(CUSTOM[US], at(2, US, 1), None, content, saw), known)
    assert CUSTOM[EU].lattice.value(known) == value
