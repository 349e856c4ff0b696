"""What can go wrong, divided by what the caller does next."""

from collections.abc import Sequence


class DistributaryError(Exception):
    """The base class of all errors of this package.

    `str(error)` is safe to log: it names attributes, views and settings, never an item's values.
    `detail` may quote an item and goes only where the item itself goes: into the parked object.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class Rejected(DistributaryError):
    """The change can never succeed as it is. The function parks it."""


class Unavailable(DistributaryError):
    """The change may succeed later. The function reports it as failed, and Lambda delivers it again."""


class ForeignStream(Unavailable):
    """This change's stream is none that the sink is kept from: fail it, and let an operator say which stream is."""


class ConfigError(DistributaryError):
    """The settings or declarations are wrong. The error names every fault at once."""

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("; ".join(self.faults))
