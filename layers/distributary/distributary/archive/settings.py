"""The archive function's settings."""

from dataclasses import dataclass

from distributary.consumer.settings import StreamSettings, bucket_name, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings(StreamSettings):
    """`archive_bucket` also decides about encryption, storage classes and locks: the function only puts objects."""

    archive_bucket: str = setting("ARCHIVE_BUCKET", bucket_name)
