"""Conflicts between regions, kept in S3 with both sides, the winner and the rule, one object per conflict."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from distributary.clients import AwsError, classify
from distributary.codec import Typed
from distributary.states import State, stamp

PREFIX = "conflicts"


@dataclass(frozen=True, slots=True)
class Conflicts:
    """The bucket's part `conflicts/`. An object's name is made of the item and the two edits, so that a conflict that
    is met twice is recorded once; each region that meets it records it in its own bucket. `count` is told of each."""

    s3: Any
    bucket: str
    rule: str
    count: Callable[[], None]

    def record(self, id: str, key: Typed, loser: State, winner: State) -> None:
        """Raises Rejected or Unavailable."""
        body = {"key": key, "rule": self.rule, "winner": _side(winner), "loser": _side(loser)}
        try:
            self.s3.put_object(
                Bucket=self.bucket,
                Key=self.name(id, loser, winner),
                Body=json.dumps(body, ensure_ascii=False, default=repr).encode(errors="backslashreplace"),
                ContentType="application/json",
            )
        except AwsError as error:
            raise classify(error, "conflict PutObject") from error
        self.count()

    def name(self, id: str, loser: State, winner: State) -> str:
        """The object's key: where a row stood does not tell its position, so that is no part of it."""
        sides = [[*map(str, side.time), side.region, side.digest, side.deleted] for side in (loser, winner)]
        return f"{PREFIX}/{hashlib.sha256(json.dumps([id, sides]).encode(errors='surrogatepass')).hexdigest()}.json"


def _side(state: State) -> dict[str, Any]:
    said = stamp(state)
    return {
        "region": state.region,
        "time": said["time"],
        "digest": state.digest,
        "deleted": state.deleted,
        "item": state.item,
    }
