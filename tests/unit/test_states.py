"""States are joined by a pure function: commutative, associative, idempotent, so that all regions agree."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.replicate.declarations import last_writer
from distributary.replicate.multi_active.crdt import NEVER, Time, rank
from distributary.replicate.multi_active.lww import Stamps, State, digest_of, read_stamp, stamp
from distributary.stream.codec import encode_item
from tests.unit.strategies import as_event, items

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
ATTRIBUTE = "_distributary_version"
READING = Stamps(last_writer("at"), REGIONS, ATTRIBUTE)

times = st.one_of(
    st.just(NEVER), st.integers(0, 2).map(lambda n: Time.of(Decimal(n))), st.sampled_from("ab").map(Time.of)
)


@st.composite
def states(draw):
    region = draw(st.sampled_from(REGIONS))
    digest, position = draw(st.sampled_from(("x", "y"))), draw(st.integers(0, 3))
    return State(draw(times), rank(region, REGIONS), position, digest, draw(st.booleans()), region, stamped=True)


def join(one, other):
    """The greater one; None is less than all."""
    return other if one is None or (other is not None and other.outranks(one)) else one


any_state = st.none() | states()


@given(any_state, any_state)
def test_join_is_commutative(one, other):
    assert join(one, other) == join(other, one)


@given(any_state, any_state, any_state)
def test_join_is_associative(one, two, three):
    assert join(join(one, two), three) == join(one, join(two, three))


@given(any_state)
def test_join_is_idempotent(one):
    assert join(one, one) == one


@given(states(), states())
def test_a_write_is_made_exactly_where_the_join_differs(standing, incoming):
    assert incoming.outranks(standing) == (join(standing, incoming) != standing)


@given(states())
def test_a_deletion_outranks_what_it_deleted_and_nothing_that_outranked_that(state):
    deletion = state.deletion()
    assert deletion.outranks(state) != state.deleted
    assert not state.outranks(deletion)


@given(states())
def test_a_stamp_says_all_that_states_are_compared_by(state):
    assert read_stamp(stamp(state), REGIONS, state.deleted) == state


@given(states(), st.integers(0, 2))
def test_a_tie_goes_to_the_region_named_first(state, at):
    same = [State(state.time, rank(each, REGIONS), 0, "x", False, each) for each in REGIONS]
    assert all(same[0].outranks(each) for each in same[1:])
    assert not any(each.outranks(same[at]) for each in same[at:])


def test_a_region_that_is_named_no_more_loses_to_all():
    assert rank("sa-east-1", REGIONS) < min(rank(each, REGIONS) for each in REGIONS)


@given(items)
def test_an_item_has_one_digest_whether_lambda_or_boto3_spells_it(item):
    typed = encode_item(item)
    assert digest_of(typed) == digest_of({name: as_event(value) for name, value in typed.items()})


@pytest.mark.parametrize(
    "other", [{"a": {"S": "1"}}, {"a": {"N": "2"}}, {"b": {"N": "1"}}, {}, {"a": {"L": [{"N": "1"}]}}]
)
def test_other_items_have_other_digests(other):
    assert digest_of(other) != digest_of({"a": {"N": "1"}})
    assert digest_of({"a": {"N": "1.0"}}) == digest_of({"a": {"N": "1"}})


def test_a_row_is_the_replicators_as_long_as_its_content_is():
    written = READING.row({"id": {"S": "x"}, "at": {"N": "5"}}, "eu-west-1", 7, certain=True)
    row = {**written.item, ATTRIBUTE: {"M": stamp(written)}}
    assert READING.row(row, "us-east-1") == written
    edited = READING.row({**row, "at": {"N": "6"}}, "us-east-1")
    assert (edited.region, edited.stamped, edited.time) == ("us-east-1", False, Time.of(Decimal(6)))


@pytest.mark.parametrize("forged", [{"S": "x"}, {"M": {}}, {"M": {"region": {"S": "eu-west-1"}}}, {"NULL": True}])
def test_an_attribute_that_no_replicator_wrote_stamps_nothing(forged):
    row = READING.row({"id": {"S": "x"}, ATTRIBUTE: forged}, "us-east-1")
    assert (row.stamped, row.item) == (False, {"id": {"S": "x"}})
