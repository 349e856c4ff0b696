"""The archive branch, put together: by the function, the tests, and the benchmarks."""

from distributary.archive.branch import ArchiveBranch
from distributary.archive.settings import ArchiveSettings
from distributary.consumer.aws import Clients

_READ_SECONDS = 10.0
"""An object has at most a few megabytes."""


def build(settings: ArchiveSettings, clients: Clients) -> ArchiveBranch:
    """A branch that keeps every change in the settings' bucket."""
    return ArchiveBranch(clients("s3", read_seconds=_READ_SECONDS), settings.archive_bucket)
