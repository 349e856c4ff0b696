"""Archives in memory, made by the branch itself."""

from collections.abc import Iterable, Sequence

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.readers.archive import Archive
from distributary.readers.place import Bucket
from distributary.stream.change import Change
from tests.fakes import built
from tests.fakes.s3 import S3

AMPLE = Deadline(float("inf"))


def bucket(batches: Iterable[Sequence[Change]]) -> S3:
    """What the branch leaves of these invocations."""
    s3 = S3("archive")
    branch = built.archive(s3)
    for batch in batches:
        assert {end.status for end in branch.apply(batch, AMPLE)} <= {Status.APPLIED}
    return s3


def archived(batches: Iterable[Sequence[Change]], table: str = "users") -> Archive:
    """The same, to be read."""
    return Archive(Bucket(bucket(batches), "archive", ""), table)
