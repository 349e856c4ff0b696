"""Many writers of a few groups, whose calls take time, as the parts of a first fill are: they hold each other up as
little as one transaction at a time per group allows."""

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED
from distributary.consumer.parallel import Parallel
from distributary.derive import Aggregate, Entity
from distributary.derive.branch import unchecked
from tests.fakes.answers import refusal
from tests.fakes.built import DERIVED, derive
from tests.fakes.dynamodb import DynamoDB
from tests.replaced import replace
from tests.scheduler.choices import Listed
from tests.scheduler.scheduler import Scheduler
from tests.unit.records import change

WRITERS, ITEMS, DAYS = 8, 594, ("mon", "tue", "wed")
LEAST = WRITERS * ITEMS // 99
"""Transactions that hold all of it, 99 items each beside their group."""

SALES = Aggregate(
    name="sales",
    of=Entity(name="order", keys=("user_id",), attributes=("day", "total")),
    pk="SALES#{day}",
    sk="TOTAL",
    count="orders",
    sum={"revenue": "total"},
)


class Slow:
    """A service whose calls take time, and which cancels a transaction while another one is at its rows, as DynamoDB
    does. `committed` and `cancelled` count transactions.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling"""

    def __init__(self, service, scheduler, seconds):
        self.service, self.scheduler, self.seconds = service, scheduler, seconds
        self.under_way, self.committed, self.cancelled = set(), 0, 0

    def batch_get_item(self, **arguments):
        self.scheduler.sleep(self.seconds / 2)
        return self.service.batch_get_item(**arguments)

    def transact_write_items(self, **arguments):
        rows = [str(put["Put"]["Item"].get("id") or put["Put"]["Item"]["pk"]) for put in arguments["TransactItems"]]
        busy = [row in self.under_way for row in rows]
        if any(busy):
            self.cancelled += 1
            self.scheduler.sleep(self.seconds / 2)
            reasons = [{"Code": "TransactionConflict" if each else "None"} for each in busy]
            raise refusal("TransactWriteItems", "TransactionCanceledException", "no", CancellationReasons=reasons)
        self.under_way |= {*rows}
        self.scheduler.sleep(self.seconds)
        self.under_way -= {*rows}
        try:
            answer = self.service.transact_write_items(**arguments)
        except Exception:
            self.cancelled += 1
            raise
        self.committed += 1
        return answer


def orders(writer):
    places = range(writer * ITEMS, (writer + 1) * ITEMS)
    return [change(n, user=f"u-{n}", new={"day": {"S": DAYS[n % len(DAYS)]}, "total": {"N": "1"}}) for n in places]


@pytest.mark.parametrize("seconds", [0.02, 0.2])
def test_writers_of_a_few_groups_get_all_done_in_few_transactions(seconds):
    scheduler = Scheduler(Listed([]), seed=1)
    service = DynamoDB(DERIVED)
    slow = Slow(service, scheduler, seconds)

    def writer(n):
        def write():
            waits = {"sleep": scheduler.sleep, "jitter": scheduler.uniform}
            branch = replace(derive([SALES], slow, parallel=Parallel(), **waits), check_tables=unchecked)
            return branch.apply(orders(n), Deadline(scheduler.monotonic() + 60, clock=scheduler.monotonic))

        return write

    ends = scheduler.play(*map(writer, range(WRITERS)))
    figures = {key: row["orders"]["N"] for key, row in service.state["derived"].items()}
    assert [end for each in ends for end in each] == [APPLIED] * WRITERS * ITEMS
    assert figures == {(f"SALES#{day}", "TOTAL"): str(WRITERS * ITEMS // len(DAYS)) for day in DAYS}
    assert slow.committed == LEAST
    assert slow.cancelled < 4 * slow.committed
