"""Prints each declared view, the primitive it stands on, and its write units; see `make views`."""

import sys

from distributary.derive import check
from distributary.derive.validation import table
from distributary.errors import ConfigError
from views import VIEWS


def main() -> int:
    """0, or 1 with a line for each fault of the declarations."""
    try:
        print(table(check(VIEWS)))
    except ConfigError as error:
        print(*error.faults, sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
