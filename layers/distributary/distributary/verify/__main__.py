"""`python -m distributary.verify BRANCH ...`: 0 if equal, 1 if something differs, 2 if it cannot be told."""

import argparse
import sys
from collections.abc import Sequence

from distributary.verify.replica import command as replica

COMMANDS = {"replica": replica}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser("distributary.verify", description=__doc__)
    branches = parser.add_subparsers(required=True, metavar="BRANCH")
    for name, command in COMMANDS.items():
        branch = branches.add_parser(name, help=command.__doc__, description=command.__doc__)
        command.add_arguments(branch)
        branch.set_defaults(run=command.run)
    options = parser.parse_args(arguments)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
