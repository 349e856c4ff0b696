"""Which schedules are played: `SCHEDULES=n` so many, `SEED=n` that one alone."""

from tests.scheduler import runs

SCHEDULES = 2000


def seeds(part: tuple[int, int]) -> range:
    """Those of one part (see `selection.parts`)."""
    at, many = part
    return runs.seeds(SCHEDULES)[at::many]
