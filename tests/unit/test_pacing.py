"""No more messages in a second than the provider takes; none while it refuses; none that could not be confirmed."""

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.errors import Unavailable
from distributary.welcome.branch import SEND_SECONDS
from distributary.welcome.rate_limit import FIRST_PAUSE, Pace
from tests.fakes import dynamodb, ses
from tests.fakes.faults import Faults, throttled
from tests.replaced import replace
from tests.unit.mail import Office, rule, user
from tests.unit.records import change


class Clock:
    """Stands still but for those who sleep."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def paced(clock, rate):
    return Pace(rate, clock, clock.sleep, lambda least, most: most)


def test_a_second_s_worth_goes_at_once_and_the_rest_at_the_rate(clock):
    pace, deadline, taken = paced(clock, 10), Deadline(1e9, 0.0, clock), []
    for _ in range(40):
        pace.take(deadline, 0.0)
        taken.append(clock.now)
    for at, start in enumerate(taken):
        assert sum(1 for each in taken[at:] if each < start + 1.0) <= 20
    assert taken[-1] - taken[0] == pytest.approx(3.0)


def test_in_any_ten_seconds_no_more_than_the_rate_and_one_second_s_worth(clock):
    pace, deadline, taken = paced(clock, 3), Deadline(1e9, 0.0, clock), []
    for n in range(100):
        clock.now += (0.0, 0.1, 0.9, 2.5)[n % 4]
        pace.take(deadline, 0.0)
        taken.append(clock.now)
    for start in taken:
        assert sum(1 for each in taken if start <= each < start + 10.0) <= 3 * 10 + 3 + 1


def test_a_turn_that_comes_too_late_is_not_waited_for(clock):
    pace = paced(clock, 1)
    pace.take(Deadline(110.0, 0.0, clock), 6.0)
    for _ in range(4):
        pace.take(Deadline(110.0, 0.0, clock), 6.0)
    with pytest.raises(Unavailable, match="its turn comes after"):
        pace.take(Deadline(110.0, 0.0, clock), 6.0)
    assert clock.now == pytest.approx(104.0)


def test_what_was_not_sent_is_given_back(clock):
    pace, deadline = paced(clock, 1), Deadline(1e9, 0.0, clock)
    for _ in range(50):
        pace.take(deadline, 0.0)
        pace.give_back()
    assert clock.now == 100.0


def test_a_refusal_shuts_for_twice_as_long_each_time_until_one_is_accepted(clock):
    pace, deadline, shut = paced(clock, 1e9), Deadline(1e9, 0.0, clock), []
    for _ in range(9):
        pace.refused()
        began = clock.now
        with pytest.raises(Unavailable, match="refused"):
            pace.take(deadline, 0.0)
        while True:
            clock.now += 0.5
            try:
                pace.take(deadline, 0.0)
                break
            except Unavailable:
                continue
        shut.append(clock.now - began)
    assert shut == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    pace.accepted()
    pace.refused()
    clock.now += FIRST_PAUSE
    pace.take(deadline, 0.0)


def test_what_was_sent_already_takes_nobody_s_turn(clock):
    office, new = Office(), change(0, new=user())
    branch = replace(office.branch(), pace=paced(clock, 1))
    for _ in range(50):
        branch.apply([new], Deadline(1e9, 0.0, clock))
    assert len(office.sent) == 1
    assert clock.now <= 101.0


def test_a_daily_quota_fails_the_rest_without_a_call_each():
    office, faults = Office(rate=1e9), Faults()
    branch = office.branch(faults(office.client, dynamodb), faults(office.mail, ses))
    branch.pace._jitter = lambda least, most: most
    faults.when(lambda operation, _: operation == "send_email", throttled)
    ends = branch.apply([change(n, user=f"u-{n}", new=user()) for n in range(10)], Deadline(60.0, 0.0, lambda: 0.0))
    assert {end.status for end in ends} == {Status.FAILED}
    assert faults.calls == 4


@pytest.mark.parametrize("left", [0.0, 3.0, SEND_SECONDS - 0.1])
def test_what_could_not_be_confirmed_in_time_is_not_begun(left):
    office = Office(rule())
    (end,) = office.apply(change(0, new=user()), deadline=Deadline(left, 0.0, lambda: 0.0))
    assert end.status is Status.FAILED
    assert office.client.state["claims"] == {}


def test_a_wait_that_took_too_long_begins_nothing_and_gives_its_turn_back(clock):
    """A sleep may end late: what was time enough before it is looked at again."""
    office = Office()
    late = Pace(1, clock, lambda seconds: clock.sleep(seconds + 5.0))
    branch, deadline = replace(office.branch(), pace=late), Deadline(110.0, 0.0, clock)
    (first,) = branch.apply([change(0, user="u-0", new=user())], deadline)
    (second,) = branch.apply([change(1, user="u-1", new=user())], deadline)
    assert [first.status, second.status] == [Status.APPLIED, Status.FAILED]
    assert len(office.client.state["claims"]) == 1
    assert clock.now == 106.0
    branch.apply([change(1, user="u-1", new=user())], Deadline(1e9, 0.0, clock))
    assert clock.now == 106.0
