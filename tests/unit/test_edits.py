"""One region's edits in any order, and what a repair found in its rows: each case ends otherwise without one rule."""

from decimal import Decimal

import pytest

from distributary.replicate import by_attribute
from distributary.replicate.multi_active.crdt import MergeState, unread
from distributary.replicate.multi_active.edits import Edits, Shown
from tests.replaced import replace
from tests.unit.test_crdt import BY_ATTRIBUTE, EU, LATTICE, REGIONS, US, at, shown, write

RULES = BY_ATTRIBUTE[EU]


def learned(*edits, known=None):
    """What the regions know after these edits."""
    known = known or MergeState()
    for edit in edits:
        known = BY_ATTRIBUTE[edit.at.region].learned(edit, known)
    return known


def deletion_of_us(position, time=3):
    """EU's application deletes what US wrote at `time`."""
    return replace(write(at(time, EU, position, True), None, {"a": "us"}), at=at(time, US, 5, True))


def of_eu(known, *edits):
    """What is known after these edits of EU, whatever they deleted."""
    for edit in edits:
        known = RULES.learned(edit, known)
    return known


def values(known):
    """The item, by the text or number of each attribute."""
    return {name: next(iter(typed.values())) for name, typed in (LATTICE.value(known) or {}).items()}


def test_an_edit_before_its_regions_delete_changes_nothing_when_it_comes_again():
    made, again = write(at(7, EU, 10), {"a": "1"}), write(at(8, EU, 13), {"b": "3"})
    known = of_eu(MergeState(), made, deletion_of_us(12), again)
    assert of_eu(known, made) == known


def test_an_edit_that_comes_late_does_not_replace_its_regions_later_one():
    first, second = write(at(1, EU, 1), {"a": "1"}), write(at(2, EU, 2), {"a": "2"}, {"a": "1"})
    assert shown((second, first)) == {"a": "2"}


def test_a_regions_second_edit_is_no_earlier_than_its_first():
    first, second = write(at(5, EU, 1), {"a": "1"}), write(at(3, EU, 2), {"a": "2"}, {"a": "1"})
    assert shown((first, second, write(at(4, US, 1), {"a": "us"}))) == {"a": "2"}


def test_a_late_delete_does_not_cover_its_regions_later_insert():
    gone, again = write(at(9, EU, 1, True), None, {"a": "1"}), write(at(3, EU, 2), {"a": "2"})
    assert shown((again, gone)) == {"a": "2"}


def test_a_late_edit_takes_no_cell_back_that_its_region_wrote_since():
    second, third = write(at(2, EU, 2), {"a": "2"}), write(at(5, EU, 3), {"a": "3"}, {"a": "2"})
    assert shown((third, second, write(at(4, US, 1), {"a": "us"}))) == {"a": "3"}


def test_a_late_delete_takes_its_regions_earlier_cells():
    made, again = write(at(7, EU, 10), {"a": "1"}), write(at(8, EU, 13), {"b": "3"})
    other = learned(write(at(5, US, 6), {"a": "us"}))
    for order in ((made, deletion_of_us(12), again), (made, again, deletion_of_us(12))):
        assert values(of_eu(other, *order)) == {"a": "us", "b": "3"}


def test_a_delete_of_another_regions_item_covers_no_edit_it_never_saw():
    other = learned(write(at(5, US, 6), {"b": "us"}))
    known = of_eu(MergeState(), write(at(7, EU, 10), {"a": "1"}), deletion_of_us(12))
    assert values(LATTICE.join(known, other)) == {"b": "us"}


@pytest.mark.parametrize("late", [False, True])
def test_a_winning_delete_covers_its_second_in_its_own_region_too(late):
    rules = Edits.of(by_attribute("at", "seconds"), REGIONS, EU, "_v", win=True)
    both = [write(at(11, EU, 12, True), None, {"a": "1"}), write(at(8, EU, 13), {"a": "2"})]
    known = MergeState()
    for each in reversed(both) if late else both:
        known = rules.learned(each, known)
    assert LATTICE.value(known) is None


