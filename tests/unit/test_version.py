"""One total order over an item's changes, in every place where it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.stream import version

generations = st.integers(0, version.GENERATIONS - 1)
positions = st.integers(1, 40).flatmap(lambda digits: st.integers(10 ** (digits - 1), 10**digits - 1)) | st.just(0)
SEEN_ON_AWS = [
    "2513011398",
    "6200000000002513011398",
    "6300000000002513012315",
    "203673600000000020074864356",
    "25216600000000076581433972",
    "4981469800001502076366178526",
]


@given(generations, positions, generations, positions)
def test_the_text_orders_as_the_number_does_across_generations(g1, p1, g2, p2):
    one, other = version.of(g1, p1), version.of(g2, p2)
    assert (version.to_text(one) < version.to_text(other)) == (one < other)
    assert (one < other) == ((g1, p1) < (g2, p2))


@given(generations, positions)
def test_the_text_has_one_length_and_comes_back(generation, position):
    text = version.to_text(version.of(generation, position))
    assert len(text) == version.TEXT_LENGTH
    assert version.from_text(text) == version.of(generation, position)


@given(positions, positions)
def test_the_external_version_never_reverses_two_positions(a, b):
    low, high = sorted((version.of(0, a), version.of(0, b)))
    assert 0 < version.to_external(low) <= version.to_external(high) < 2**63


@given(positions, st.integers(1, 1000))
def test_neighbouring_positions_are_never_reversed(position, step):
    position = min(position, version.POSITIONS - 1001)
    assert version.to_external(position) <= version.to_external(position + step)


@given(st.integers(1, 10**17 - 2), st.integers(0, 10**20 - 1), st.integers(0, 10**20 - 1))
def test_two_records_of_one_shard_never_tie_in_opensearch(counter, tail, next_tail):
    """AWS: a counter, then 20 digits that do not rise with it."""
    one, following = (int(f"{c}{t:020d}") for c, t in ((counter, tail), (counter + 1, next_tail)))
    assert version.to_external(one) < version.to_external(following)


@given(positions)
def test_a_position_of_an_external_version_is_the_least_that_has_it(position):
    external = version.to_external(position)
    least = version.from_external(external)
    assert (version.to_external(least), version.to_external(max(least - 1, 0)) < external) == (external, least > 0)


@given(positions, positions)
def test_what_is_above_an_external_version_is_above_no_later_change(position, later):
    above = version.from_external(version.to_external(position) + 1)
    assert version.to_external(above) > version.to_external(position) or position // 10**23 == 10**17 - 1
    if version.to_external(later) > version.to_external(position):
        assert version.to_external(above) <= version.to_external(later)


@given(st.integers(0, 2**63 - 1))
def test_every_external_version_has_a_position(external):
    assert 0 <= version.from_external(external) < version.POSITIONS


def test_sequence_numbers_seen_on_aws_keep_their_order():
    numbers = sorted(map(int, SEEN_ON_AWS))
    assert sorted({version.to_external(n) for n in numbers}) == [version.to_external(n) for n in numbers]
    assert sorted(version.to_text(n) for n in numbers) == [version.to_text(n) for n in numbers]


@given(generations, positions)
def test_a_streamed_change_wins_over_the_snapshot_of_its_generation(generation, position):
    snapshot = version.of(generation, version.SNAPSHOT_POSITION)
    assert snapshot <= version.of(generation, position)
    assert version.to_external(snapshot) <= version.to_external(version.of(generation, position))


@pytest.mark.parametrize(
    ("generation", "position"), [(-1, 0), (version.GENERATIONS, 0), (0, -1), (0, version.POSITIONS)]
)
def test_what_would_break_the_order_is_refused(generation, position):
    with pytest.raises(ValueError, match=r"generation|position"):
        version.of(generation, position)


def test_a_repaired_version_is_newer_than_its_own_and_older_than_the_next():
    plain, revised, following = version.to_text(41), version.to_text(41, "9f"), version.to_text(42)
    assert plain < revised < following
    assert version.from_text(revised) == 41
    assert version.generation_in(version.to_text(version.of(3, 7), "9f")) == 3
