"""Whatever order, repetition, crash or conflict: the views hold what the table determines. The other half of the
schedules, in a file of its own, since one process runs one file."""

from tests.simulation.seeds import play, seeds


def test_the_views_equal_a_plain_recomputation_after_every_odd_schedule():
    for seed in seeds(1, 2):
        play(seed)
