"""Files below a folder of this machine, or objects below `s3://bucket/prefix`, read in one way."""

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from distributary.consumer.aws import AwsError, code_of, how_to_reach
from distributary.errors import ConfigError, Unavailable

S3 = "s3://"
_MISSING = {"NoSuchKey", "404", "NotFound"}


class Place(Protocol):
    """Where files are. A file's name is its path below the place, with `/`; it may begin with `../`."""

    def names(self, below: str = "") -> Iterator[str]:
        """All files whose names begin with `below`, sorted. Raises ConfigError if the place cannot be listed."""

    def open(self, name: str) -> IO[bytes]:
        """A file's content. Raises ConfigError that names a missing file, Unavailable where S3 does not answer."""

    def shown(self, name: str) -> str:
        """The file as an error names it."""


def place(address: str, s3: Callable[[], Any]) -> Place:
    """A folder, or `s3://bucket/prefix`, for which a client is made. Raises ConfigError if there is no such folder."""
    if address.startswith(S3):
        bucket, _, prefix = address.removeprefix(S3).partition("/")
        return Bucket(s3(), bucket, prefix if not prefix or prefix.endswith("/") else f"{prefix}/")
    if not Path(address).is_dir():
        raise ConfigError(f"{address}: there is no such folder; write a bucket as {S3}BUCKET")
    return Folder(Path(address))


@dataclass(frozen=True, slots=True)
class Folder:
    """See `Place`."""

    root: Path

    def names(self, below: str = "") -> Iterator[str]:
        """See `Place`."""
        start = self.root / posixpath.dirname(below)
        found = (path.relative_to(self.root).as_posix() for path in start.rglob("*") if path.is_file())
        yield from sorted(name for name in found if name.startswith(below))

    def open(self, name: str) -> IO[bytes]:
        """See `Place`."""
        try:
            return (self.root / name).open("rb")
        except OSError as error:
            raise ConfigError(f"{self.shown(name)}: {error.strerror}") from None

    def shown(self, name: str) -> str:
        """See `Place`."""
        return posixpath.normpath(f"{self.root.as_posix()}/{name}")


@dataclass(frozen=True, slots=True)
class Bucket:
    """See `Place`. `prefix` is empty or ends with `/`."""

    s3: Any
    bucket: str
    prefix: str

    def names(self, below: str = "") -> Iterator[str]:
        """See `Place`."""
        more: dict[str, str] = {}
        while True:
            try:
                page = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix + below, **more)
            except AwsError as error:
                how = how_to_reach(error) or f"{code_of(error)}; correct the address or the permissions"
                raise ConfigError(f"{self.shown(below)}: {how}") from None
            yield from (each["Key"].removeprefix(self.prefix) for each in page.get("Contents", []))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def open(self, name: str) -> IO[bytes]:
        """See `Place`."""
        try:
            body: IO[bytes] = self.s3.get_object(Bucket=self.bucket, Key=posixpath.normpath(self.prefix + name))["Body"]
            return body
        except AwsError as error:
            if code_of(error) in _MISSING:
                raise ConfigError(f"{self.shown(name)}: there is no such object") from None
            raise Unavailable(f"{self.shown(name)}: {code_of(error)}", str(error)) from error

    def shown(self, name: str) -> str:
        """See `Place`."""
        return f"{S3}{self.bucket}/" + posixpath.normpath(self.prefix + name)
