"""Conflicts between regions, kept in S3 with both sides, the winner and the rule, one object per conflict."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from distributary.consumer.aws import AwsError, classify
from distributary.replicate.multi_active.crdt import Time
from distributary.stream import canonical
from distributary.stream.codec import Typed
from distributary.stream.keys import item_digest
from distributary.stream.struct import Struct

PREFIX = "conflicts"


class Side(NamedTuple):
    """What one region's application made of the item: when, by the rule, and the item (canonical), None if deleted."""

    region: str
    time: Time
    deleted: bool
    item: Mapping[str, Typed] | None

    def as_json(self) -> dict[str, Any]:
        """As it stands in the bucket."""
        return {"region": self.region, "time": self.time.typed, "deleted": self.deleted, "item": self.item}


class Conflicts(Struct, frozen=True):
    """The bucket's part `conflicts/`. An object's name is made of the item, `table` included, and the two sides: a
    conflict that is met twice is recorded once, and the objects of one item are found by their names. Each region that
    meets it records it in its own bucket. `count` is told of each. Names of release 0.1 hold no digest of the item.
    Without a bucket none is recorded: a repair tells no writers apart."""

    s3: Any
    bucket: str
    rule: str
    count: Callable[[], None]
    table: str = ""

    def record(
        self, key: Mapping[str, Typed], sides: tuple[Side, Side], winner: Side, events: Sequence[str] = ()
    ) -> None:
        """Before the winner is written, so that none is lost. `events`: ids of the changes that met it, the last time
        that it was met. Raises Rejected or Unavailable."""
        if not self.bucket:
            return
        parties = sorted((side.as_json() for side in sides), key=canonical.text)
        body = {
            "table": self.table,
            "key": canonical.image(key),
            "rule": self.rule,
            "sides": parties,
            "winner": winner.as_json(),
            "events": list(events),
        }
        try:
            self.s3.put_object(
                Bucket=self.bucket,
                Key=f"{PREFIX}/{item_digest(self.table, key)}/{canonical.digest(parties)}.json",
                Body=json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace"),
                ContentType="application/json",
            )
        except AwsError as error:
            raise classify(error, "conflict PutObject") from error
        self.count()


NOT_RECORDED = Conflicts(None, "", "", lambda: None)
