"""The table `s3_objects` and its writer: an item for each object of a bucket, kept by S3's event notifications."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

TABLE: Mapping[str, Any] = {
    "TableName": "s3_objects",
    "KeySchema": [{"AttributeName": "bucket", "KeyType": "HASH"}, {"AttributeName": "key", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("bucket", "key")],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}
PRESENT, DELETED = "present", "deleted"
DELETED_SECONDS = 30 * 86_400
"""How long the item of a deleted object stays: longer than any notification takes to be worked off."""

ATTEMPTS = 20

Item = dict[str, Any]


class IndexBusy(Exception):
    """An object's item could not be written: others write it all the time."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Keys of which the bucket and the table differ. `unindexed`: objects without an item. `orphaned`: items without an
    object. `stale`: items of an earlier version of the object."""

    unindexed: list[str]
    orphaned: list[str]
    stale: list[str]

    def all(self) -> list[str]:
        """Each of them."""
        return [*self.unindexed, *self.orphaned, *self.stale]


def objects_of(notification: str) -> Iterator[tuple[str, str]]:
    """Bucket and key of each object that a notification is about; none for S3's test event. Keys come URL-encoded.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html"""
    for record in json.loads(notification).get("Records", ()):
        yield record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"])


class ObjectIndex:
    """Keeps the items. Any number of workers may use the table at once, and notifications may come in any order, late
    and more than once: each only says at which object to look."""

    def __init__(
        self, s3: Any, dynamodb: Any, now: Callable[[], float] = time.time, table: str = TABLE["TableName"]
    ) -> None:
        self._s3, self._dynamodb, self._now, self._table = s3, dynamodb, now, table

    def work(self, sqs: Any, queue: str) -> int:
        """Takes up to ten notifications of a queue; how many there were. What fails stays in the queue."""
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in received:
            for bucket, key in objects_of(message["Body"]):
                self.look(bucket, key)
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return len(received)

    def look(self, bucket: str, key: str) -> None:
        """Writes the object as it is now. First the item is read, then the object, and the item is written on condition
        that no other worker has written it since. So a later write knows a later state of the object. The item of a
        deleted object stays for a while: without it, a worker that saw the object before could write it anew."""
        place = {"bucket": {"S": bucket}, "key": {"S": key}}
        for _ in range(ATTEMPTS):
            seen = self._dynamodb.get_item(TableName=self._table, Key=place, ConsistentRead=True).get("Item", {})
            revision = int(seen["revision"]["N"]) if seen else 0
            item = {**place, **self._found(bucket, key), "revision": {"N": str(revision + 1)}}
            if self._put(item, revision):
                return
        raise IndexBusy(f"the item of s3://{bucket}/{key} is written by others all the time: try again")

    def audit(self, bucket: str) -> Audit:
        """Compares the bucket with the table. What changes meanwhile may be named: look at it again."""
        objects, items = self._objects(bucket), self._items(bucket)
        both = objects.keys() & items.keys()
        return Audit(
            sorted(objects.keys() - both),
            sorted(items.keys() - both),
            sorted(key for key in both if objects[key] != items[key]),
        )

    def _found(self, bucket: str, key: str) -> Item:
        try:
            head = self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchKey", "NotFound"):
                raise
            return {"state": {"S": DELETED}, "expires_at": {"N": str(int(self._now()) + DELETED_SECONDS)}}
        return {
            "state": {"S": PRESENT},
            "size": {"N": str(head["ContentLength"])},
            "etag": {"S": head["ETag"].strip('"')},
            "content_type": {"S": head["ContentType"]},
            "storage_class": {"S": head.get("StorageClass", "STANDARD")},
            "last_modified": {"S": head["LastModified"].isoformat()},
            **{f"meta_{name}": {"S": value} for name, value in head["Metadata"].items()},
        }

    def _put(self, item: Item, revision: int) -> bool:
        condition = {
            "ConditionExpression": "revision = :seen",
            "ExpressionAttributeValues": {":seen": {"N": str(revision)}},
        }
        new = {"ConditionExpression": "attribute_not_exists(revision)"}
        try:
            self._dynamodb.put_item(TableName=self._table, Item=item, **(condition if revision else new))
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _objects(self, bucket: str) -> dict[str, str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {each["Key"]: each["ETag"].strip('"') for page in pages for each in page.get("Contents", ())}

    def _items(self, bucket: str) -> dict[str, str]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="#bucket = :bucket",
            FilterExpression="#state = :present",
            ExpressionAttributeNames={"#bucket": "bucket", "#state": "state"},
            ExpressionAttributeValues={":bucket": {"S": bucket}, ":present": {"S": PRESENT}},
        )
        return {item["key"]["S"]: item["etag"]["S"] for page in pages for item in page["Items"]}
