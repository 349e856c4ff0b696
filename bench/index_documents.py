"""Documents of 1 KB that come and go, as batches of a stream, and what an index should hold after them."""

import random
import time
from itertools import accumulate
from typing import Any

from bench.workloads import SKEW

ITEMS, BATCH = 5000, 1000
DELETED = 0.1
_FIRST_SEQUENCE = 6200000000002513011398


class Documents:
    """One in ten changes deletes its item; the next change of that item inserts it again. Seeded."""

    def __init__(self, skewed: bool) -> None:
        self._random = random.Random(f"documents {skewed}")
        weights = [(rank + 1) ** -SKEW for rank in range(ITEMS)] if skewed else [1.0] * ITEMS
        self._weights, self._place = list(accumulate(weights)), 0
        self.held: dict[str, dict[str, Any]] = {}

    def batch(self) -> dict[str, Any]:
        """The next changes, as Lambda delivers them."""
        drawn = self._random.choices(range(ITEMS), cum_weights=self._weights, k=BATCH)
        return {"Records": [self._change(f"item-{number}") for number in drawn]}

    def shuffled(self, *batches: dict[str, Any]) -> dict[str, Any]:
        """All their records, in no order, as a redrive or Kinesis delivers them."""
        records = [record for batch in batches for record in batch["Records"]]
        return {"Records": self._random.sample(records, len(records))}

    def wrong(self, found: dict[str, int]) -> dict[str, int]:
        """Of an index, ids to revisions: how many documents are stale, dead, missing."""
        truth = {id: int(image["revision"]["N"]) for id, image in self.held.items()}
        return {
            "stale documents": sum(found[id] != truth[id] for id in found.keys() & truth.keys()),
            "dead documents": len(found.keys() - truth.keys()),
            "missing documents": len(truth.keys() - found.keys()),
        }

    def _change(self, id: str) -> dict[str, Any]:
        old = self.held.pop(id, None)
        self._place += 1
        if old is None or self._random.random() >= DELETED:
            self.held[id] = self._image(id)
        return self._record(id, old, self.held.get(id))

    def _image(self, id: str) -> dict[str, Any]:
        texts = {f"text_{n}": {"S": f"{self._random.getrandbits(64):016x} " * 5} for n in range(10)}
        return {"id": {"S": id}, "revision": {"N": str(self._place)}, "tags": {"SS": ["a", "b"]}, **texts}

    def _record(self, id: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any]:
        body: dict[str, Any] = {
            "ApproximateCreationDateTime": float(int(time.time())),
            "Keys": {"id": {"S": id}},
            "SequenceNumber": str(_FIRST_SEQUENCE + self._place * 10**20),
            "SizeBytes": 1100,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        }
        body |= {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image}
        return {
            "eventID": f"{self._place:032x}",
            "eventName": "MODIFY" if old and new else "INSERT" if new else "REMOVE",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "eu-west-1",
            "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/things/stream/2026-01-01T00:00:00.000",
            "dynamodb": body,
        }
