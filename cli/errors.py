"""What ends a command with one line for each fault instead of a traceback."""

from collections.abc import Sequence


class DeclarationFaults(Exception):
    """Declarations of the project are wrong; one line for each fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = list(faults)


class UsageFault(Exception):
    """The command was called with something that it cannot use."""
