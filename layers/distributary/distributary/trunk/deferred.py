"""Changes that a branch is to get later, in S3: one object for those of a batch.

`deferred/<branch>/<least>-<greatest>-<n>-<oldest>-<digest>.json.gz`, by the least and the greatest sequence number of
its `n` changes, and the epoch second in which the oldest of them was made; 0 if one of them does not tell. What is
deferred twice is one object; what was cut otherwise is another one, and a branch takes a change that comes twice.
"""

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from distributary.consumer import outcome as outcomes
from distributary.consumer.aws import AwsError, classify, code_of
from distributary.consumer.consume import Entry
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome, Status
from distributary.errors import ConfigError, DistributaryError, Rejected, Unavailable
from distributary.readers.parked import RECONCILED, WITH_RECORDS, Parked, Place
from distributary.stream import version as versions
from distributary.stream.change import Change
from distributary.stream.format import check_format
from distributary.stream.keys import table_of
from distributary.stream.struct import Struct

PREFIX = "deferred"
FORMAT = 1
_LEVEL = 6
_NAME = re.compile(r"[0-9]{40}-[0-9]{40}-([0-9]+)(?:-([0-9]{10}))?-[0-9a-f]{12}\.json\.gz")

Entries = Sequence[Mapping[str, Any]]
"""Changes as an object holds them: `table`, `key`, `version` (text), `expired`, `record`."""


def entry_of(branch: str, change: Change) -> dict[str, Any]:
    """A change as an object of the branch holds it."""
    return {
        "table": table_of(change.source),
        "key": dict(change.keys.raw),
        "version": versions.to_text(change.version),
        "expired": change.expired,
        "record": dict(change.record) if _needs_images(branch) else _minimal(change),
    }


def entry_again(branch: str, change: Parked) -> dict[str, Any]:
    """A change that was read from a bucket, as an object of the branch holds it."""
    entry = {"table": change.table, "key": change.key, "version": change.version, "expired": change.expired}
    record = dict(change.record or {})
    if not _needs_images(branch):
        body = {name: typed for name, typed in record.get("dynamodb", {}).items() if name in _KEPT_OF_BODY}
        record = {**{name: typed for name, typed in record.items() if name in _KEPT}, "dynamodb": body}
    return {**entry, "record": record}


_KEPT = ("eventID", "eventName", "eventSourceARN")
_KEPT_OF_BODY = ("SequenceNumber", "ApproximateCreationDateTime")


def _needs_images(branch: str) -> bool:
    """A state branch reads the item anew: of the record it gets what kind of change it is and when it was made."""
    return branch not in RECONCILED or branch == WITH_RECORDS


def _minimal(change: Change) -> dict[str, Any]:
    created = {} if change.created is None else {"ApproximateCreationDateTime": change.created}
    named = zip(_KEPT, (change.event_id, change.kind.value, change.source), strict=True)
    return {**dict(named), "dynamodb": {"SequenceNumber": change.identifier, **created}}


