"""What is too much at a time is halved, and grows back step by step to where it was."""

from distributary.index.opensearch.concurrency_limit import LANES, LEAST_BYTES, Pace

MOST = 5 << 20


def test_a_busy_round_halves_requests_in_flight_and_their_size():
    assert Pace.full(MOST).after(busy=True) == Pace(MOST, MOST // 2, LANES // 2)


def test_however_busy_something_small_is_still_sent():
    pace = Pace.full(MOST)
    for _ in range(100):
        pace = pace.after(busy=True)
    assert pace == Pace(MOST, LEAST_BYTES, 1)


def test_success_leads_back_to_full_pace_and_not_beyond():
    pace, sizes = Pace(MOST, LEAST_BYTES, 1), []
    for _ in range(20):
        pace = pace.after(busy=False)
        sizes.append(pace.size)
    assert pace == Pace.full(MOST)
    assert sizes == sorted(sizes)


def test_one_success_does_not_make_up_for_one_refusal():
    pace = Pace.full(MOST).after(busy=True).after(busy=False)
    assert pace.size < MOST
    assert pace.lanes < LANES


def test_a_limit_below_the_least_size_is_kept():
    assert Pace.full(1000).after(busy=True).size == 1000
