"""Which schedules are played: `SCHEDULES=n` so many, `SEED=n` that one alone."""

from tests.scheduler import runs

SCHEDULES = 2000


def seeds(at: int, of: int) -> range:
    """The at-th of so many parts."""
    return runs.seeds(SCHEDULES)[at::of]
