"""Groups that expire while the stream, its repairs and DynamoDB's TTL are at work on them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

from distributary.consumer.parallel import Parallel
from distributary.derive import Aggregate, check
from distributary.derive.branch import DeriveBranch
from distributary.derive.delta import is_member
from distributary.derive.factory import build
from distributary.stream.codec import decode_item
from tests.fakes.built import derive_settings
from tests.fakes.streaming import Record
from tests.scheduler.choices import Choices
from tests.scheduler.derive import DeriveWorld
from tests.scheduler.scheduler import Actor
from tests.scheduler.world import Plan
from tests.simulation.viewpool import ITEM

START, HOUR, DAY = 1_900_000_000, 3600, 86_400
STEP = HOUR // 3
"""Seconds, by which the clock goes on."""


def expiry(when: int) -> int:
    """Of the groups, in epoch seconds: some have expired at the start, some never do."""
    return START + (when + 2) * 2 * HOUR


def _period(item: Any) -> int | None:
    return None if item.get("when") is None else expiry(int(item["when"])) - DAY


VIEW = Aggregate(
    name="expiring",
    of=ITEM,
    pk="EXPIRING",
    sk="{period:N}",
    compute={"period": _period},
    count="items",
    sum={"revenue": "total"},
    max={"most": "total"},
    distinct={"names": "name"},
    expires_after=timedelta(days=1),
    period="period",
)


class ExpiringWorld(DeriveWorld):
    """The clock goes on by hours, but never by one while an invocation or a repair lasts: none of them is so long."""

    def __init__(self, seed: int, choices: Choices, plan: Plan) -> None:
        super().__init__(seed, choices, plan)
        self.pooled, self.views, self.oddities = [], check([VIEW]), False
        self.passed, self.lasting = 0, list[tuple[int, Actor | None]]()
        self.removed = set[tuple[str, str]]()

    @property
    def now(self) -> float:
        """In epoch seconds."""
        return float(START + self.passed)

    def branch(self) -> DeriveBranch:
        """See `World`."""
        return build([VIEW], derive_settings(), lambda _: self.dynamodb, Parallel(), now=lambda: self.now)

    def actors(self) -> list[tuple[str, Any]]:
        """See `World`."""
        return [*super().actors(), ("clock", self.clock), ("TTL", self.expire)]

    def function(self, records: Sequence[Record]) -> int | None:
        """See `World`."""
        with self.lasts():
            return super().function(records)

    def repairer(self) -> None:
        """See `World`."""
        with self.lasts():
            super().repairer()

    @contextmanager
    def lasts(self) -> Iterator[None]:
        """Something that ends before an hour has passed."""
        entry = self.passed, self.scheduler.current
        self.lasting.append(entry)
        yield
        self.lasting.remove(entry)

    def clock(self) -> None:
        """Some hours pass."""
        for _ in range(Random(f"clock {self.seed}").randint(0, 30)):
            self.scheduler.wait(self._may_go_on)
            self.passed += STEP
            self.scheduler.pause()

    def _may_go_on(self) -> bool:
        """What has crashed lasts no more."""
        lasting = [began for began, actor in self.lasting if actor is None or not actor.ended]
        return all(self.passed + STEP - began < HOUR for began in lasting)

    def expire(self) -> None:
        """TTL removes some of the rows that it may, now and then."""
        random = Random(f"TTL {self.seed}")
        for _ in range(20):
            self.scheduler.pause()
            rows = self.service.state["derived"]
            due = [key for key, row in rows.items() if "expires_at" in row and int(row["expires_at"]["N"]) <= self.now]
            for key in due:
                if random.random() < 0.5:
                    self.removed |= set() if is_member(rows[key]) else {key}
                    del rows[key]

    def check(self, when: str) -> None:
        """What is open is exact, and what TTL removed was not made again."""
        rows = {key: decode_item(row) for key, row in self.service.state["derived"].items() if not is_member(row)}
        names = ("items", "revenue", "most", "names")
        stands = {key: {name: row[name] for name in names if name in row} for key, row in rows.items()}
        open_ = {("EXPIRING", str(expiry(at) - DAY)) for at in range(-3, 4) if expiry(at) - HOUR > self.now}
        shown = {key: row for key, row in stands.items() if key in open_}
        right = {key: row for key, row in self._recomputed().items() if key in open_}
        assert shown == right, f"{when}:\n  stands {shown}\n  right  {right}"
        assert not self.removed & rows.keys(), f"{when}: made again {self.removed & rows.keys()}"

    def _recomputed(self) -> dict[tuple[str, str], dict[str, Any]]:
        groups: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for image in map(decode_item, self.service.state["source"].values()):
            if "when" in image:
                groups[int(image["when"])].append(image)
        return {("EXPIRING", str(expiry(at) - DAY)): _figures(each) for at, each in groups.items()}


def _figures(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    totals = [Decimal(item["total"]) for item in items if "total" in item]
    row: dict[str, Any] = {
        "items": Decimal(len(items)),
        "revenue": sum(totals, Decimal()),
        "names": Decimal(len({item["name"] for item in items})),
    }
    return row | ({"most": max(totals)} if totals else {})
