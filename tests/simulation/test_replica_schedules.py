"""Multi-active: whatever the applications of two and three regions do, and however the streams are delivered, all
regions end with what the rule says, and nothing loops. `SCHEDULES=n` plays so many, `SEED=n` that one alone."""

import pytest

from tests.scheduler.runs import play
from tests.simulation.merging import Merging
from tests.simulation.mesh import Mesh
from tests.simulation.seeds import seeds


def test_all_regions_end_with_what_the_rule_says_and_nothing_loops():
    play(Mesh, seeds(0, 2))


@pytest.mark.parametrize("part", range(2))
def test_where_items_are_merged_too(part):
    play(Merging, seeds(part, 4))
