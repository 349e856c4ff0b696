"""Changes that can never succeed, kept in S3 with their cause, one object per change."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from distributary.consumer.aws import AwsError, classify
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome
from distributary.consumer.parallel import Parallel
from distributary.errors import DistributaryError, Rejected
from distributary.stream.change import Change, Undecodable, Unlisted
from distributary.stream.format import check_format
from distributary.stream.keys import bounded, escape, item_digest, table_of
from distributary.stream.records import decode
from distributary.stream.struct import Struct

PREFIX = "parked"
FORMAT = 1
"""Of a parked object. Objects of release 0.1 have none, and lack `table`, `key` and `expired`: see `read`."""

UNREAD = "unread"
"""The folder of records that are no change, so that no item is known."""

_NAME_BYTES = 512


class Parking(Struct, frozen=True):
    """The bucket's part `parked/<branch>/`.

    The name of an object contains the branch, a digest of the item, and the event id. So a change parked twice is one
    object, and the objects of one item are found by their names. Names of release 0.1 contain no digest.
    """

    s3: Any
    bucket: str
    branch: str
    parallel: Parallel

    def park(
        self, entries: Sequence[tuple[Change | Undecodable | Unlisted, Outcome]], deadline: Deadline
    ) -> list[DistributaryError | None]:
        """Returns one result per entry: None if it was stored, otherwise the error."""
        return self.parallel.run(lambda entry: self._put(*entry), entries, deadline)

    def name(self, entry: Change | Undecodable | Unlisted) -> str:
        """The object's key, at most 1,024 bytes for any event id."""
        event_id = bounded(escape(entry.event_id), _NAME_BYTES)
        return f"{PREFIX}/{self.branch}/{_folder(entry)}/{event_id}.json"

    def _put(self, entry: Change | Undecodable | Unlisted, outcome: Outcome) -> None:
        change = entry if isinstance(entry, Change) else None
        body = {
            "format": FORMAT,
            "branch": self.branch,
            "eventID": entry.event_id,
            "table": table_of(change.source) if change else None,
            "key": change.keys.raw if change else None,
            "version": str(change.version) if change else None,
            "expired": change.expired if change else None,
            "cause": outcome.cause,
            "detail": outcome.detail,
            "record": dict(entry.record) if isinstance(entry.record, Mapping) else entry.record,
        }
        try:
            self.s3.put_object(
                Bucket=self.bucket,
                Key=self.name(entry),
                Body=_text(body).encode(errors="backslashreplace"),
                ContentType="application/json",
            )
        except AwsError as error:
            raise classify(error, "parking PutObject") from error


def read(content: bytes) -> dict[str, Any]:
    """A parked object as this release writes it, whichever release wrote it. `table`, `key`, `version` and `expired`
    are None where the record was no change. Raises ConfigError for an object of a later release."""
    found: dict[str, Any] = json.loads(content)
    written = found.get("format", 0)
    check_format("a parked object", written, FORMAT)
    return found if written == FORMAT else _upgraded(found)


def _folder(entry: Change | Undecodable | Unlisted) -> str:
    if not isinstance(entry, Change):
        return UNREAD
    try:
        return item_digest(table_of(entry.source), entry.keys.raw)
    except Rejected:
        return UNREAD


def _upgraded(found: dict[str, Any]) -> dict[str, Any]:
    """An object of release 0.1. What 0.1 did not write is taken from the record."""
    (entry,) = decode({"Records": [found["record"]]}, 0) if found["version"] is not None else (None,)
    change = entry if isinstance(entry, Change) else None
    more = {
        "table": table_of(change.source) if change else None,
        "key": change.keys.raw if change else None,
        "expired": change.expired if change else None,
    }
    return {**found, **more, "format": FORMAT}


def _text(body: dict[str, Any]) -> str:
    try:
        return json.dumps(body, ensure_ascii=False, default=repr)
    except RecursionError:
        detail = f"the record is nested too deep to be written; {body['detail']}"
        return json.dumps({**body, "detail": detail, "record": None}, ensure_ascii=False, default=repr)
