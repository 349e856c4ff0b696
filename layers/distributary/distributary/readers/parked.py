"""What a stack's parking bucket holds: changes that a function parked, and batches that Lambda gave up."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Protocol

from distributary.consumer import parking
from distributary.consumer.aws import AwsError, code_of
from distributary.readers import given_up
from distributary.readers.archive import MALFORMED
from distributary.readers.lines import fault_of
from distributary.stream import version as versions
from distributary.stream.change import Change
from distributary.stream.codec import Typed
from distributary.stream.keys import identity, table_of
from distributary.stream.kinesis import plain
from distributary.stream.records import decode

BRANCHES = ("derive", "index", "welcome", "replicate", "archive")
RECONCILED = ("derive", "index", "replicate")
"""Branches whose items are reconciled."""

WITH_RECORDS = "replicate"
"""The one of these that gets each change's record beside its key: of several regions, it needs all of them."""

REPLAYED = ("welcome", "archive")
"""Branches that get the records themselves."""


_GONE = {"NoSuchKey", "NoSuchVersion", "404"}


class _Gone(Exception):
    """The object was removed after it was listed."""


class Function(Protocol):
    """What is known of the function of a branch."""

    @property
    def arn(self) -> str:
        """With or without a version or an alias."""

    @property
    def streams(self) -> Mapping[str, int]:
        """The generation of each stream that it reads or has read."""

    @property
    def sources(self) -> Mapping[str, str]:
        """The ARN of the stream that it reads now, by the name of its table; empty if none is known."""


@dataclass(frozen=True, slots=True)
class Parked:
    """One change in the bucket. `key` and `version` are None if its record could not be read."""

    branch: str
    place: "Place"
    cause: str
    table: str | None
    key: Mapping[str, Typed] | None
    version: str | None
    expired: bool
    record: Mapping[str, Any] | None
    detail: str = ""
    first: datetime | None = None

    @property
    def since(self) -> datetime:
        """When it was made, or, if its record does not say, `first` parked: a redrive that fails writes its object
        again."""
        made = ((self.record or {}).get("dynamodb") or {}).get("ApproximateCreationDateTime")
        if isinstance(made, int | float):
            return datetime.fromtimestamp(made, UTC)
        return self.first or self.place.when

    @property
    def readable(self) -> bool:
        """Whether the item that it changed is known."""
        return self.key is not None

    @property
    def item(self) -> str:
        """The item's identity, for a person and for what is the same item."""
        return identity(self.key) if self.key is not None else ""

    def entry(self) -> dict[str, Any]:
        """As a command asks for it; see `consumer.reconcile`. `replicate` gets the record too: it may keep several
        regions."""
        removed = (self.record or {}).get("eventName") == "REMOVE" and not self.expired
        told = {"record": self.record} if self.branch == WITH_RECORDS else {}
        return {"key": self.key, "version": self.version or "0", "removed": removed, "expired": self.expired, **told}


