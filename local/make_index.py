"""Makes the declared indexes with what a built function holds."""

import sys

from distributary.errors import DistributaryError
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.target import make
from indexes import INDEXES


def main(endpoint: str, service: str, generation: str) -> int:
    """0 with a line for each index, 1 with the cause as the last line."""
    try:
        for line in make(connect(endpoint, service), INDEXES, int(generation)):
            print(line)
    except DistributaryError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
