"""Regions on Kinesis data streams: two changes of an item with one time, whichever comes first, and more than once."""

from itertools import permutations

import pytest

from distributary.consumer.outcome import TIED
from distributary.consumer.ties import settling
from distributary.replicate import by_attribute, greatest, last_writer
from distributary.replicate.factory import reconciler
from distributary.replicate.multi_active.crdt import MergeState, Time
from distributary.replicate.multi_active.edits import Edits, Shown, _moment, behind, place_of
from distributary.replicate.multi_active.lww import State, read_stamp, stamp
from distributary.replicate.multi_active.moments import ordered
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.kinesis import plain
from distributary.stream.records import decode
from tests.fakes.kinesis import MICROS, delivered, written
from tests.replaced import replace
from tests.simulation.regions import request
from tests.unit.edited_regions import ALL, AP, EU, FOREVER, RULES, US, World


class ByKinesis(World):
    """Changes that the table makes until `later` is asked have one time."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.times = {}

    def later(self):
        """What was changed until now is older than what comes."""
        self.tables.clock += 1

    def event(self, region, at):
        """A record as the data stream has it; those of one second have one time."""
        record = self.tables.records_of(region)[at]
        second = int(record["dynamodb"]["ApproximateCreationDateTime"])
        return delivered(written(record, "items", second * 1_000_000), at)

    def deliver(self, region, *places):
        """What became of these records; ties are settled as the function settles them."""
        branch = self.branch(region)
        function = settling(branch, reconciler(branch, None, None, 0))
        ends = function.apply(decode({"Records": [self.event(region, at) for at in places]}, 0), FOREVER)
        return [end.metric for end in ends]

    def carry(self, region, since=None):
        """See `World`."""
        first = self.carried[region] if since is None else since
        self.carried[region] = len(self.tables.records_of(region))
        return self.deliver(region, *range(first, self.carried[region]))


def change(world, kind, value):
    """An application's change in one region."""
    if kind == "delete":
        world.delete(US)
    else:
        world.put(US, 1, value)


PAIRS = ["put put", "put delete", "delete put"]
STANDS = pytest.mark.parametrize("stands", [False, True], ids=["no item", "an item"])


@ALL
@STANDS
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("together", [False, True], ids=["apart", "in one batch"])
def test_the_later_of_two_changes_of_one_time_is_what_all_regions_have(rule, stands, pair, together):
    kinds = pair.split()
    if kinds[0] == "delete" and not stands:
        return
    for value, order in ((value, order) for value in "bcdefg" for order in permutations(range(2))):
        world = ByKinesis(rule, (US, EU, AP))
        if stands:
            world.put(US, 1, "a")
            world.settle()
            world.later()
        first = len(world.tables.records_of(US))
        for kind, made in zip(kinds, (value.upper(), value), strict=True):
            change(world, kind, made)
        world.carried[US] = first + 2
        for places in [order] if together else [[at] for at in order]:
            world.deliver(US, *(first + at for at in places))
        world.settle()
        right = world.values()[0]
        assert right == ({} if kinds[1] == "delete" else {"x": value})
        assert world.values() == [right] * 3
        for region in (US, EU, AP):
            world.carry(region, since=0)
        world.settle()
        assert world.values() == [right] * 3


@ALL
def test_a_change_of_another_time_wins_over_both_whenever_it_comes(rule):
    for order in permutations(range(3)):
        world = ByKinesis(rule)
        world.put(US, 1, "a")
        world.put(US, 1, "b")
        world.later()
        world.put(US, 2, "c")
        world.carried[US] = 3
        for at in order:
            world.deliver(US, at)
        world.settle()
        assert world.values() == [{"x": "c"}] * 2


@ALL
def test_two_changes_of_one_time_that_were_given_up_are_redriven_in_any_order(rule):
    for value, order in ((value, order) for value in "bcdefg" for order in permutations(range(2))):
        world = ByKinesis(rule)
        world.put(US, 1, value.upper())
        world.put(US, 1, value)
        world.carried[US] = 2
        for at in order:
            world.reconcile(US, request(plain(world.event(US, at))))
        world.settle()
        assert world.values() == [{"x": value}] * 2


