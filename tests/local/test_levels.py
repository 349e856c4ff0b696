"""A stack that reads the derived table of another: the built functions, up to the rows of the second."""

import time
from pathlib import Path

from local.stack import Project, Stack

ROOT = Path(__file__).parents[2]
FIRST = """from distributary.derive import Aggregate, Entity
ORDER = Entity(name="order", keys=("id",), attributes=("customer", "total"))
SALES = Aggregate(name="sales", of=ORDER, pk="CUSTOMER#{customer}", sk="TOTALS", count="orders",
                  sum={"revenue": "total"}, min={"least": "total"})
VIEWS = [SALES]
"""
SECOND = f"""{FIRST}
from distributary.derive import rows_of
VIEWS = [Aggregate(name="tiers", of=rows_of(SALES), pk="TIER#{{tier}}", sk="TOTALS", count="customers",
                   compute={{"tier": lambda row: "large" if row["revenue"] >= 100 else "small"}},
                   sum={{"orders": "orders", "revenue": "revenue"}})]
"""


def project(folder, name, views):
    own = folder / name
    own.mkdir()
    (own / "views.py").write_text(views)
    return Project(ROOT, ROOT / f".build/test-levels-{name}", {"derive": own}, f"levels-{name}")


def drained(mapping):
    asked = time.monotonic()
    while not mapping.drained(asked):
        assert time.monotonic() < asked + 90
        time.sleep(0.1)


def recomputed(table):
    """Customers, orders and revenue of each tier, out of the orders themselves."""
    by_customer, found = {}, {}
    for item in table.client.scan(TableName=table.name)["Items"]:
        by_customer.setdefault(item["customer"]["S"], []).append(int(item["total"]["N"]))
    for totals in by_customer.values():
        tier = "TIER#large" if sum(totals) >= 100 else "TIER#small"
        before = found.get(tier, (0, 0, 0))
        found[tier] = before[0] + 1, before[1] + len(totals), before[2] + sum(totals)
    return found


def test_a_second_stack_derives_from_the_rows_of_the_first(tmp_path, aws, table):
    for n in range(60):
        table.put(f"o{n}", customer={"S": f"c{n % 7}"}, total={"N": str(n % 23)})
    with (
        Stack(project(tmp_path, "first", FIRST), aws, {"DerivedTableStream": "true"}, lambda *_: None) as first,
        Stack(project(tmp_path, "second", SECOND), aws, {}, lambda *_: None) as second,
    ):
        derived = table.client.describe_table(TableName="levels-first-DerivedTable")["Table"]
        lower = first.attach(table.arn, ["derive"], aws)["derive"]
        upper = second.attach(derived["LatestStreamArn"], ["derive"], aws)["derive"]
        for n in range(0, 60, 4):
            table.put(f"o{n}", customer={"S": f"c{n % 5}"}, total={"N": "30"})
            table.delete(f"o{n + 1}")
        drained(lower), drained(upper)
        rows = table.client.scan(TableName="levels-second-DerivedTable")["Items"]
        outcomes = second.function("derive").metrics.counts()
    figures = ("customers", "orders", "revenue")
    assert {row["pk"]["S"]: tuple(int(row[name]["N"]) for name in figures) for row in rows} == recomputed(table)
    assert outcomes["Ignored"] > 0, "counted members are records of the derived table's stream as well"
    assert not outcomes.get("Parked", 0) + outcomes.get("Failed", 0)
