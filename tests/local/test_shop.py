"""The views of examples/shop after random writes to three tables: row for row what SQLite makes of the items."""

import json
import os
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from examples.shop import sql as shop_sql
from local.stack import Project, Stack

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples/shop"
TABLES = ("orders", "customers", "products")
WRITES = int(os.environ.get("SHOP_WRITES", "400"))
"""Each takes about 20 ms of CPU time, most of it the emulator's and the functions'."""

STATUSES = ("paid", "paid", "open", "refunded", "cancelled")
COUNTRIES = ("DE", "FR", "NL", "PT", "日本")
NAMES = ("Ada", 'Grace "Hopper"', "Ålesund & søn", "O'Neil", "名前")
STAFF = tuple(f"s{n}" for n in range(12))
BATCHES = {"BatchSize": "2000", "BatchingWindowSeconds": "30" if WRITES > 10_000 else "1"}
BEGIN = datetime(2026, 9, 1, tzinfo=UTC)


class Shopping:
    """Random writes of all kinds, by boto3 alone: `many` writes of single items, in transactions also."""

    def __init__(self, client, many, seed):
        self.client, self.many, self.draw = client, many, random.Random(seed)
        self.ids = {"orders": many // 8 + 20, "customers": many // 50 + 10, "products": many // 200 + 10}

    def run(self, on_share):
        """`on_share` is called at each tenth."""
        written, shares = 0, 0
        while written < self.many:
            written += self.write()
            if written * 10 // self.many > shares:
                shares = written * 10 // self.many
                on_share(shares)

    def write(self):
        table = self.draw.choices(TABLES, (14, 3, 1))[0]
        match self.draw.randrange(20):
            case 0 | 1:
                return self.transaction()
            case 2 | 3 | 4:
                self.client.delete_item(TableName=table, Key=self.key(table))
            case 5 | 6 | 7 | 8 | 9:
                self.client.update_item(TableName=table, Key=self.key(table), **self.change(table))
            case _:
                self.client.put_item(TableName=table, Item=self.item(table))
        return 1

    def transaction(self):
        """An order with its customer and a product, and another order that goes."""
        keys = {(table, self.key(table)["id"]["S"]) for table in (*TABLES, "orders")}
        first, *others = sorted(keys)
        actions = [{"Put": {"TableName": table, "Item": {**self.item(table), "id": {"S": id}}}} for table, id in others]
        actions.append({"Delete": {"TableName": first[0], "Key": {"id": {"S": first[1]}}}})
        self.client.transact_write_items(TransactItems=actions)
        return len(actions)

    def key(self, table):
        """The same ids in all tables; a few are written most of the time."""
        return {"id": {"S": str(int(self.ids[table] * self.draw.random() ** 2))}}

    def item(self, table):
        return {**self.key(table), **getattr(self, table)(), **self.maybe(by={"S": self.draw.choice(STAFF)})}

    def orders(self):
        return {
            "status": {"S": self.draw.choice(STATUSES)},
            "placed_at": {"S": self.moment()},
            **self.maybe(customer=self.key("customers")["id"]),
            **self.maybe(country={"S": self.draw.choice(COUNTRIES)}),
            **self.maybe(total={"N": self.amount(24)}),
            **self.maybe(lines={"L": [self.line() for _ in range(self.draw.randrange(5))]}),
        }

    def line(self):
        quantity = {"N": str(self.draw.randint(1, 9))}
        return {
            "M": {"quantity": quantity, "price": {"N": self.amount(6)}, **self.maybe(sku=self.key("products")["id"])}
        }

    def customers(self):
        name = self.draw.choice(NAMES)
        return {
            "name": {"S": name},
            "active": {"BOOL": self.draw.random() < 0.7},
            **self.maybe(email={"S": f"User.{self.draw.randrange(99)}@Example.COM"}),
            **self.maybe(address={"M": self.maybe(city={"S": self.draw.choice(("Faro", "Lyon", "Köln"))})}),
        }

    def products(self):
        return {
            "name": {"S": self.draw.choice(NAMES)},
            **self.maybe(category={"S": self.draw.choice(("books", "games", "tools"))}),
            **self.maybe(price={"N": self.amount(6)}),
        }

    def change(self, table):
        """One attribute set, or removed; of an item that is gone, a new one with little in it."""
        item = self.item(table)
        name = self.draw.choice(sorted(item.keys() - {"id"}))
        if table == "orders" and name != "placed_at" and self.draw.random() < 0.2:
            return {"UpdateExpression": "REMOVE #n", "ExpressionAttributeNames": {"#n": name}}
        named = {"#n": name, **({"#p": "placed_at"} if table == "orders" and name != "placed_at" else {})}
        values = {":v": item[name], **({":p": item["placed_at"]} if "#p" in named else {})}
        default = ", #p = if_not_exists(#p, :p)" if "#p" in named else ""
        return {
            "UpdateExpression": f"SET #n = :v{default}",
            "ExpressionAttributeNames": named,
            "ExpressionAttributeValues": values,
        }

    def maybe(self, **attributes):
        return attributes if self.draw.random() < 0.9 else {}

    def moment(self):
        """Often the same, in one of three time zones."""
        at = BEGIN + timedelta(minutes=15 * self.draw.randrange(90 * 96))
        return at.astimezone(timezone(timedelta(hours=self.draw.choice((0, 2, -8))))).isoformat()

    def amount(self, digits):
        """As a table has it."""
        number = Decimal(self.draw.randrange(10 ** self.draw.randint(1, digits))).scaleb(-self.draw.choice((0, 2, 4)))
        return shop_sql.text(number) if self.draw.random() < 0.95 else shop_sql.text(-number)


class Causes:
    """Why deliveries of changes failed, which came again; `many`: how many changes, by a function's log line."""

    def __init__(self):
        self.many = Counter()

    def __call__(self, function, line):
        if '"failed"' in line and (entry := json.loads(line))["message"] == "failed":
            self.many[entry["cause"]] += entry["changes"]


def out_of_time(cause):
    """Whether the emulator answered too late, as it does under 100,000 writes: it has one thread and 10 GB by then."""
    return "TimeoutError" in cause or cause.startswith("stopped before the function's timeout")


def scanned(client, table):
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [item for page in pages for item in page["Items"]]


def shown(items):
    """What a reader sees of a derived table; NULL stands for a computed attribute that an item lacks."""
    rows = {}
    for item in items:
        if not item["pk"]["S"].startswith(("%m", "%h", "%j")):
            row = attributes({name: typed for name, typed in item.items() if not name.startswith("_distributary_")})
            rows[row["pk"], row["sk"]] = row
    return rows


def attributes(item):
    plain = {"S": str, "N": Decimal, "L": lambda entries: [attributes(each["M"]) for each in entries]}
    pairs = ((name, *typed.items()) for name, typed in item.items())
    return {name: plain[kind](value) for name, (kind, value) in pairs if kind != "NULL"}


def differences(made, expected):
    return {
        key: (made.get(key), expected.get(key)) for key in made.keys() | expected if made.get(key) != expected.get(key)
    }


def drained(mappings):
    asked = time.monotonic()
    while not all(mapping.drained(asked) for mapping in mappings):
        assert time.monotonic() < asked + 300 + WRITES / 10
        time.sleep(0.1)


@pytest.fixture
def sources(aws):
    client = aws.client("dynamodb")
    for table in TABLES:
        client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
    yield [client.describe_table(TableName=table)["Table"]["LatestStreamArn"] for table in TABLES]
    for table in TABLES:
        client.delete_table(TableName=table)


def project(name, declared):
    return Project(ROOT, ROOT / ".build/test-shop", {"derive": declared}, name)


def test_every_row_is_what_sql_makes_of_the_items(aws, sources):
    """The streams are rewound once in between: much is delivered twice."""
    client, causes = aws.client("dynamodb"), Causes()
    own = {"DerivedTableStream": "true", **BATCHES}
    with (
        Stack(project("shop", SHOP / "derive"), aws, own, causes) as shop,
        Stack(project("shop-tiers", SHOP / "tiers"), aws, BATCHES, causes) as tiers,
    ):
        shop.function("derive", *sources)
        lower = [shop.attach(arn, ["derive"], aws)["derive"] for arn in sources]
        derived = client.describe_table(TableName="shop-DerivedTable")["Table"]["LatestStreamArn"]
        upper = tiers.attach(derived, ["derive"], aws)["derive"]
        places = {}

        def on_share(tenths):
            print(f"{tenths}0 % written at {time.strftime('%H:%M:%S')}", flush=True)
            for at, mapping in enumerate(lower):
                if tenths == 5:
                    places[at] = mapping.checkpoints()
                if tenths == 6:
                    for shard, place in places[at].items():
                        mapping.rewind(shard, place)

        Shopping(client, WRITES, seed=WRITES).run(on_share)
        drained(lower)
        drained([upper])
        outcomes = [each.function("derive").metrics.counts() for each in (shop, tiers)]
        made = shown(scanned(client, "shop-DerivedTable")), shown(scanned(client, "shop-tiers-DerivedTable"))
    items = {table: scanned(client, table) for table in TABLES}
    found = shop_sql.database(items)
    expected = shop_sql.rows(found, shop_sql.VIEWS), shop_sql.rows(found, shop_sql.OVER_VIEWS)
    print(WRITES, "writes,", *(f"{len(items[table])} {table}," for table in TABLES), len(made[0]), "rows", *outcomes)
    print(dict(causes.many))
    assert [differences(*sides) for sides in zip(made, expected, strict=True)] == [{}, {}]
    assert [counts["Parked"] for counts in outcomes] == [0, 0]
    assert not [cause for cause in causes.many if WRITES <= 10_000 or not out_of_time(cause)], causes.many
    assert all(shop_sql.rows(found, {view: select}) for view, select in shop_sql.VIEWS.items()), "a view without rows"
    found.execute("UPDATE orders SET total = decimal_mul(total, '1.0000000000000000000001') WHERE total != '0'")
    assert differences(made[0], shop_sql.rows(found, shop_sql.VIEWS)), "a fault in the 22nd digit would be seen"
