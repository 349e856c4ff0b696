"""Whatever order, repetition, crash or conflict: the views hold what the table determines. The other half of the
schedules, in a file of its own, since one process runs one file."""

from tests.scheduler.branches import scheduled
from tests.scheduler.runs import play
from tests.simulation.seeds import seeds


def test_the_views_equal_a_plain_recomputation_after_every_odd_schedule():
    play(scheduled, seeds(1, 2))