def test_what_three_changes_of_one_time_made_is_gone_if_the_last_deleted_it():
    for value, order in ((value, order) for value in "bcdefg" for order in permutations(range(3))):
        world = ByKinesis(RULES["whole"])
        world.put(US, 1, value.upper())
        world.put(US, 1, value)
        world.delete(US)
        world.carried[US] = 3
        for at in order:
            world.deliver(US, at)
        world.settle()
        assert world.values() == [{}, {}], order


RANKED = greatest(lambda item: item.get("at"))


def rewinds(world):
    """Every region's records again, some times; what was written the last time."""
    for _ in range(4):
        written = world.tables.writes
        for region in world.declared.regions:
            world.carry(region, since=0)
        world.settle()
    return world.tables.writes - written


def test_what_an_undone_edit_replaced_had_come_last_whatever_came_in_between():
    for value in "bcdefg":
        world = ByKinesis(RANKED, (US, EU, AP))
        world.put(US, 5, value.upper())
        world.put(US, 5, value)
        world.deliver(US, 1)
        world.later()
        world.put(US, 1, "less")
        world.deliver(US, 0)
        world.carried[US] = 2
        world.settle()
        assert world.values() == [{"x": value}] * 3
        assert rewinds(world) == 0


def test_two_undone_edits_of_one_time_end_their_dispute():
    for value in "bcdefg":
        world = ByKinesis(RANKED)
        for rank, made in ((5, "A"), (1, "less"), (5, value), (1, "least")):
            world.put(US, rank, made)
        world.settle()
        assert world.values()[0] == world.values()[1]
        assert rewinds(world) == 0


def test_an_undone_edit_does_not_say_what_came_last_in_another_region():
    for value in "bcdefg":
        world = ByKinesis(RANKED)
        world.put(US, 5, value.upper())
        world.deliver(US, 0)
        world.put(US, 5, value)
        world.put(EU, 1, "less")
        world.settle()
        assert world.values() == [{"x": value}] * 2
        assert rewinds(world) == 0


def test_what_a_replicator_put_over_an_edit_did_not_come_after_it():
    """By the stream's second, the first edit's record is put over the second edit, whose own record brings it back."""
    for value in "bcdefg":
        world = ByKinesis(RULES["by second"])
        world.put(US, 1, value.upper())
        world.put(US, 1, value)
        world.deliver(US, 0)
        world.deliver(US, 1)
        world.carried[US] = len(world.tables.records_of(US))
        world.reconcile(US, request(plain(world.event(US, 2))))
        world.settle()
        assert world.values() == [{"x": value}] * 2


def test_a_delete_takes_nothing_that_was_put_at_its_time_and_is_stamped():
    for value in "bcdefg":
        world = ByKinesis(RULES["whole"])
        world.put(US, 1, "a")
        world.settle()
        world.later()
        world.delete(US)
        world.put(US, 1, value)
        world.deliver(US, 1)
        row = world.tables.state[f"items@{US}"]["x",]
        made = world.branch(US).stamps.row(row, US, P + 1_000_000, certain=True)
        world.tables.put_item(TableName=f"items@{US}", Item={**row, REPLICA_VERSION: {"M": stamp(made)}})
        world.carried[US] = 3
        world.deliver(US, 2)
        world.settle()
        assert world.values() == [{"x": value}] * 2


def test_an_undone_edit_of_a_table_s_stream_costs_no_look_at_other_regions():
    world = World(RANKED)
    world.put(US, 5, "a")
    world.settle()
    world.put(US, 1, "less")
    world.spent()
    world.carry(US)
    assert world.spent() == {"BatchGetItem": 1, "PutItem": 1, "GetItem": 1}
    assert world.values() == [{"x": "a"}] * 2


