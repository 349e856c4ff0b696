"""Whatever order, repetition, crash or conflict: the views hold what the table determines. Replay one schedule with
`SEED=n`, run more with `SCHEDULES=n`."""

import os
import traceback

from tests.simulation.schedules import Schedule

SCHEDULES = int(os.environ.get("SCHEDULES", "2000"))
FIRST = int(os.environ.get("SEED", "0"))


def test_the_views_equal_a_plain_recomputation_after_every_schedule():
    many = 1 if "SEED" in os.environ else SCHEDULES
    for seed in range(FIRST, FIRST + many):
        try:
            Schedule(seed).run()
        except Exception as error:
            traceback.print_exc()
            raise AssertionError(f"replay with SEED={seed}: {error}") from error
