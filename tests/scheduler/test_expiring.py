"""Groups that expire while invocations, repairs and TTL are at work on them; each guard is needed."""

from functools import partial
from unittest import mock

import pytest

from tests.scheduler.branches import BRANCHES, streamed
from tests.scheduler.effects import SAFE
from tests.scheduler.expiring import ExpiringWorld
from tests.scheduler.runs import play, seeds
from tests.selection import cut, parts


@parts(2)
@pytest.mark.parametrize("branch", ["derive-expiring", "derive-expiring-repaired"])
def test_open_groups_are_exact_and_what_ttl_took_is_not_made_again(branch, part):
    play(BRANCHES[branch], cut(seeds(60), part))


def test_without_closing_a_part_of_a_group_is_made():
    with mock.patch("distributary.derive.expiry.MARGIN", -(10**9)), pytest.raises(AssertionError):
        play(BRANCHES["derive-expiring"], range(300))


def test_a_group_that_lasts_takes_changes_to_the_end():
    """The world sees a group that is closed too early."""
    with mock.patch("distributary.derive.expiry.MARGIN", 12 * 3600), pytest.raises(AssertionError):
        play(partial(streamed, ExpiringWorld, SAFE), range(50))
