"""Which schedules are played: `SCHEDULES=n` so many, `SEED=n` that one alone."""

import os
import traceback

from tests.simulation.schedules import Schedule

SCHEDULES = int(os.environ.get("SCHEDULES", "2000"))


def seeds(at: int, of: int) -> range:
    """The at-th of so many parts."""
    one = os.environ.get("SEED")
    return (range(int(one), int(one) + 1) if one else range(SCHEDULES))[at::of]


def play(seed: int) -> None:
    """Raises an AssertionError that says how to play the schedule again."""
    try:
        Schedule(seed).run()
    except Exception as error:
        traceback.print_exc()
        raise AssertionError(f"replay with SEED={seed}: {error}") from error
