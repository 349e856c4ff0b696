"""An S3 client with one bucket, in memory."""

from datetime import UTC, datetime
from io import BytesIO
from itertools import count
from typing import Any

from botocore.exceptions import ReadTimeoutError

from tests.fakes.answers import refusal

THROTTLED = refusal("PutObject", "SlowDown", "reduce your request rate", 503)
BROKEN = refusal("PutObject", "InternalError", "oops", 500)
UNANSWERED = ReadTimeoutError(endpoint_url="https://s3")
KEY_BYTES = 1024


class S3:
    """`state` is the bucket's objects by key."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self.state: dict[str, bytes] = {}
        self.page_keys = 1000

    def put_object(
        self, *, Bucket: str, Key: str, Body: bytes, ContentType: str, ChecksumAlgorithm: str = "CRC32"
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html"""
        self._check(Bucket, "PutObject")
        if not 0 < len(Key.encode()) <= KEY_BYTES:
            raise refusal("PutObject", "KeyTooLongError", "Your key is too long")
        self.state[Key] = bytes(Body)
        return {}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""
        self._check(Bucket, "GetObject")
        if Key not in self.state:
            raise refusal("GetObject", "NoSuchKey", "The specified key does not exist.", 404)
        return {"Body": BytesIO(self.state[Key])}

    def list_objects_v2(self, *, Bucket: str, Prefix: str, ContinuationToken: str = "") -> dict[str, Any]:
        """At most `page_keys` keys; what was put later was modified later.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html"""
        self._check(Bucket, "ListObjectsV2")
        modified = {key: datetime.fromtimestamp(at, UTC) for at, key in enumerate(self.state)}
        keys = [key for key in sorted(self.state) if key.startswith(Prefix) and key > ContinuationToken]
        page = keys[: self.page_keys]
        more = {"NextContinuationToken": page[-1]} if len(keys) > len(page) else {}
        contents = [{"Key": key, "LastModified": modified[key]} for key in page]
        return {"Contents": contents, "IsTruncated": bool(more), **more}

    def delete_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        """Of an object that may be gone already.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html"""
        self._check(Bucket, "DeleteObject")
        self.state.pop(Key, None)
        return {}

    def get_paginator(self, operation: str) -> "S3":
        """Of the only operation that has pages here."""
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        """Those pages."""
        pages, token = [], ""
        while True:
            pages.append(self.list_objects_v2(Bucket=Bucket, Prefix=Prefix, ContinuationToken=token))
            token = pages[-1].get("NextContinuationToken", "")
            if not token:
                return pages

    def _check(self, bucket: str, operation: str) -> None:
        if bucket != self._bucket:
            raise refusal(operation, "NoSuchBucket", "The specified bucket does not exist", 404)


class Versioned(S3):
    """A bucket that keeps versions: `kept` has those of each object, the oldest first. `state` has the newest."""

    def __init__(self, bucket: str) -> None:
        super().__init__(bucket)
        self.kept: dict[str, dict[str, bytes]] = {}
        self._numbers = count(1)

    def put_object(self, *, Bucket: str, Key: str, **more: Any) -> dict[str, Any]:
        """See `S3`."""
        super().put_object(Bucket=Bucket, Key=Key, **more)
        version = f"v{next(self._numbers)}"
        self.kept.setdefault(Key, {})[version] = self.state[Key]
        return {"VersionId": version}

    def get_object(self, *, Bucket: str, Key: str, VersionId: str = "") -> dict[str, Any]:
        """See `S3`."""
        if not VersionId:
            return super().get_object(Bucket=Bucket, Key=Key)
        self._check(Bucket, "GetObject")
        if VersionId not in self.kept.get(Key, {}):
            raise refusal("GetObject", "NoSuchVersion", "The specified version does not exist.", 404)
        return {"Body": BytesIO(self.kept[Key][VersionId])}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html"""
        self._check(Bucket, "HeadObject")
        if Key not in self.state:
            raise refusal("HeadObject", "404", "Not Found", 404)
        return {"VersionId": list(self.kept[Key])[-1]}

    def delete_object(self, *, Bucket: str, Key: str, VersionId: str = "") -> dict[str, Any]:
        """Of a version that may be gone already.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html"""
        self._check(Bucket, "DeleteObject")
        versions = self.kept.get(Key, {})
        versions.pop(VersionId, None)
        self.state.pop(Key, None)
        if versions:
            self.state[Key] = list(versions.values())[-1]
        else:
            self.kept.pop(Key, None)
        return {}

    def list_object_versions(
        self, *, Bucket: str, Prefix: str, KeyMarker: str = "", VersionIdMarker: str = ""
    ) -> dict[str, Any]:
        """By key, and of each from the newest on; at most `page_keys` versions.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html"""
        self._check(Bucket, "ListObjectVersions")
        found = [
            {"Key": key, "VersionId": version, "IsLatest": at == 0, "LastModified": datetime.now(UTC)}
            for key in sorted(self.kept)
            for at, version in enumerate(reversed(self.kept[key]))
            if key.startswith(Prefix) and key >= KeyMarker
        ]
        if KeyMarker:
            behind = [at for at, each in enumerate(found) if each["Key"] == KeyMarker]
            marked = [at for at in behind if not VersionIdMarker or found[at]["VersionId"] == VersionIdMarker]
            found = found[marked[-1] + 1 :] if marked else found[len(behind) :]
        page = found[: self.page_keys]
        last = {"NextKeyMarker": page[-1]["Key"], "NextVersionIdMarker": page[-1]["VersionId"]} if page else {}
        more = len(found) > len(page)
        return {"Versions": page, "IsTruncated": more, **(last if more else {})}
