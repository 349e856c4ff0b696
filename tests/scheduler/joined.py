"""Joins of items that share a table: both sides are written at once, and a query in SQL says what is right."""

import sqlite3
from random import Random
from typing import Any
from unittest import mock

from distributary.consumer.deadline import Deadline
from distributary.consumer.parallel import Parallel
from distributary.derive import Entity, Join, check, join_fan_out, key_prefix
from distributary.derive.branch import DeriveBranch
from distributary.derive.factory import build
from distributary.derive.join_rows import OWN, RIGHT_ROW, is_joined
from distributary.stream.codec import decode_item
from tests.fakes.built import derive_settings
from tests.scheduler.choices import Choices
from tests.scheduler.derive import Derived
from tests.scheduler.source import Image
from tests.scheduler.world import INVOCATION_SECONDS, SOURCE, Plan

ORDER = Entity(name="order", keys=("id",), attributes=("buyer", "total", "status"), where=key_prefix("id", "o"))
CUSTOMER = Entity(name="customer", keys=("id",), attributes=("name", "country"), where=key_prefix("id", "c"))
COLUMNS = ("buyer", "total", "status", "name", "country")
Given = dict[str, Any]


def _join(name: str, pk: str, sk: str, **more: Any) -> Join:
    given: Given = {"of": ORDER, "right": CUSTOMER, "on": "buyer", "keep": ("total",), "keep_right": ("name",)}
    return Join(name=name, pk=pk, sk=sk, **given | more)


def _open(pair: Any) -> bool:
    return bool(pair.get("status") == "open" and pair.get("customer.country") != "fr")


POOL: dict[str, tuple[Join, str]] = {
    "left": (
        _join("left", "L", "{id}"),
        "SELECT 'L', o.id, total, name FROM o LEFT JOIN c ON o.buyer = c.id",
    ),
    "moving": (
        _join("moving", "M#{status}", "{id}"),
        "SELECT 'M#' || status, o.id, total, name FROM o LEFT JOIN c ON o.buyer = c.id WHERE status IS NOT NULL",
    ),
    "inner": (
        _join("inner", "I#{status}", "{id}", kind="inner"),
        "SELECT 'I#' || status, o.id, total, name FROM o JOIN c ON o.buyer = c.id WHERE status IS NOT NULL",
    ),
    "owned": (
        _join("owned", "O#{buyer}", "ORDER#{id}"),
        "SELECT 'O#' || buyer, 'ORDER#' || o.id, total, name FROM o LEFT JOIN c ON o.buyer = c.id "
        "WHERE buyer IS NOT NULL",
    ),
    "open": (
        _join("open", "W", "{id}", where=_open),
        "SELECT 'W', o.id, total, name FROM o LEFT JOIN c ON o.buyer = c.id "
        "WHERE status = 'open' AND country IS NOT 'fr'",
    ),
    "country": (
        _join("country", "C#{customer.country}", "{id}", kind="inner"),
        "SELECT 'C#' || country, o.id, total, name FROM o JOIN c ON o.buyer = c.id WHERE country IS NOT NULL",
    ),
}


class JoinedWorld(Derived):
    """One to three joins of the pool; `kinds` names them instead. An invocation may have too little time for a fan-out,
    which keeps its place after every page of two rows."""

    def __init__(self, seed: int, choices: Choices, plan: Plan, kinds: tuple[str, ...] = ()) -> None:
        super().__init__(seed, choices, plan)
        chosen = kinds or tuple(self.random.sample(sorted(POOL), self.random.randint(1, 3)))
        self.names = [*(f"o{at}" for at in range(plan.items + 1)), "c0", "c1"][: plan.items + 3]
        self.joins = [POOL[name] for name in chosen]
        self.views = check([join for join, _ in self.joins])
        self.hurried = Random(f"hurried {seed}")

    def run(self) -> None:
        """See `World`."""
        with mock.patch.object(join_fan_out, "PAGE", 2), mock.patch.object(join_fan_out, "KEPT_EVERY", 2):
            super().run()

    def image(self, random: Random) -> Image:
        """Of either side: the key says which it is."""
        values = {
            "buyer": random.choice(("c0", "c0", "c1", None)),
            "total": random.choice("12"),
            "status": random.choice(("open", "open", "sent", None)),
            "name": random.choice("xyz"),
            "country": random.choice(("uk", "fr", None)),
        }
        return {name: {"S": value} for name, value in values.items() if value is not None}

    def delete(self, name: str) -> None:
        """By the application or by TTL."""
        if Random(f"{len(self.records)} {self.seed}").random() < 0.3:
            self.scheduler.pause()
            self.service.expire(TableName=SOURCE, Key={"id": {"S": name}})
        else:
            super().delete(name)

    def deadline(self) -> Deadline:
        """See `World`."""
        seconds = self.hurried.choice((0.03, 0.1)) if self.hurried.random() < 0.1 else INVOCATION_SECONDS
        return Deadline(self.scheduler.monotonic() + seconds)

    def branch(self) -> DeriveBranch:
        """See `World`."""
        return build([join for join, _ in self.joins], derive_settings(), lambda _: self.dynamodb, Parallel())

    def check(self, when: str) -> None:
        """By the tables as they are in the end."""
        rows = list(self.service.state["derived"].values())
        shown = {(row["pk"]["S"], row["sk"]["S"]): _plain(row) for row in rows if not is_joined(row)}
        subscriptions = {
            (row["pk"]["S"], row["sk"]["S"]) for row in rows if is_joined(row) and row["sk"]["S"] != RIGHT_ROW
        }
        right = self.queried()
        assert shown == right, f"{when}:\n  stands {shown}\n  right  {right}"
        wanted = self.subscribed()
        assert subscriptions == wanted, f"{when}: subscriptions\n  stand {subscriptions}\n  right {wanted}"

    def queried(self) -> dict[tuple[str, str], dict[str, str]]:
        """What SQL makes of the source table."""
        with sqlite3.connect(":memory:") as database:
            for table in ("o", "c"):
                database.execute(f"CREATE TABLE {table} (id, {', '.join(_columns(table))})")
            for (id,), item in self.service.state[SOURCE].items():
                values = [id, *(item.get(name, {"S": None})["S"] for name in _columns(id[0]))]
                database.execute(f"INSERT INTO {id[0]} VALUES ({', '.join('?' * len(values))})", values)
            found = [row for _, query in self.joins for row in database.execute(query)]
        shown = ({"total": total, "name": name} for *_, total, name in found)
        return {
            (pk, sk): {column: value for column, value in row.items() if value is not None}
            for (pk, sk, *_), row in zip(found, shown, strict=True)
        }

    def subscribed(self) -> set[tuple[str, str]]:
        """The subscriptions that there must be."""
        wanted = set()
        for join, _ in self.joins:
            for (id,), item in self.service.state[SOURCE].items():
                placed = join.name not in ("moving", "inner") or "status" in item
                if id[0] == "o" and join.name != "owned" and "buyer" in item and placed:
                    customer = item["buyer"]["S"]
                    wanted.add((f"%j{join.name}|id=S:{customer}", f"{join.name}|source/id=S:{id}"))
        return wanted


def _columns(table: str) -> tuple[str, ...]:
    return COLUMNS[:3] if table == "o" else COLUMNS[3:]


def _plain(row: Image) -> dict[str, Any]:
    return {name: value for name, value in decode_item(row).items() if name not in ("pk", "sk", *OWN)}
