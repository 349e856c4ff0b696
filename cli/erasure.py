"""What a stack keeps of one item beside its tables: found by the item's key, and removed."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from distributary.consumer import parking
from distributary.errors import Rejected
from distributary.readers import given_up
from distributary.readers.parked import BRANCHES, RECONCILED, Parked, Place
from distributary.replicate.multi_active import conflicts
from distributary.stream.codec import Typed
from distributary.stream.keys import escape, identity, item_digest, table_of
from distributary.stream.kinesis import plain
from distributary.trunk.deferred import Store, entry_again

_OPEN = "attribute_exists(id) AND (#state <> :sending OR #lease < :now)"
"""A claim under which no invocation sends right now."""


class Found(NamedTuple):
    """Something of the item. `remove` says whether it is gone."""

    place: str
    remove: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Item:
    """A key of a source table, in DynamoDB JSON."""

    table: str
    keys: Mapping[str, Typed]

    @property
    def digest(self) -> str:
        """What the names of its objects hold."""
        return item_digest(self.table, self.keys)

    def is_of(self, record: Any) -> bool:
        """Whether a stream record is about it; one that names no table is told by its key."""
        try:
            record = plain(record)
            table, keys = table_of(record.get("eventSourceARN", "")), record["dynamodb"]["Keys"]
            return table in ("", self.table) and identity(keys) == identity(self.keys)
        except (AttributeError, LookupError, TypeError, ValueError, Rejected):
            return False

    def is_changed_by(self, change: Parked) -> bool:
        """Whether a deferred change is of it."""
        return change.table == self.table and change.item == identity(self.keys)

    def has_claim(self, id: str) -> bool:
        """Whether a claim's id is of it. Claims of release 0.1 name no table: `rule|key` or `rule|key|position`."""
        _, *parts = id.split("|")
        key = identity(self.keys)
        return parts[:1] == [key] or parts[:2] == [escape(self.table), key]


@dataclass(frozen=True, slots=True)
class DeferredBucket:
    """What the trunk deferred. A branch that is an item's state has to take its change, or it would keep what it has of
    the item; the change goes then. Others never get theirs."""

    store: Store

    def find(self, item: Item) -> Iterator[Found]:
        """A `Found` for each object that holds a change of the item."""
        for branch in BRANCHES:
            for place in self.store.places(branch):
                changes = self.store.read(branch, place)
                if any(map(item.is_changed_by, changes)):
                    yield self._found(branch, place, changes, item)

    def _found(self, branch: str, place: Place, changes: Sequence[Parked], item: Item) -> Found:
        where = f"s3://{self.store.bucket}/{place.name}"
        if branch in RECONCILED:
            return Found(f"{where}: {branch} has yet to take it", lambda: False)
        rest = [change for change in changes if not item.is_changed_by(change)]

        def remove() -> bool:
            if rest:
                self.store.put(branch, [entry_again(branch, change) for change in rest])
            self.store.remove(place)
            return True

        return Found(f"{where}: {len(changes) - len(rest)} of {len(changes)} changes", remove)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The parking bucket, with all versions of its objects."""

    s3: Any
    name: str

    def find(self, item: Item) -> Iterator[Found]:
        """Parked changes, batches that Lambda gave up, and conflicts. Those whose names tell no item are read."""
        for version in self._versions(f"{parking.PREFIX}/"):
            folder = [*version["Key"].split("/"), ""][2]
            named = folder == item.digest
            if named or ((folder == parking.UNREAD or "/" not in _below(version)) and self._parked(version, item)):
                yield self._whole(version)
        for version in self._versions(f"{conflicts.PREFIX}/"):
            named = version["Key"].split("/")[1] == item.digest
            if named or (version["Key"].count("/") == 1 and self._conflict(version, item)):
                yield self._whole(version)
        for version in self._versions(given_up.PREFIX):
            yield from self._batch(version, item)

    def _versions(self, prefix: str) -> Iterator[Mapping[str, Any]]:
        """A delete marker has no content, so it stays."""
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix):
            yield from page.get("Versions", [])

    def _parked(self, version: Mapping[str, Any], item: Item) -> bool:
        return item.is_of(self._json(version).get("record"))

    def _conflict(self, version: Mapping[str, Any], item: Item) -> bool:
        found = self._json(version)
        try:
            return "key" in found and identity(found["key"]) == identity(item.keys)
        except (AttributeError, LookupError, TypeError, ValueError, Rejected):
            return False

    def _batch(self, version: Mapping[str, Any], item: Item) -> Iterator[Found]:
        """Of a batch of several items, the others' records are put back under the same name."""
        found = self._json(version)
        event = given_up.event_of(found)
        records = given_up.records_of(event)
        if not any(map(item.is_of, records)):
            return
        rest = {**event, "Records": [each for each in records if not item.is_of(each)]}
        if not rest["Records"]:
            yield self._whole(version)
            return
        body = {**found, "payload": json.dumps(rest) if isinstance(found["payload"], str) else rest}

        def remove() -> bool:
            self.s3.put_object(
                Bucket=self.name, Key=version["Key"], Body=json.dumps(body).encode(), ContentType="application/json"
            )
            return self._delete(version)

        yield Found(f"{self._place(version)}: {len(records) - len(rest['Records'])} of {len(records)} records", remove)

    def _whole(self, version: Mapping[str, Any]) -> Found:
        return Found(self._place(version), lambda: self._delete(version))

    def _delete(self, version: Mapping[str, Any]) -> bool:
        self.s3.delete_object(Bucket=self.name, Key=version["Key"], VersionId=version["VersionId"])
        return True

    def _place(self, version: Mapping[str, Any]) -> str:
        return f"s3://{self.name}/{version['Key']}" + ("" if version["IsLatest"] else " (an earlier version)")

    def _json(self, version: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.s3.get_object(Bucket=self.name, Key=version["Key"], VersionId=version["VersionId"])
        found = given_up.parsed(answer["Body"].read())
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class ClaimTable:
    """The table of claims, which is scanned: its key begins with the rule."""

    dynamodb: Any
    name: str
    now: float

    def find(self, item: Item) -> Iterator[Found]:
        """Claims of the item. A suppression holds the hash of an address and no key, and stays."""
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.name,
            ConsistentRead=True,
            ProjectionExpression="id",
            FilterExpression="contains(id, :key)",
            ExpressionAttributeValues={":key": {"S": identity(item.keys)}},
        )
        ids = (row["id"]["S"] for page in pages for row in page["Items"])
        yield from (self._found(id) for id in ids if item.has_claim(id))

    def _found(self, id: str) -> Found:
        return Found(f"claim in table {self.name}: rule {id.partition('|')[0]}", lambda: self._remove(id))

    def _remove(self, id: str) -> bool:
        try:
            self.dynamodb.delete_item(
                TableName=self.name,
                Key={"id": {"S": id}},
                ConditionExpression=_OPEN,
                ExpressionAttributeNames={"#state": "state", "#lease": "lease"},
                ExpressionAttributeValues={":sending": {"S": "sending"}, ":now": {"N": str(int(self.now))}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True


def _below(version: Mapping[str, Any]) -> str:
    """The name below its branch's folder."""
    return str([*version["Key"].split("/", 2), "", ""][2])
