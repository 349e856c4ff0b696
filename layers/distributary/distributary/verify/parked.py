"""Items that have a parked change: a verification names them as parked, neither as different nor as equal."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from distributary.consumer.aws import AwsError, code_of
from distributary.consumer.parking import PREFIX, UNREAD, read
from distributary.errors import ConfigError, Rejected
from distributary.readers.archive import MALFORMED
from distributary.readers.lines import fault_of
from distributary.stream.codec import Typed
from distributary.stream.keys import item_digest, table_of


class ParkedObject(NamedTuple):
    """The newest object of an item in the parking bucket."""

    name: str
    cause: str


@dataclass(frozen=True, slots=True)
class ParkedItems:
    """What one function has parked of one source table. Without a bucket nothing is known to be parked but what a
    comparison itself finds that the function would refuse."""

    s3: Any = None
    bucket: str = ""
    table: str = ""
    objects: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, s3: Any, bucket: str, branch: str, table: str) -> "ParkedItems":
        """Lists the bucket; objects whose names tell no item are read. `table` is a name or an ARN. Raises ConfigError
        if the bucket cannot be read."""
        newest: dict[str, tuple[Any, str]] = {}
        name = table.rpartition("/")[2]
        try:
            for digest, modified, key in _listed(s3, bucket, branch, name):
                newest[digest] = max(newest.get(digest, (modified, key)), (modified, key))
        except AwsError as error:
            raise ConfigError(_refused(bucket, error)) from None
        return cls(s3, bucket, name, {digest: key for digest, (_, key) in newest.items()})

    def find(self, keys: Mapping[str, Typed]) -> ParkedObject | None:
        """Of an item, if a change of it is parked. Raises ConfigError as `of` does."""
        name = self.objects.get(item_digest(self.table, keys)) if self.objects else None
        if name is None:
            return None
        try:
            content = self.s3.get_object(Bucket=self.bucket, Key=name)["Body"].read()
        except AwsError as error:
            if code_of(error) == _GONE:
                return None
            raise ConfigError(_refused(self.bucket, error)) from None
        try:
            cause = str(read(content).get("cause", ""))
        except MALFORMED as error:
            cause = f"the object is no parked change: {fault_of(error)}"
        return ParkedObject(f"s3://{self.bucket}/{name}", cause)


NOTHING_LISTED = ParkedItems()
_GONE = "NoSuchKey"
"""Of an object that a redrive or its lifecycle removed after it was listed."""


def _listed(s3: Any, bucket: str, branch: str, table: str) -> Iterator[tuple[str, Any, str]]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{PREFIX}/{branch}/"):
        for each in page.get("Contents", []):
            _, _, folder, *rest = each["Key"].split("/")
            digest = folder if rest and folder != UNREAD else _digest(s3, bucket, each["Key"], table)
            if digest:
                yield digest, each["LastModified"], each["Key"]


def _digest(s3: Any, bucket: str, key: str, table: str) -> str:
    """Of the item that a parked record names; empty if it names none of this table, or is gone."""
    try:
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except AwsError as error:
        if code_of(error) == _GONE:
            return ""
        raise
    try:
        record = read(content)["record"]
        named = table_of(record.get("eventSourceARN", "")) in ("", table)
        return item_digest(table, record["dynamodb"]["Keys"]) if named else ""
    except (Rejected, LookupError, *MALFORMED):
        return ""


def _refused(bucket: str, error: Exception) -> str:
    return f"--parking {bucket}: {code_of(error)}; correct its name, or allow s3:ListBucket and s3:GetObject on it"
