"""`python -m tests.simulation 100000`: so many schedules on all cores, up to the first that fails."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.pool import Pool

from distributary.verify.progress import progress
from tests.simulation.seeds import failures

CHUNK = 50
REPLAY = "SEED={seed} .venv/bin/python -m pytest tests/simulation/test_schedules.py"


def soak(pool: Pool, seeds: range) -> Iterator[tuple[int, list[tuple[int, str]]]]:
    """`failures` of each chunk, as they come."""
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    return pool.imap_unordered(failures, chunks)


def on_all_cores() -> Pool:
    """A process per core."""
    return get_context("spawn").Pool(os.cpu_count())


def main(arguments: Sequence[str], workers: Callable[[], Pool] = on_all_cores) -> int:
    """0 if all went well, 1 after the first failure, with the command that plays it again."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("schedules", type=int, nargs="?", default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    asked = parser.parse_args(arguments)
    with workers() as pool, progress({"schedules": asked.schedules}) as told:
        for played, failed in soak(pool, range(asked.first, asked.first + asked.schedules)):
            told("schedules", played)
            for seed, error in failed:
                print(f"{error}\n\nseed {seed} fails; replay: {REPLAY.format(seed=seed)}", file=sys.stderr)
                return 1
    print(f"{asked.schedules} schedules from seed {asked.first} on: every view right after each")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