class Store(Struct, frozen=True):
    """The bucket of what is deferred."""

    s3: Any
    bucket: str

    def put(self, branch: str, entries: Entries) -> str:
        """The name of the object that now holds them. Raises Unavailable if S3 did not take it, Rejected if they cannot
        be written."""
        try:
            body = json.dumps(
                {"format": FORMAT, "branch": branch, "changes": list(entries)}, ensure_ascii=False, default=repr
            ).encode(errors="backslashreplace")
        except RecursionError:
            raise Rejected("the record is nested too deep to be deferred") from None
        name = _name(branch, entries, body)
        try:
            self.s3.put_object(
                Bucket=self.bucket,
                Key=name,
                Body=gzip.compress(body, _LEVEL, mtime=0),
                ContentType="application/gzip",
            )
        except AwsError as error:
            found = classify(error, "deferring PutObject")
            raise Unavailable(str(found), found.detail) from error
        return name

    def places(self, branch: str) -> Iterator[Place]:
        """Its objects, those of the least sequence numbers first. Raises AwsError."""
        more: dict[str, str] = {}
        while True:
            page = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"{PREFIX}/{branch}/", **more)
            for each in page.get("Contents", []):
                yield Place(each["Key"], None, each["LastModified"])
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, branch: str, place: Place) -> list[Parked]:
        """Its changes; none if the object is gone. Raises AwsError; ConfigError for one that a later release wrote, and
        for one that is damaged or none of ours."""
        changes_in(place.name)
        try:
            content = self.s3.get_object(Bucket=self.bucket, Key=place.name)["Body"].read()
        except AwsError as error:
            if code_of(error) not in _GONE:
                raise
            return []
        try:
            found = json.loads(gzip.decompress(content))
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise ConfigError(f"{place.name}: the object is damaged: {type(error).__name__}") from None
        check_format("a deferred object", found["format"], FORMAT)
        return [_parked(branch, place, each) for each in found["changes"]]

    def backlog(self, branch: str, now: datetime) -> tuple[int, float]:
        """How many changes there are, and for how many seconds the oldest of them has been made. Raises as `read`."""
        places = list(self.places(branch))
        if not places:
            return 0, 0.0
        made = min(self._oldest(branch, place) for place in places)
        return sum(changes_in(place.name) for place in places), max(0.0, now.timestamp() - made)

    def _oldest(self, branch: str, place: Place) -> float:
        """When the oldest change of an object was made, in epoch seconds."""
        if seconds := _named(place.name)[1]:
            return float(seconds)
        return min((change.since for change in self.read(branch, place)), default=place.when).timestamp()

    def remove(self, place: Place) -> None:
        """Raises AwsError."""
        self.s3.delete_object(Bucket=self.bucket, Key=place.name)


_GONE = {"NoSuchKey", "404"}


def changes_in(name: str) -> int:
    """How many changes an object holds, by its name. Raises ConfigError for a name that is none of ours."""
    return _named(name)[0]


def _named(name: str) -> tuple[int, int]:
    """How many changes, and the second of the oldest; 0 if the name does not tell it."""
    found = _NAME.fullmatch(name.rpartition("/")[2])
    if found is None:
        raise ConfigError(f"{name}: this object is none of Distributary's; remove it from the bucket")
    return int(found[1]), int(found[2] or 0)


def _name(branch: str, entries: Entries, body: bytes) -> str:
    positions = [versions.position_of(versions.from_text(each["version"])) for each in entries]
    digest = hashlib.sha256(body).hexdigest()[:12]
    digits = versions.POSITION_DIGITS
    span = f"{min(positions):0{digits}d}-{max(positions):0{digits}d}"
    return f"{PREFIX}/{branch}/{span}-{len(entries)}-{min(map(_made, entries)):010d}-{digest}.json.gz"


def _made(entry: Mapping[str, Any]) -> int:
    """The epoch second in which its record says that it was made; 0 if it says none."""
    seconds = (entry["record"].get("dynamodb") or {}).get("ApproximateCreationDateTime")
    return int(seconds) if isinstance(seconds, int | float) and 0 < seconds < 10**10 else 0


def _parked(branch: str, place: Place, entry: Mapping[str, Any]) -> Parked:
    cause, table, key = "deferred", entry["table"], entry["key"]
    return Parked(branch, place, cause, table, key, entry["version"], entry["expired"], entry["record"])


@dataclass(frozen=True, slots=True)
class Deferral:
    """Keeps what a branch's batch defers."""

    store: Store
    branch: str

    def keep(self, entries: Sequence[Entry], ends: Sequence[Outcome], deadline: Deadline) -> list[Outcome]:
        """The outcomes, with every change that S3 did not take failed instead: it is never lost."""
        places = [at for at, end in enumerate(ends) if end.status is Status.DEFERRED]
        found = list(ends)
        for at, end in zip(places, self._kept([entries[at] for at in places], deadline), strict=True):
            found[at] = found[at] if end is None else end
        return found

    def _kept(self, entries: Sequence[Entry], deadline: Deadline) -> list[Outcome | None]:
        changes = [entry for entry in entries if isinstance(entry, Change)]
        if not changes:
            return []
        try:
            deadline.check()
            self.store.put(self.branch, [entry_of(self.branch, change) for change in changes])
        except Rejected as error:
            if len(changes) == 1:
                return [outcomes.parked(error)]
            return [end for change in changes for end in self._kept([change], deadline)]
        except DistributaryError as error:
            return [outcomes.failed(error)] * len(changes)
        return [None] * len(changes)