class TestARow:
    """`found`: what a repair reads in EU's row."""

    def found(self, known, position, time, **content):
        row = {"at": {"N": str(time)}, **{name: {"S": value} for name, value in content.items()}}
        return RULES.found(EU, Shown(row), known, position)

    def test_it_stays_beside_a_late_earlier_edit_of_the_same_content(self):
        """EU wrote 1, 2 and 1 again; of the last one only the row is there."""
        row = {"a": {"S": "1"}}
        first, second = write(at(1, EU, 20), {"a": "1"}), write(at(2, EU, 25), {"a": "2"}, {"a": "1"})
        known = RULES.found(EU, Shown(row), learned(second), 26)
        known = learned(first, known=known)
        assert Shown(row).digest == first.digest
        assert values(known) == {"a": "1"}

    def test_it_is_no_earlier_than_what_the_region_wrote_before(self):
        known = learned(write(at(5, EU, 1), {"a": "1"}), write(at(4, US, 1), {"a": "us"}))
        assert values(self.found(known, 2, 3, a="2"))["a"] == "2"

    def test_what_it_shows_of_another_region_is_not_its_regions(self):
        known = learned(write(at(1, EU, 1), {"a": "stale"}), write(at(4, US, 1), {"a": "us"}, {"a": "stale"}))
        known = self.found(known, 2, 5, a="us", b="2")
        later = write(at(Decimal("4.5"), US, 2), {"a": "us, later"}, {"a": "us"})
        assert values(learned(later, known=known))["a"] == "us, later"

    def test_what_the_region_left_so_is_no_news_though_another_has_replaced_it(self):
        known = learned(write(at(1, EU, 1), {"a": "stale"}), write(at(4, US, 1), {"a": "us"}, {"a": "stale"}))
        found = values(self.found(known, 2, 5, a="stale", b="2"))
        assert (found["a"], found["b"]) == ("us", "2")

    def test_its_record_replaces_it(self):
        row = {"a": {"S": "1"}}
        known = RULES.found(EU, Shown(row), MergeState(), 0)
        assert not learned(write(at(1, EU, 20), {"a": "1"}), known=known).parts[unread(EU)].digests


def test_two_regions_that_write_the_same_value_have_no_conflict():
    known = learned(write(at(2, US, 1), {"a": "same"}, {"a": "old"}))
    assert not RULES.overlooks(write(at(3, EU, 1), {"a": "same"}, {"a": "old"}), known)
    assert RULES.overlooks(write(at(3, EU, 1), {"a": "other"}, {"a": "old"}), known)


def test_of_two_forms_of_a_part_at_one_position_the_later_one_is_joined():
    one = learned(write(at(2, EU, 2), {"a": "2"}, {"a": "1"}))
    late = learned(write(at(1, EU, 1), {"a": "1", "b": "1"}), known=one)
    assert one != late
    assert LATTICE.join(one, late) == LATTICE.join(late, one) == late


def test_a_cell_that_a_delete_covers_stays_away_where_the_item_goes_on():
    """EU edits `b` beside US's delete, and US makes the item anew."""
    was = {"a": "1", "b": "1"}
    known = learned(
        write(at(1, EU, 1), was),
        write(at(5, EU, 2), {"a": "1", "b": "2"}, was),
        write(at(3, US, 1, True), None, was),
        write(at(6, US, 2), {"c": "3"}),
    )
    assert values(known) == {"b": "2", "c": "3"}


def test_a_delete_beside_an_edit_is_a_conflict_and_two_deletes_are_none():
    was = {"a": "1"}
    made = learned(write(at(1, EU, 1), was))
    gone = learned(write(at(2, EU, 2, True), None, was), known=made)
    edited = learned(write(at(3, US, 1), {"a": "2"}, was), known=made)
    gone_too = learned(write(at(3, US, 1, True), None, was), known=made)
    assert LATTICE.clash(gone, edited)
    assert LATTICE.clash(edited, gone)
    assert not LATTICE.clash(gone, gone_too)


def test_an_edit_on_top_of_anothers_is_no_conflict_beside_one_of_another_cell():
    was = {"a": "1", "b": "1"}
    made = learned(write(at(1, EU, 1), was))
    here = learned(write(at(2, EU, 2), {"a": "1", "b": "eu"}, was), known=made)
    there = learned(write(at(3, US, 1), {"a": "us", "b": "1"}, was), known=made)
    assert not LATTICE.clash(here, there)
    assert not LATTICE.clash(there, here)
