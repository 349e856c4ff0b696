"""`distributary costs` against the exact counts of derive on the fake table: within 10 %."""

import pytest

from bench import workloads as bench
from bench.workloads import BATCH, UNIFORM, Orders, Workload
from cli.costs import Size
from cli.monthly.batch import Habits
from cli.monthly.traffic import Traffic
from cli.monthly.views import of_batch
from distributary.consumer.deadline import FOREVER
from distributary.derive import Aggregate, Entity, Latest, Projection, Top
from distributary.derive.described import described
from distributary.derive.validation import check
from distributary.stream.records import decode
from tests.fakes.built import DERIVED, derive
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.items import item_bytes

WITHIN = 0.1
BATCHES = 1
ORDERS = 1500
ONE = Workload("one group", [1.0] * ORDERS + [0.0] * (bench.ORDERS - ORDERS), [1.0])
"""As `make bench` has it, with fewer orders: the fake looks at all rows of a group."""

ORDER = Entity(name="order", keys=("order_id",), attributes=("store", "amount", "customer", "address"))
SALES = Aggregate(name="v", of=ORDER, pk="S#{store}", sk="T", count="orders", sum={"revenue": "amount"})
VIEWS = {
    "sums": SALES,
    "edges": Aggregate(
        name="v", of=ORDER, pk="S#{store}", sk="T", min={"least": "amount"}, distinct={"customers": "customer"}
    ),
    "a row of the Register": Projection(name="v", of=ORDER, pk="O#{order_id}", sk="O", keep=("amount", "address")),
    "a row that moves": Projection(name="v", of=ORDER, pk="S#{store}", sk="{order_id}", keep=("amount", "address")),
    "the latest": Latest(name="v", of=ORDER, pk="S#{store}", sk="L", by="amount", keep=("address",)),
    "the first ten": Top(name="v", of=ORDER, pk="S#{store}", sk="L", by="amount", n=10, keep=("address",), rows=True),
}


CASES = [
    *(pytest.param(name, ONE, id=f"{name}, one group") for name in VIEWS),
    pytest.param("sums", UNIFORM, id="sums, many groups"),
    *(
        pytest.param(name, UNIFORM, id=f"{name}, many groups", marks=pytest.mark.slow)
        for name in ("a row of the Register", "a row that moves", "the first ten")
    ),
]


class Counted:
    """What derive takes for some batches of a workload, and the traffic that they are."""

    def __init__(self, view, workload):
        self.service = DynamoDB({"source": {"order_id": "S"}, **DERIVED})
        orders, branch = Orders(workload), derive([view], self.service)
        for _ in range(3):
            branch.apply(decode(orders.batch(), 0), FOREVER)
        self.items = len(orders.images())
        self.bytes = sum(map(item_bytes, orders.images().values())) / self.items
        self.service.write_units = self.service.read_units = 0
        self.service.calls.clear()
        batches = [decode(orders.batch(), 0) for _ in range(BATCHES)]
        for batch in batches:
            branch.apply(batch, FOREVER)
        self.batches = batches

    def traffic(self):
        """Of each item of a batch, from before its first to after its last change."""
        ends = []
        for batch in self.batches:
            first, last = {}, {}
            for each in batch:
                first.setdefault(each.keys["order_id"], each.old)
                last[each.keys["order_id"]] = each.new
            ends += [(first[key], last[key]) for key in last if (first[key], last[key]) != (None, None)]
        kinds = [(old is None, new is None) for old, new in ends]
        inserts, deletes = (sum(kind[at] for kind in kinds) / len(ends) for at in (0, 1))
        moved = sum(old is not None and new is not None and old["store"] != new["store"] for old, new in ends)
        size = Size(self.items, self.bytes)
        updates = 1 - inserts - deletes
        share = moved / len(ends) / updates
        distinct = len(ends) / BATCHES
        return Traffic(100.0, inserts, updates, deletes, size, float(BATCH), distinct), share


def groups(workload):
    return len(workload.stores)


def estimated(name, workload, found):
    traffic, moved = found.traffic()
    (view,) = check([VIEWS[name]])
    reordered = 0.0 if name in ("sums", "a row of the Register", "a row that moves") else (1 - moved)
    if name == "edges":
        reordered = (1 - moved) / 2  # the amounts change, the customers do not
    leaving = 1.0 if name == "edges" else 0.0  # amounts rise: away from the least, and towards the first
    habits = Habits(moved=moved, reordered=reordered, leaving=leaving, groups={"v": groups(workload)})
    return of_batch("v", "source", described(view), traffic, habits).times(BATCHES)


@pytest.mark.parametrize(("name", "workload"), CASES)
def test_units_and_requests_are_within_a_tenth_of_the_exact_count(name, workload):
    found = Counted(VIEWS[name], workload)
    cost = estimated(name, workload, found)
    assert cost.writes == pytest.approx(found.service.write_units, rel=WITHIN)
    assert cost.requests == pytest.approx(sum(found.service.calls.values()), rel=WITHIN)
    assert cost.reads == pytest.approx(found.service.read_units, rel=WITHIN)
