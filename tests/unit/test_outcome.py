"""Several writes for one change come to one end: the one that asks most of the caller."""

import itertools

import pytest

from distributary.consumer import outcome as outcomes
from distributary.consumer.outcome import APPLIED, IGNORED, SUPERSEDED, Outcome, Status
from distributary.errors import Rejected, Unavailable

FAILED = outcomes.failed(Unavailable("busy", "detail"))
PARKED = outcomes.parked(Rejected("never", "detail"))
BY_RANK = [FAILED, PARKED, APPLIED, SUPERSEDED, IGNORED]


@pytest.mark.parametrize("ends", list(itertools.combinations_with_replacement(range(5), 3)))
def test_the_foremost_end_stands_in_any_order(ends):
    for order in itertools.permutations(ends):
        assert outcomes.combine(BY_RANK[i] for i in order) is BY_RANK[min(ends)]


def test_no_write_at_all_is_ignored():
    assert outcomes.combine([]) is IGNORED


def test_of_two_equal_ends_the_first_keeps_its_cause():
    other = outcomes.parked(Rejected("another cause"))
    assert outcomes.combine([PARKED, other]) is PARKED


def test_a_metric_of_any_write_is_kept_and_the_foremosts_own_comes_first():
    counted = APPLIED._replace(metric="Restored")
    for order in itertools.permutations([counted, FAILED, IGNORED]):
        assert outcomes.combine(order) == FAILED._replace(metric="Restored")
    assert outcomes.combine([IGNORED, counted]) == counted
    assert outcomes.combine([PARKED, APPLIED]) == PARKED


def test_an_end_carries_its_cause_and_its_detail_apart():
    assert Outcome(Status.PARKED, "never", "detail") == PARKED
    assert Outcome(Status.FAILED, "busy", "detail") == FAILED