@pytest.mark.parametrize("elsewhere", ["the same", "nothing", "another region's"])
def test_an_undone_edit_is_no_tie_where_no_other_of_its_time_stands(elsewhere):
    world = ByKinesis(RANKED)
    world.put(US, 5, "a")
    if elsewhere == "the same":
        world.settle()
    elif elsewhere == "another region's":
        world.put(EU, 5, "b")
    world.later()
    world.put(US, 1, "less")
    assert world.deliver(US, 1) == [""]
    world.settle()
    assert world.values() == [{"x": "a"}] * 2


def test_such_changes_are_counted_and_others_are_not():
    world = ByKinesis(last_writer("at", "seconds"))
    world.put(US, 1, "a")
    world.put(US, 1, "b")
    assert world.deliver(US, 0) == [""]
    assert world.deliver(US, 1) == [TIED.metric]
    world.later()
    world.put(US, 2, "c")
    world.carried[US] = 2
    assert world.carry(US) == [""]


@ALL
def test_another_region_s_edit_of_that_time_is_told_apart_by_the_rule(rule):
    world = ByKinesis(rule)
    world.put(US, 1, "a")
    world.put(EU, 1, "b")
    world.settle()
    assert world.values()[0] == world.values()[1]


P = MICROS


def state(digest, deleted=False, tie=0, position=P):
    return State(Time(1, 1), 2, position, digest, deleted, US, certain=True, tie=tie)


def test_a_tie_is_kept_in_the_stamp_and_compared_before_the_content():
    first, last = state("z"), state("a", tie=1)
    assert last.order > first.order
    assert read_stamp(stamp(last), (US, EU), False).tie == 1
    assert "tie" not in stamp(first)
    assert read_stamp(stamp(first), (US, EU), False).tie == 0


def test_only_states_of_one_region_time_and_position_share_a_moment():
    one = state("a")
    assert one.shares_moment(state("b"))
    assert one.shares_moment(state("a", deleted=True))
    assert not one.shares_moment(None)
    assert not one.shares_moment(replace(one, tie=3))
    assert not one.shares_moment(state("b", position=P + 1))
    assert not one.shares_moment(replace(state("b"), rank=1))
    assert not state("a", deleted=True).shares_moment(state("b", deleted=True))
    assert not state("a", position=10**21).shares_moment(state("b", position=10**21))


def test_a_chain_of_what_replaced_what_is_followed_in_any_order():
    a, b, c = (state(digest) for digest in "zyx")
    for told in permutations([(b, a), (c, b)]):
        assert max(ordered([a, b, c], told), key=lambda each: each.order).digest == "x"


def test_what_is_last_comes_after_all_of_its_moment_and_once_is_enough():
    a, b, other = state("z"), state("a"), state("q", position=P + 5)
    found = ordered([a, b, other], [(b, None)])
    assert [(each.digest, each.tie) for each in found if each.position == P and each.tie] == [("a", 1)]
    assert ordered(found, [(found[-1], None)]) == found
    assert ordered([other], [(other, None)]) == [other]


def test_what_is_last_comes_after_what_came_last_before():
    a, b = state("z", tie=4), state("a")
    elsewhere = state("a", tie=9, position=P + 1)
    assert max(ordered([a, b, elsewhere], [(b, None)])[3:], key=lambda each: each.order).tie == 5


def test_a_deletion_comes_after_a_deleted_edit_that_had_come_last():
    edit = state("a", tie=1)
    assert ordered([edit], [(state("a", deleted=True), None)])[-1].tie == 2


def test_a_deletion_of_the_very_edit_that_stands_is_no_rival_of_it():
    edit = state("a")
    assert ordered([edit, edit.deletion()], [(edit, None)]) == [edit, edit.deletion()]


