"""Each branch, with everybody at work on it: a few schedules each time, as many as one likes with `SCHEDULES=n`."""

import pytest

from tests.scheduler.branches import BRANCHES
from tests.scheduler.runs import play, seeds
from tests.selection import cut, parts

SAMPLE = {
    "archive": 150,
    "index": 150,
    "index-repaired": 100,
    "mirror": 100,
    "mirror-repaired": 80,
    "welcome": 100,
    "derive": 60,
    "derive-joined": 60,
    "reindex": 60,
    "derive-kinesis": 40,
    "derive-joined-kinesis": 20,
    "index-kinesis": 60,
    "mirror-kinesis": 60,
}


@parts(3)
@pytest.mark.parametrize("branch", SAMPLE)
def test_whatever_happens_a_branch_ends_where_its_source_is(branch, part):
    play(BRANCHES[branch], cut(seeds(SAMPLE[branch]), part))
