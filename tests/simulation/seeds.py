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


def failures(seeds: range) -> tuple[int, list[tuple[int, str]]]:
    """How many schedules were played, and the first that failed, if one did. Soak's processes find it here: a
    package's `__main__` is not imported by them."""
    for played, seed in enumerate(seeds, 1):
        try:
            Schedule(seed).run()
        except Exception as error:  # noqa: BLE001
            return played, [(seed, f"{type(error).__name__}: {error}")]
    return len(seeds), []
