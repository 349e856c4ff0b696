"""`python -m distributary.verify derived|index|replica ...`: 0 all equal, 1 differences, 2 not completed."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from distributary.errors import ConfigError, DistributaryError

COMMANDS = {
    "derived": "derived tables against the table that they are made from",
    "index": "an OpenSearch index against the table that it is made from",
    "replica": "a mirror against its source",
}

SLICES = {"derived": "derive", "index": "index", "replica": "replicate"}


class _Parser(argparse.ArgumentParser):
    """Wrong usage is one line."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with status 2."""
        self.exit(2, f"verify: {message}; see --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen = _Parser("distributary.verify", description=__doc__)
    chosen.add_argument("what", choices=COMMANDS, help="; ".join(f"{name}: {help}" for name, help in COMMANDS.items()))
    what = chosen.parse_args(given[:1]).what
    command = import_module(f"distributary.{SLICES[what]}.verify.command")
    parser = _Parser(f"distributary.verify {what}", description=command.__doc__)
    command.add_arguments(parser)
    options = parser.parse_args(given[1:])
    try:
        return int(command.run(options))
    except ConfigError as error:
        print(f"verify: {error}", file=sys.stderr)
    except DistributaryError as error:
        print(f"verify: stopped: {error}; run it again", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
