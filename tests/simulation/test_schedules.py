"""Whatever order, repetition, crash or conflict: the views hold what the table determines. Replay one schedule with
`SEED=n`, run more with `SCHEDULES=n`."""

from tests.scheduler.branches import scheduled
from tests.scheduler.runs import play
from tests.selection import parts
from tests.simulation.seeds import seeds


@parts(16)
def test_the_views_equal_a_plain_recomputation_after_every_schedule(part):
    play(scheduled, seeds(part))
