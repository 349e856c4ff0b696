"""Whatever order, repetition, crash or conflict: the views hold what the table determines. Replay one schedule with
`SEED=n`, run more with `SCHEDULES=n`."""

from tests.scheduler.branches import scheduled
from tests.scheduler.runs import play
from tests.simulation.seeds import seeds


def test_the_views_equal_a_plain_recomputation_after_every_even_schedule():
    play(scheduled, seeds(0, 2))