@dataclass(frozen=True, slots=True)
class Place:
    """The newest version of an object, and those before it: removing them spares what was parked under its name
    since."""

    name: str
    version: str | None
    when: datetime = field(compare=False)
    older: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A stack's parking bucket, and the stack's functions by branch."""

    s3: Any
    name: str
    functions: Mapping[str, Function]

    def read(self, branches: Sequence[str], since: datetime | None = None) -> Iterator[Parked]:
        """The changes parked for these branches, and those of batches that Lambda gave up for them."""
        for prefix in prefixes(branches):
            for place in self.places(prefix, since):
                yield from self.changes(place, branches)

    def places(self, begins: str, since: datetime | None = None, after: str = "") -> Iterator[Place]:
        """The objects whose names begin so, in the order of their names; those behind `after` alone."""
        for name, found in groupby(self._versions(begins, after), lambda each: each["Key"]):
            newest, *older = found
            if newest["IsLatest"] and name > after and (since is None or newest["LastModified"] >= since):
                version = newest["VersionId"] if newest["VersionId"] != "null" else None
                yield Place(name, version, newest["LastModified"], tuple(each["VersionId"] for each in older))

    def _versions(self, begins: str, after: str) -> Iterator[Mapping[str, Any]]:
        """Of each object, from the newest on.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html"""
        more = {"KeyMarker": after} if after else {}
        while True:
            page = self.s3.list_object_versions(Bucket=self.name, Prefix=begins, **more)
            yield from page.get("Versions", [])
            if not page.get("IsTruncated"):
                return
            more = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def changes(self, place: Place, branches: Sequence[str]) -> Iterator[Parked]:
        """Those of an object that are these branches'; none if it was removed after it was listed."""
        with suppress(_Gone):
            if place.name.startswith(given_up.PREFIX):
                yield from self._batch(place, branches)
            else:
                yield self._parked(place.name.split("/")[1], place)

    def remove(self, place: Place) -> None:
        """This version and those before it, the oldest first: none of them takes its place."""
        for version in (*reversed(place.older), place.version):
            chosen = {"VersionId": version} if version else {}
            self.s3.delete_object(Bucket=self.name, Key=place.name, **chosen)

    def is_newest(self, place: Place) -> bool:
        """Whether nothing was parked under the name since, and it is still there."""
        try:
            found = self.s3.head_object(Bucket=self.name, Key=place.name)
        except AwsError as error:
            if code_of(error) not in _GONE:
                raise
            return False
        return place.version in (None, found.get("VersionId"))

    def keep(self, change: Parked, cause: str, when: str) -> None:
        """Adds a failed redrive to a parked object's history. The name is its event's, so whatever was parked under it
        in the meantime is the same change. A bucket without versions has overwritten what was there."""
        body = self._json(change.place)
        body.setdefault("first", (change.first or change.place.when).isoformat())
        body["redrives"] = [*body.get("redrives", []), {"at": when, "cause": cause}]
        content = json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace")
        self.s3.put_object(Bucket=self.name, Key=change.place.name, Body=content, ContentType="application/json")
        if change.place.version is not None:
            self.remove(change.place)

    def _parked(self, branch: str, place: Place) -> Parked:
        content = self._content(place)
        try:
            return _of_parked(branch, place, parking.read(content))
        except MALFORMED as error:
            cause = f"the object is no parked change: {fault_of(error)}"
            return Parked(branch, place, cause, None, None, None, False, None)

    def _batch(self, place: Place, branches: Sequence[str]) -> Iterator[Parked]:
        """Lambda's object holds the whole invocation: who was invoked, why it ended, and the event as text."""
        found = self._json(place)
        context = found.get("requestContext") or {}
        arn = str(context.get("functionArn", ""))
        cause = f"Lambda gave up: {context.get('condition', 'no reason given')}"
        own = ((name, function) for name, function in self.functions.items() if name in branches)
        branch, function = next((each for each in own if _same_function(arn, each[1].arn)), ("", None))
        if function is None:
            return
        records = given_up.records_of(given_up.event_of(found))
        if not records:
            cause = f"{cause}; the object holds no records"
            yield Parked(branch, place, cause, None, None, None, False, None)
        for record in records:
            yield _of_record(branch, place, cause, plain(record), function.streams)

    def json(self, place: Place) -> dict[str, Any]:
        """An object that is JSON; empty if it is none, or was removed."""
        with suppress(_Gone):
            return self._json(place)
        return {}

    def _json(self, place: Place) -> dict[str, Any]:
        found = given_up.parsed(self._content(place))
        return found if isinstance(found, dict) else {}

    def _content(self, place: Place) -> bytes:
        version = {"VersionId": place.version} if place.version else {}
        try:
            body: bytes = self.s3.get_object(Bucket=self.name, Key=place.name, **version)["Body"].read()
        except AwsError as error:
            if code_of(error) not in _GONE:
                raise
            raise _Gone from None
        return body


def _of_parked(branch: str, place: Place, found: Mapping[str, Any]) -> Parked:
    """Raises one of MALFORMED."""
    if not (isinstance(found["key"], dict | None) and isinstance(found["version"], str | None)):
        raise ValueError("its key or version is none")
    return Parked(
        branch,
        place,
        str(found["cause"]),
        found["table"],
        found["key"],
        found["version"],
        bool(found["expired"]),
        found["record"],
        str(found.get("detail", "")),
        datetime.fromisoformat(found["first"]) if "first" in found else None,
    )


def prefixes(branches: Sequence[str]) -> list[str]:
    """Of the objects that may hold changes of these branches."""
    return [*(f"{parking.PREFIX}/{branch}/" for branch in branches), given_up.PREFIX]


def _same_function(arn: str, own: str) -> bool:
    """Whether both name one function, whichever version or alias."""
    return arn.split(":")[:7] == own.split(":")[:7]


def _of_record(branch: str, place: Place, cause: str, record: Any, listed: Mapping[str, int]) -> Parked:
    source = record.get("eventSourceARN", "") if isinstance(record, Mapping) else ""
    (entry,) = decode({"Records": [record]}, listed.get(source, 0))
    if not isinstance(entry, Change):
        return Parked(branch, place, f"{cause}; {entry.cause}", None, None, None, False, record)
    key, version = dict(entry.keys.raw), versions.to_text(entry.version)
    return Parked(branch, place, cause, table_of(entry.source), key, version, entry.expired, record)
