"""`distributary costs` of a join against the exact counts of derive on the fake table: within 10 %."""

import pytest

from cli.costs import Cost, Size
from cli.monthly.batch import Habits
from cli.monthly.traffic import Traffic
from cli.monthly.views import of_batch
from distributary.derive.described import described
from distributary.derive.validation import check
from tests.fakes.items import item_bytes
from tests.unit.joined import BY_COUNTRY, INNER, LEFT, OPEN, OWNED, Shop, declared

WITHIN = 0.1
RIGHTS, ROWS, LONG = 40, 5, "x" * 700
JOINS = {
    "left": LEFT,
    "inner": INNER,
    "its own subscription": OWNED,
    "where": OPEN,
    "by country": BY_COUNTRY,
    "long rows": declared(keep=("total", "status"), keep_right=("name", "country")),
}


class Counted:
    """What derive takes for batches of either side, of so many changes of each kind."""

    def __init__(self, join):
        self.shop, self.join = Shop(join), join
        self.long = LONG if "status" in join.keep else ""
        self.shop.deliver(*(self.customer(at, "uk") for at in range(RIGHTS)))
        for begin in range(0, RIGHTS * ROWS, 100):
            self.shop.deliver(*(self.order(at) for at in range(begin, begin + 100)))

    def customer(self, at, country, name="Ada"):
        name = self.long + name
        return self.shop.put("customers", f"c{at}", name=name, tier="gold", country=country)

    def order(self, at, total="5", moved=0):
        owner = f"c{(at + moved) % RIGHTS}"
        return self.shop.put("orders", f"o{at:04d}", customer_id=owner, total=self.long + total, status="open")

    empty = 0
    """Queries that find nothing: DynamoDB takes a read unit for each, the fake table none."""

    def lefts(self):
        """30 inserts, 40 edits, 10 that get another customer, 20 deletes."""
        many = RIGHTS * ROWS
        return [
            *(self.order(many + at) for at in range(30)),
            *(self.order(at, total="6") for at in range(40)),
            *(self.order(at, total="6", moved=1) for at in range(40, 50)),
            *(self.shop.delete("orders", f"o{at:04d}") for at in range(60, 80)),
        ]

    def rights(self):
        """2 inserts, 10 edits, 6 that move their rows if the country is in these keys, 2 deletes."""
        self.empty = 2
        return [
            *(self.customer(RIGHTS + at, "uk") for at in range(self.empty)),
            *(self.customer(at, "uk", name="Eve") for at in range(10)),
            *(self.customer(at, "de", name="Eve") for at in range(10, 16)),
            *(self.shop.delete("customers", f"c{at}") for at in range(20, 22)),
        ]

    def exact(self, records):
        service = self.shop.service
        service.write_units = service.read_units = 0
        service.calls.clear()
        self.shop.deliver(*records)
        return Cost(service.read_units + self.empty, service.write_units, sum(service.calls.values()))

    def size(self, table):
        items = self.shop.service.state[table].values()
        return Size(len(items), sum(map(item_bytes, items)) / len(items))


def of(counted, table, shares, many, moved):
    inserts, updates, deletes = (share / many for share in shares)
    traffic = Traffic(100.0, inserts, updates, deletes, counted.size(table), float(many), float(many))
    (view,) = check([counted.join])
    return of_batch(view.name, table, described(view), traffic, Habits(moved=moved, rows={view.name: ROWS}))


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
def test_changes_of_left_items_are_within_a_tenth_of_the_exact_count(join):
    counted = Counted(join)
    cost = of(counted, "orders", (30, 50, 20), 100, moved=0.2)
    near(cost, counted.exact(counted.lefts()))


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
def test_changes_of_right_items_are_within_a_tenth_of_the_exact_count(join):
    counted = Counted(join)
    cost = of(counted, "customers", (2, 16, 2), 20, moved=6 / 16 if join is BY_COUNTRY else 0.0)
    near(cost, counted.exact(counted.rights()))


def near(cost, exact):
    assert cost.writes == pytest.approx(exact.writes, rel=WITHIN)
    assert cost.requests == pytest.approx(exact.requests, rel=WITHIN)
    assert cost.reads == pytest.approx(exact.reads, rel=WITHIN)


@pytest.mark.parametrize(("given", "share"), [(None, 1 / 6), (0.5, 0.5)])
def test_a_table_that_holds_both_sides_has_a_share_of_each(given, share):
    (view,) = check([LEFT])
    both = {**described(view), "of.table": "shop", "right.table": "shop"}
    traffic = Traffic(100.0, 0.0, 1.0, 0.0, Size(6000, 200.0), 100.0, 100.0)
    alone = [
        of_batch("v", "shop", {**both, side: "elsewhere"}, traffic, Habits(rows={"v": ROWS}))
        for side in ("right.table", "of.table")
    ]
    mixed = of_batch("v", "shop", both, traffic, Habits(rows={"v": ROWS}, right=given))
    assert mixed.writes == pytest.approx(alone[0].writes * (1 - share) + alone[1].writes * share)


def test_a_view_of_another_table_is_no_cost_of_this_one():
    (view,) = check([LEFT])
    traffic = Traffic(100.0, 0.0, 1.0, 0.0, Size(6000, 200.0), 100.0, 100.0)
    assert of_batch("v", "carts", described(view), traffic, Habits()) == "it is about orders and customers"
