"""`python -m tests.scheduler 100000 --branch mirror`: so many schedules on all cores, up to the first that fails."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import Pool

from distributary.verify.progress import progress
from tests.scheduler.branches import BRANCHES, failures

CHUNK = 50


def soak(pool: Pool, branch: str, seeds: range) -> Iterator[tuple[int, list[str]]]:
    """`failures` of each chunk, as they come."""
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    return pool.imap_unordered(partial(failures, branch), chunks)


def on_all_cores() -> Pool:
    """A process per core."""
    return get_context("spawn").Pool(os.cpu_count())


def main(arguments: Sequence[str], workers: Callable[[], Pool] = on_all_cores) -> int:
    """Exit status: 0 if all went well, 1 after the first failure, with its calls and the seed that plays it again."""
    parser = argparse.ArgumentParser(prog="python -m tests.scheduler", description=__doc__)
    parser.add_argument("schedules", type=int, nargs="?", default=100_000)
    parser.add_argument("--branch", choices=sorted(BRANCHES), default="derive-shuffled")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    asked = parser.parse_args(arguments)
    seeds = range(asked.first, asked.first + asked.schedules)
    with workers() as pool, progress({"schedules": asked.schedules}) as told:
        for played, failed in soak(pool, asked.branch, seeds):
            told("schedules", played)
            for error in failed:
                print(error, file=sys.stderr)
                return 1
    print(f"{asked.schedules} schedules of {asked.branch} from seed {asked.first} on: right after each")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
