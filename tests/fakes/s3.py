"""An S3 client with one bucket, in memory."""

from io import BytesIO
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
        modified = {key: at for at, key in enumerate(self.state)}
        keys = [key for key in sorted(self.state) if key.startswith(Prefix) and key > ContinuationToken]
        page = keys[: self.page_keys]
        more = {"NextContinuationToken": page[-1]} if len(keys) > len(page) else {}
        contents = [{"Key": key, "LastModified": modified[key]} for key in page]
        return {"Contents": contents, "IsTruncated": bool(more), **more}

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
