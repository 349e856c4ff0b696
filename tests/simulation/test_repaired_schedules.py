"""Whatever befell the derived tables: verification tells it, a repair sets it right, and the stream goes on."""

from random import Random
from typing import Any

from distributary.derive import Projection
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.verify.item_verifier import Comparator
from distributary.derive.verify.repair import Repair
from distributary.derive.verify.scan import Scan
from distributary.derive.verify.verifier import Verify
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register
from distributary.verify.report import Report
from tests.fakes.built import DERIVED
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.serial import Serial
from tests.scheduler.effects import Faults
from tests.selection import cut, parts
from tests.simulation.damage import Damage
from tests.simulation.schedules import Schedule
from tests.simulation.settled import check_settled

MANY = 400


class Settled(Schedule):
    """A schedule that was played to its end, its source table scannable. Views that keep what TTL takes, and items
    that a view cannot take, are not all verified: a schedule with such is no matter here."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.service.state["items"] = {(name,): image for name, image in self.table.items.items()}
        self.verifiable = all(self._verifies(each) for each in self.pooled)

    def _verifies(self, pooled: Any) -> bool:
        return pooled.declared.on_expiry == "remove" and all(map(pooled.takes, self.table.items.values()))

    def settle(self) -> None:
        self.scheduler.play(self.consumer([[*self.table.records]]))
        self.holds()

    def holds(self) -> None:
        check_settled(self.service, "derived", self.table, self.pooled, self.views)

    def wrong(self) -> bool:
        try:
            self.holds()
        except AssertionError:
            return True
        return False

    def verify(self, repair: bool) -> Report:
        books = LedgerTables(self.service, "ledger", "derived", 7, lambda: 0.0, lambda _: None, revision=self._revision)
        eye = Comparator("items", self.views, books, 0, 0.0, lambda _: None)
        register = Register(self.service, "derived", Tombstones(self.service, "tombstones", 7, lambda: 0.0), Serial())
        mending = Repair(books, register) if repair else None
        return Verify(eye, Scan(books, Serial(), 3), ("id",), repair=mending).run()


def settled(seed: int) -> Settled | None:
    schedule = Settled(seed, DynamoDB({**DERIVED, "items": {"id": "S"}}))
    if not schedule.verifiable:
        return None
    schedule.scheduler.faults = Faults(tears=True)
    schedule.settle()
    return schedule


@parts(4)
def test_what_was_damaged_is_told_and_repaired_and_the_stream_goes_on(part: tuple[int, int]) -> None:
    damaged = 0
    for seed in cut(range(MANY), part):
        schedule = settled(seed)
        if schedule is None:
            continue
        assert schedule.verify(repair=False).equal, f"seed {seed}: a healthy view is called wrong"
        projections = tuple(view.name for view in schedule.views if isinstance(view.declared, Projection))
        random = Random(seed)
        damage = Damage(random, schedule.service, projections)
        damage.strike(random.randint(1, 4))
        wrong = schedule.wrong()
        damaged += wrong
        report = schedule.verify(repair=False)
        assert not (wrong and report.equal), f"seed {seed}: a wrong view is called healthy"
        mended = schedule.verify(repair=True)
        again = schedule.verify(repair=False)
        assert again.equal, f"seed {seed}: {mended.samples} left {again.samples}"
        schedule.holds()
        records = schedule.table.records
        old = records if damage.forgotten else random.choices(records, k=min(5, len(records)))
        schedule.scheduler.play(schedule.consumer([old]))
        schedule.holds()
        schedule.scheduler.play(schedule.consumer([schedule.table.empty()]))
        schedule.holds()
    assert damaged > 20
