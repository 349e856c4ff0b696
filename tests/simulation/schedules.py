"""One schedule: a table's life, delivered to two consumers in any order and through any fault, from one seed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.derive import check
from distributary.derive.branch import DeriveBranch
from distributary.derive.ledger import Ledger
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.view import View
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register
from distributary.stream import records as stream_records
from tests.fakes import dynamodb
from tests.fakes.built import DERIVED
from tests.fakes.faults import Crash
from tests.fakes.serial import Serial
from tests.scheduler.choices import Choices, Seeded
from tests.scheduler.effects import ALWAYS, Faults, conflict, partial
from tests.scheduler.scheduler import Scheduler
from tests.simulation.settled import check_settled
from tests.simulation.tables import Life, Record
from tests.simulation.viewpool import Pooled, pool

FOREVER = Deadline(float("inf"))
KINDS = (*ALWAYS, partial, conflict)


def assembled(
    client: Any, views: tuple[View, ...], name: Callable[[str], str], revision: Callable[[], str]
) -> DeriveBranch:
    """The branch as app.py puts it together, but that nobody waits."""
    derived = name("derived")
    tombstones = Tombstones(client, name("tombstones"), 7, lambda: 0.0)
    books = LedgerTables(client, name("ledger"), derived, 7, lambda: 0.0, lambda _: None, lambda a, b: b, revision)
    return DeriveBranch(views, Register(client, derived, tombstones, Serial()), Ledger(books, Serial()))


def consumer(branch: Callable[[], DeriveBranch], batches: list[list[Record]]) -> Callable[[], None]:
    """Each batch again and again, from its first failed record on, until none fails; a crash repeats it whole."""

    def program() -> None:
        for batch in batches:
            left = batch
            while left:
                changes = stream_records.decode({"Records": left}, 0)
                try:
                    ends = branch().apply(changes, FOREVER)
                except Crash:
                    continue
                first = next((at for at, end in enumerate(ends) if end.status is Status.FAILED), len(left))
                left = left[first:]

    return program


@dataclass
class Schedule:
    """Everything that one seed brings about; on the fake table, or on a service where its tables have this prefix."""

    seed: int
    service: Any = field(default_factory=lambda: dynamodb.DynamoDB(DERIVED))
    prefix: str = ""
    items: int = 5
    edits: int = 36
    choices: Choices | None = None

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        pooled = pool(self.random.random() < 0.4, self.random.choice((1, 3)))
        self.pooled: list[Pooled] = self.random.sample(pooled, self.random.randint(1, 4))
        self.views = check([each.declared for each in self.pooled])
        self.table = Life(self.random, self.random.randint(1, self.items), self.random.randint(1, self.edits))
        faults = Faults(self.random.choice((0, 4, 10)), kinds=KINDS, tears=True)
        self.scheduler = Scheduler(
            self.choices or Seeded(self.seed), faults, self.seed, self.random.choice((0.1, 0.5, 0.9))
        )
        self.client = self.scheduler.client(self.service, dynamodb)
        self._sizes = self.random.choice(((1,), (1, 3), (3, 10), (1, 3, 10, 40)))
        self.revisions = 0

    def run(self) -> None:
        """Plays it; fails unless the views hold what the table determines, and nothing once it is empty."""
        records = list(self.table.records)
        self.scheduler.play(*(self.consumer(batches) for batches in self._deliveries(records)))
        self._settled("after the schedule")
        self.scheduler.faults = Faults(tears=True)
        self.random.shuffle(records)
        self.scheduler.play(self.consumer([records]))
        self._settled("after everything came again")
        self.scheduler.play(self.consumer([self.table.empty()]))
        self._settled("after the table was emptied")

    def name(self, of: str) -> str:
        """What a table is called here."""
        return f"{self.prefix}{of}"

    def branch(self) -> DeriveBranch:
        """As app.py puts it together."""
        return assembled(self.client, self.views, self.name, self._revision)

    def consumer(self, batches: list[list[Record]]) -> Callable[[], None]:
        """See `consumer`."""
        return consumer(self.branch, batches)

    def _deliveries(self, records: list[Record]) -> list[list[list[Record]]]:
        """To two consumers: of two shards that share groups, or of one shard, the second a zombie that has seen a
        part of it."""
        if self.random.random() < 0.5:
            return [self._batches(records, True), self._batches(records, False)]
        second = {name for name in self.table.history if self.random.random() < 0.5}
        of = [[r for r in records if (r["dynamodb"]["Keys"]["id"]["S"] in second) is at] for at in (False, True)]
        return [self._batches(shard, True) for shard in of]

    def _batches(self, records: list[Record], complete: bool) -> list[list[Record]]:
        random, batches = self.random, []
        order = list(records) if complete else random.choices(records, k=len(records) // 2) if records else []
        if random.random() < 0.4:
            random.shuffle(order)
        while order:
            many = random.choice(self._sizes)
            batch, order = order[:many], order[many:]
            if random.random() < 0.4:
                batch = batch + random.choices(records, k=random.randint(1, 3))
            if random.random() < 0.3:
                random.shuffle(batch)
            batches.append(batch)
            if random.random() < 0.2:
                batches.append(random.choice(batches))
        return batches

    def _revision(self) -> str:
        self.revisions += 1
        return str(self.revisions)

    def _settled(self, when: str) -> None:
        try:
            check_settled(self.service, self.name("derived"), self.table, self.pooled, self.views)
        except AssertionError as error:
            raise AssertionError(f"seed {self.seed} {when}: {error}") from None
