"""Changes that can never succeed, kept in S3 with their cause, one object per change."""

import json
from dataclasses import dataclass
from typing import Any

from distributary.consumer.aws import AwsError, classify
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome
from distributary.consumer.parallel import Parallel
from distributary.errors import DistributaryError
from distributary.stream.change import Change, Undecodable
from distributary.stream.keys import bounded, escape

PREFIX = "parked"
_NAME_BYTES = 512


@dataclass(frozen=True, slots=True)
class Parking:
    """The bucket's part `parked/<branch>/`.

    An object's name holds branch and event id, so that parking twice is parking once.
    """

    s3: Any
    bucket: str
    branch: str
    parallel: Parallel

    def park(
        self, entries: list[tuple[Change | Undecodable, Outcome]], deadline: Deadline
    ) -> list[DistributaryError | None]:
        """One place per entry: None if it is kept, the error if it is not."""
        return self.parallel.run(lambda entry: self._put(*entry), entries, deadline)

    def name(self, event_id: str) -> str:
        """The object's key; at most 1,024 bytes, whatever the event id holds."""
        return f"{PREFIX}/{self.branch}/{bounded(escape(event_id), _NAME_BYTES)}.json"

    def _put(self, entry: Change | Undecodable, outcome: Outcome) -> None:
        body = {
            "branch": self.branch,
            "eventID": entry.event_id,
            "version": str(entry.version) if isinstance(entry, Change) else None,
            "cause": outcome.cause,
            "detail": outcome.detail,
            "record": entry.record,
        }
        try:
            self.s3.put_object(
                Bucket=self.bucket,
                Key=self.name(entry.event_id),
                Body=json.dumps(body, ensure_ascii=False, default=repr).encode(errors="backslashreplace"),
                ContentType="application/json",
            )
        except AwsError as error:
            raise classify(error, "parking PutObject") from error