def test_a_position_that_is_a_time_has_room_beside_it_and_keeps_the_order():
    time, number = versions.of(1, P), versions.of(1, 10**21)
    assert place_of(number) == number
    assert behind(number) == number + 1
    assert _moment(number) is None
    assert place_of(time) < behind(place_of(time)) < place_of(time + 1) < number
    assert _moment(place_of(time)) == _moment(behind(place_of(time))) != _moment(place_of(time + 1))
    assert versions.generation_of(place_of(time)) == 1


MERGED = Edits.of(by_attribute("at", "seconds"), (US, EU), US, REPLICA_VERSION)
ELSE = Shown({"value": {"S": "what came later"}})
"""A row that is as neither of two edits left it."""


def edits(*kinds):
    """Of one time: puts of these values, or deletes where there is none."""
    world = ByKinesis(by_attribute("at", "seconds"))
    for value in kinds:
        change(world, "put" if value else "delete", value)
    records = [world.event(US, at) for at in range(len(kinds))]
    return [MERGED.edit(each) for each in decode({"Records": records}, 0)]


def learned(*told):
    known = MergeState()
    for edit in told:
        known = MERGED.learned(edit, known)
    return known


def left(edit, **more):
    return Shown(edit.after or {}, **more)


def after(edit, other, row):
    """Whether an edit is placed after the other, which is known, with the row as it is."""
    known = learned(other)
    assert MERGED.ties(edit, known)
    placed = MERGED.placed(edit, known, row)
    assert placed.at.position == placed.position
    assert placed.position in (other.position - 1, other.position + 1)
    return placed.position > other.position


@pytest.mark.parametrize("kinds", [("a", "b"), ("a", "")], ids=["put", "delete"])
def test_an_edit_comes_after_the_one_that_it_replaced(kinds):
    one, other = edits(*kinds)
    assert after(other, one, ELSE)
    assert not after(one, other, ELSE)


def test_a_row_that_the_application_left_tells_which_came_last():
    one, other = edits("a", "b")
    assert after(one, other, left(one))
    assert not after(other, one, left(one))
    assert after(other, one, left(other))
    assert not MERGED.ties(one, learned(one))


def test_a_row_that_a_replicator_wrote_does_not_tell_it():
    one, other = edits("a", "b")
    assert after(other, one, left(one, at=one.at))
    assert not after(one, other, left(one, at=one.at))


def test_an_item_that_is_gone_tells_that_its_delete_came_last():
    one, other = edits("a", "")
    assert after(other, one, None)
    assert not after(one, other, None)


def test_a_change_and_its_reverse_are_told_apart_by_the_row_alone():
    _, there, back = edits("a", "b", "a")
    assert not after(back, there, ELSE)
    assert not after(there, back, ELSE)
    assert after(back, there, left(back))
    assert after(there, back, left(there))


def test_a_known_delete_does_not_delete_the_same_item_put_after_it():
    one, gone, again = edits("a", "", "a")
    known = learned(gone)
    known = MERGED.learned(MERGED.placed(again, known, left(again)), known)
    assert MERGED.placed(gone, known, ELSE).position < again.position
    assert MERGED.lattice.value(MERGED.learned(MERGED.placed(gone, known, ELSE), known)) is not None
    assert one.digest == again.digest


def test_a_row_found_before_its_record_is_the_edit_that_left_it():
    one, other = edits("a", "b")
    known = MERGED.found(US, left(other), learned(one), behind(one.position))
    known = MERGED.found(US, ELSE, known, behind(behind(one.position)))
    assert MERGED.placed(other, known, left(other)).position == behind(one.position)


def test_what_comes_late_takes_nothing_from_others_of_its_moment():
    one, gone, again = edits("a", "", "b")
    newer = replace(again, position=behind(place_of(P + 5)), digest="newer")
    known = learned(again, newer)
    late = MERGED.learned(gone, known).parts[US]
    assert late.floor == gone.position - 1
    assert late.cells == known.parts[US].cells
    assert MERGED.learned(gone, MERGED.learned(gone, known)) == MERGED.learned(gone, known)
    assert one.position == gone.position
