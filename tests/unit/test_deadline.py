"""The function stops in time to say what it did not do."""

import pytest

from distributary.consumer.deadline import FOREVER, RESERVE_SECONDS, Deadline
from distributary.errors import Unavailable
from tests.unit.branches import Context


@pytest.mark.parametrize(("seconds", "reserve"), [(60, RESERVE_SECONDS), (12, 3.0), (4, 1.0), (1, 0.25), (0, 0.0)])
def test_the_reserve_is_three_seconds_or_a_quarter_of_what_is_left(seconds, reserve):
    deadline = Deadline.of(Context(seconds))
    assert deadline.reserve == reserve
    assert deadline.left() == pytest.approx(seconds - reserve, abs=0.1)


def test_an_invocation_that_is_already_over_has_nothing_left():
    deadline = Deadline.of(Context(-5))
    assert (deadline.left(), deadline.reserve) == (0.0, 0.0)
    assert deadline.into_reserve().left() == 0.0


def test_time_that_is_over_is_said():
    now = [100.0]
    deadline = Deadline(105.0, 3.0, lambda: now[0])
    deadline.check()
    assert deadline.left() == 5.0
    now[0] = 105.0
    with pytest.raises(Unavailable, match="raise Timeout or lower BatchSize"):
        deadline.check()
    now[0] = 200.0
    assert deadline.left() == 0.0


def test_parking_has_two_thirds_of_the_reserve_and_the_answer_has_the_rest():
    deadline = Deadline(105.0, 3.0, lambda: 105.0)
    assert deadline.into_reserve().left() == pytest.approx(2.0)


def test_a_share_of_all_time_is_all_time():
    assert FOREVER.share(2).left() == float("inf")
    FOREVER.share(2).check()
