"""Orders that are placed, edited, moved from store to store and cancelled, as records of a stream."""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

ORDERS = 5000
BATCH = 1000
SKEW = 0.99
"""The exponent of YCSB's Zipf (https://github.com/brianfrankcooper/YCSB, ZipfianGenerator): of 5,000 orders, the 70
busiest take half of the changes."""

NOTE = "Leave it with the neighbour on the left, who is at home from nine to five but for Tuesdays. "
MOVED, CANCELLED = 0.1, 0.1
_FIRST_SEQUENCE = 6200000000002513011398
Totals = dict[str, tuple[int, int]]
"""Orders and revenue in cents by store; stores without orders are left out."""


@dataclass(frozen=True, slots=True)
class Workload:
    """`orders` and `stores`: how often each is drawn. Every order stands at the start. One in ten changes to an order
    moves it to a store drawn anew, one in ten cancels it, the others alter its amount; a cancelled order that is drawn
    again is placed again."""

    name: str
    orders: Sequence[float]
    stores: Sequence[float]


def _zipf(many: int) -> list[float]:
    return [(rank + 1) ** -SKEW for rank in range(many)]


UNIFORM = Workload("uniform, 5,000 orders in 1,000 stores", [1.0] * ORDERS, [1.0] * 1000)
ZIPF = Workload("Zipf, 5,000 orders in 1,000 stores", _zipf(ORDERS), _zipf(1000))
HOT = Workload("one hot group, 5,000 orders in 1 store", [1.0] * ORDERS, [1.0])


class Orders:
    """The source table: its changes as batches of a stream, and what its totals are. Seeded: each run is the same.
    Each order has a note of so many bytes."""

    def __init__(self, workload: Workload, note_bytes: int = 0) -> None:
        self._note = (NOTE * (note_bytes // len(NOTE) + 1))[:note_bytes]
        self._random = random.Random(workload.name)
        self._orders, self._stores = list(accumulate(workload.orders)), list(accumulate(workload.stores))
        self._held: dict[int, dict[str, Any]] = {}
        self._place = 0
        self._last: dict[str, Any] = {}

    def placed(self) -> Iterator[dict[str, Any]]:
        """Every order is placed, in batches."""
        for first in range(0, ORDERS, BATCH):
            yield {"Records": [self._change(order) for order in range(first, first + BATCH)]}

    def batch(self) -> dict[str, Any]:
        """The next changes, as Lambda delivers them."""
        drawn = self._random.choices(range(ORDERS), cum_weights=self._orders, k=BATCH)
        self._last = {"Records": [self._change(order) for order in drawn]}
        return self._last

    def same(self) -> dict[str, Any]:
        """The last batch again."""
        return self._last

    def images(self) -> dict[str, dict[str, Any]]:
        """The items as they stand, DynamoDB JSON, by key."""
        return {image["order_id"]["S"]: image for image in self._held.values()}

    def totals(self) -> Totals:
        """What every change so far amounts to."""
        found: Totals = {}
        for image in self._held.values():
            store, amount = image["store"]["S"], int(image["amount"]["N"])
            orders, revenue = found.get(store, (0, 0))
            found[store] = orders + 1, revenue + amount
        return found

    def held(self) -> dict[str, dict[str, Any]]:
        """What the table holds after every change so far, by order."""
        return {image["order_id"]["S"]: image for image in self._held.values()}

    def _change(self, order: int) -> dict[str, Any]:
        old, new = self._held.get(order), self._next(order)
        if new is None:
            del self._held[order]
        else:
            self._held[order] = new
        return self._record(order, old, new)

    def _next(self, order: int) -> dict[str, Any] | None:
        old, chance = self._held.get(order), self._random.random()
        if old is None:
            return self._image(order, self._store(), self._random.randrange(100, 50_000))
        if chance < CANCELLED:
            return None
        store = self._store() if chance < CANCELLED + MOVED else old["store"]["S"]
        return self._image(order, store, int(old["amount"]["N"]) + self._random.randrange(1, 1000))

    def _store(self) -> str:
        (store,) = self._random.choices(range(len(self._stores)), cum_weights=self._stores)
        return f"store-{store}"

    def _image(self, order: int, store: str, amount: int) -> dict[str, Any]:
        return {
            "order_id": {"S": f"order-{order}"},
            "store": {"S": store},
            "amount": {"N": str(amount)},
            "customer": {"S": f"customer-{order % 700}"},
            "status": {"S": "open"},
            "address": {"S": "12 Long Acre, London WC2E 9LH"},
            **({"note": {"S": self._note}} if self._note else {}),
            "lines": {"L": [{"M": {"product": {"S": f"product-{order % 90}"}, "quantity": {"N": "2"}}}]},
        }

    def _record(self, order: int, old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any]:
        self._place += 1
        body: dict[str, Any] = {
            "ApproximateCreationDateTime": time.time(),
            "Keys": {"order_id": {"S": f"order-{order}"}},
            "SequenceNumber": str(_FIRST_SEQUENCE + self._place * 10**20),
            "SizeBytes": 400,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        }
        body |= {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image}
        return {
            "eventID": f"{self._place:032x}",
            "eventName": "MODIFY" if old and new else "INSERT" if new else "REMOVE",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "eu-west-1",
            "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000",
            "dynamodb": body,
        }
