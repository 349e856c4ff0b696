"""An incremental export, written: data files first, and its summary last, so that no half export is taken for one."""

import base64
import gzip
import hashlib
import json
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from distributary.consumer.aws import AwsError, code_of
from distributary.errors import ConfigError, Unavailable
from distributary.readers.manifest import CHECKSUMS, FILES, FORMAT, INCREMENTAL, SUMMARY
from distributary.readers.place import S3

_LEVEL = 6
_WRONG = ("NoSuchBucket", "AccessDenied", "PermanentRedirect")
"""What S3 answers that another try does not change."""


class Sink(Protocol):
    """Where an export is written."""

    @property
    def bucket(self) -> str:
        """What the manifests say of the place."""

    @property
    def prefix(self) -> str:
        """The same: what every key begins with."""

    def put(self, name: str, content: bytes | Path) -> str:
        """Writes a file, or moves it there; returns its ETag."""


def sink(address: str, s3: Any) -> Sink:
    """A folder, or `s3://bucket/prefix`, for which `s3()` makes a client."""
    if address.startswith(S3):
        bucket, _, prefix = address.removeprefix(S3).partition("/")
        return _Objects(bucket, prefix.strip("/"), s3())
    return _Files("local", Path(address).name, Path(address))


@dataclass(frozen=True, slots=True)
class _Files:
    bucket: str
    prefix: str
    root: Path

    def put(self, name: str, content: bytes | Path) -> str:
        """See `Sink`."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            shutil.move(content, path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()


@dataclass(frozen=True, slots=True)
class _Objects:
    bucket: str
    prefix: str
    client: Any

    def put(self, name: str, content: bytes | Path) -> str:
        """See `Sink`."""
        key = f"{self.prefix}/{name}" if self.prefix else name
        try:
            if isinstance(content, bytes):
                return self._put(key, content)
            with content.open("rb") as file:
                return self._put(key, file)
        except AwsError as error:
            if code_of(error) in _WRONG:
                raise ConfigError(
                    f"--output {S3}{self.bucket}: {code_of(error)}; correct its name, or allow s3:PutObject on it"
                ) from None
            raise Unavailable(f"{S3}{self.bucket}/{key}: {code_of(error)}", str(error)) from error

    def _put(self, key: str, body: Any) -> str:
        answer = self.client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType="application/octet-stream")
        return str(answer.get("ETag", "")).strip('"')


@dataclass(slots=True)
class ExportWriter:
    """One export. `started` is in seconds since the epoch; the id has the form of DynamoDB's."""

    sink: Sink
    temporary: Path
    started: float
    id: str = ""
    items: int = 0
    _entries: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.id = f"{int(self.started * 1000):014d}-{secrets.token_hex(4)}"
        self.sink.put(f"AWSDynamoDB/{self.id}/_started", b"")

    def data(self, lines: Iterable[bytes]) -> None:
        """A data file with these lines."""
        path, count = self.temporary / "data.json.gz", 0
        with gzip.open(path, "wb", _LEVEL) as file:
            for line in lines:
                file.write(line + b"\n")
                count += 1
        with path.open("rb") as written:
            md5 = hashlib.file_digest(written, "md5").digest()
        name = f"AWSDynamoDB/data/{self.id.partition('-')[2]}{secrets.token_hex(9)}.json.gz"
        etag = self.sink.put(name, path)
        path.unlink(missing_ok=True)
        key = f"{self.sink.prefix}/{name}" if self.sink.prefix else name
        self._entries.append(
            {"itemCount": count, "md5Checksum": base64.b64encode(md5).decode(), "etag": etag, "dataFileS3Key": key}
        )
        self.items += count

    def finish(self, summary: Mapping[str, Any]) -> str:
        """The manifests; `summary` has what the export is of. Returns the folder of the manifests."""
        if not self._entries:
            self.data([])
        folder = f"AWSDynamoDB/{self.id}"
        files = "".join(json.dumps(each) + "\n" for each in self._entries)
        self._manifest(folder, FILES, files.encode())
        prefix = f"{self.sink.prefix}/" if self.sink.prefix else ""
        body = {
            "version": "2023-08-01",
            **summary,
            "exportArn": f"{summary['tableArn']}/export/{self.id}",
            "tableId": None,
            "s3Bucket": self.sink.bucket,
            "s3Prefix": self.sink.prefix or None,
            "s3SseAlgorithm": "AES256",
            "s3SseKmsKeyId": None,
            "manifestFilesS3Key": f"{prefix}{folder}/{FILES}.json",
            "billedSizeBytes": 0,
            "itemCount": self.items,
            "outputFormat": FORMAT,
            "exportType": INCREMENTAL,
        }
        self._manifest(folder, SUMMARY, json.dumps(body).encode())
        return folder

    def _manifest(self, folder: str, name: str, content: bytes) -> None:
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        for ending in CHECKSUMS:
            self.sink.put(f"{folder}/{name}.{ending}", base64.b64encode(digest))
        self.sink.put(f"{folder}/{name}.json", content)


def check_sink(address: str) -> None:
    """Raises ConfigError for what no export can be written to."""
    if not address.startswith(S3) and Path(address).exists() and not Path(address).is_dir():
        raise ConfigError(f"--output {address}: this is a file; give a folder, or s3://bucket/prefix")
