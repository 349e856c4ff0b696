"""What can go wrong, divided by what the caller does next."""

from collections.abc import Sequence


class DistributaryError(Exception):
    """Root of this package's errors.

    `str(error)` is safe to log: it names attributes, views and settings, never an item's values.
    `detail` may quote an item and goes only where the item itself goes: into the parked object.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class Rejected(DistributaryError):
    """This change will never succeed as it is: park it."""


class Unavailable(DistributaryError):
    """This change may succeed later: fail it, so that Lambda delivers it again."""


class ForeignStream(Unavailable):
    """This change's stream is none that the sink is kept from: fail it, and let an operator say which stream is."""


class ConfigError(DistributaryError):
    """The deployment is wrong: stop, naming every fault at once."""

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("; ".join(self.faults))
