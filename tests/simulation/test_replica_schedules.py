"""Multi-active: whatever the applications of two and three regions do, and however the streams are delivered, all
regions end with what the rule says, and nothing loops. `SCHEDULES=n` plays so many, `SEED=n` that one alone."""

from tests.scheduler.runs import play
from tests.selection import parts
from tests.simulation.merging import Merging
from tests.simulation.mesh import Mesh
from tests.simulation.seeds import seeds


@parts(32)
def test_all_regions_end_with_what_the_rule_says_and_nothing_loops(part):
    play(Mesh, seeds(part)[::2])


@parts(32)
def test_where_items_are_merged_too(part):
    play(Merging, seeds(part)[::2])
