"""Makes the declared indexes and their aliases: run once per generation before the function is attached, and after a
change of indexes.py."""

import argparse
import sys

from opensearchpy.exceptions import TransportError

from distributary.errors import DistributaryError
from distributary.index import check
from distributary.index.declarations import of_generation
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.schema import apply
from distributary.index.opensearch.target import template
from distributary.index.validation import whole
from indexes import INDEXES


def main() -> int:
    """0 if the index stands as declared, 1 with one line that says why not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoint", help="such as https://search.example.com")
    parser.add_argument("--service", choices=("es", "aoss", "basic", "none"), default="es", help="what requests carry")
    parser.add_argument("--secret", default="none", help="ARN of the secret with name and password, for basic")
    parser.add_argument("--generation", type=int, default=0)
    options = parser.parse_args()
    try:
        check(INDEXES)
        client = connect(options.endpoint, options.service, options.secret)
        for index in whole(of_generation(INDEXES, options.generation)):
            print(apply(client, index, options.generation, template(index)))
    except DistributaryError as error:
        print(error, file=sys.stderr)
        return 1
    except TransportError as error:
        print(f"OpenSearch at {options.endpoint}: {error.status_code} {error.error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
