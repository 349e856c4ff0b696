"""Makes the declared index and its aliases: run once per generation, before the function is attached."""

import argparse
import sys

from opensearchpy.exceptions import TransportError

from distributary.errors import ConfigError
from distributary.indexes import check
from distributary.search.connect import connect
from distributary.search.schema import apply
from indexes import INDEX


def main() -> int:
    """0 if the index stands as declared, 1 with one line that says why not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoint", help="such as https://search.example.com")
    parser.add_argument("--service", choices=("es", "aoss", "none"), default="es", help="what to sign requests for")
    parser.add_argument("--generation", type=int, default=0)
    options = parser.parse_args()
    try:
        check(INDEX)
        print(apply(connect(options.endpoint, options.service), INDEX, options.generation))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except TransportError as error:
        print(f"OpenSearch at {options.endpoint}: {error.status_code} {error.error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
