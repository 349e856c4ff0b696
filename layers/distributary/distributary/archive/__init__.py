"""Every change of a table, kept in S3; and the commands that read it back."""

from distributary.archive.branch import ArchiveBranch
from distributary.archive.factory import build
from distributary.archive.settings import ArchiveSettings

__all__ = ["ArchiveBranch", "ArchiveSettings", "build"]
