"""One schedule: a table's life, delivered to two consumers in any order and through any fault, from one seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from threading import Semaphore, Thread
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
from tests.fakes.answers import refusal
from tests.fakes.faults import Crash, broken, crash_after, crash_before, throttled, unanswered
from tests.fakes.serial import Serial
from tests.simulation.settled import check_settled
from tests.simulation.tables import Life, Record
from tests.simulation.viewpool import Pooled, pool

SCHEMAS = {"derived": {"pk": "S", "sk": "S"}, "ledger": {"id": "S"}, "tombstones": {"id": "S"}}
FOREVER = Deadline(float("inf"))
EFFECTS = (crash_before, crash_after, throttled, broken, unanswered)


def conflict(random: Random) -> Callable[[Any, Any], Any]:
    """Some actions of a transaction meet another one, or are throttled."""

    def refuse(arguments: dict[str, Any]) -> Exception:
        codes = [
            random.choice(("None", "None", "TransactionConflict", "ThrottlingError"))
            for _ in arguments["TransactItems"]
        ]
        if set(codes) == {"None"}:
            codes[0] = "TransactionConflict"
        reasons = [{"Code": code} for code in codes]
        return refusal("TransactWriteItems", "TransactionCanceledException", "cancelled", CancellationReasons=reasons)

    return lambda arguments, call: refuse(arguments)


def assembled(
    client: Any, views: tuple[View, ...], name: Callable[[str], str], revision: Callable[[], str]
) -> DeriveBranch:
    """The branch as app.py puts it together, but that nobody waits."""
    derived = name("derived")
    tombstones = Tombstones(client, name("tombstones"), 7, lambda: 0.0)
    books = LedgerTables(client, name("ledger"), derived, 7, lambda: 0.0, lambda _: None, lambda a, b: b, revision)
    return DeriveBranch(views, Register(client, derived, tombstones, Serial()), Ledger(books, Serial()))


def consumer(branch: Callable[[Any], DeriveBranch], batches: list[list[Record]]) -> Callable[[Any], None]:
    """Each batch again and again, from its first failed record on, until none fails; a crash repeats it whole."""

    def program(client: Any) -> None:
        for batch in batches:
            left = batch
            while left:
                changes = stream_records.decode({"Records": left}, 0)
                try:
                    ends = branch(client).apply(changes, FOREVER)
                except Crash:
                    continue
                first = next((at for at, end in enumerate(ends) if end.status is Status.FAILED), len(left))
                left = left[first:]

    return program


class Stage:
    """Lets one consumer at a time make one call; who is next, and what befalls it, the seed decides."""

    def __init__(self, client: Any, random: Random, faults: int) -> None:
        self._client, self._random, self.faults = client, random, faults
        self._turning = random.choice((0.1, 0.5, 0.9))
        self._main = Semaphore(0)
        self._turns: list[Semaphore] = []
        self._over: list[bool] = []
        self._errors: list[BaseException] = []
        self.effects: list[str] = []

    def play(self, programs: Sequence[Callable[[Any], None]]) -> None:
        """Runs the programs, each with a client of its own, to their ends."""
        self._turns = [Semaphore(0) for _ in programs]
        self._over = [False] * len(programs)
        threads = [Thread(target=self._run, args=(at, program), daemon=True) for at, program in enumerate(programs)]
        for thread in threads:
            thread.start()
            self._main.acquire()
        current = 0
        while not all(self._over):
            open_ = [at for at, over in enumerate(self._over) if not over]
            if current not in open_ or self._random.random() < self._turning:
                current = self._random.choice(open_)
            self._turns[current].release()
            self._main.acquire()
        if self._errors:
            raise self._errors[0]

    def _run(self, at: int, program: Callable[[Any], None]) -> None:
        try:
            self._wait(at)
            program(_Client(self, at))
        except BaseException as error:  # noqa: BLE001
            self._errors.append(error)
        self._over[at] = True
        self._main.release()

    def _wait(self, at: int) -> None:
        self._main.release()
        self._turns[at].acquire()

    def call(self, at: int, operation: str, arguments: dict[str, Any]) -> Any:
        self._wait(at)
        method = getattr(self._client, operation)
        if self.faults and self._random.random() < 0.15:
            self.faults -= 1
            if operation == "transact_write_items" and self._random.random() < 0.5:
                self.effects.append("conflict")
                raise conflict(self._random)(arguments, method)
            if operation == "batch_get_item" and self._random.random() < 0.3:
                self.effects.append("unprocessed")
                return {"Responses": {}, "UnprocessedKeys": arguments["RequestItems"]}
            effect = self._random.choice(EFFECTS)
            self.effects.append(effect.__name__)
            return effect(lambda: method(**arguments), dynamodb)
        if operation == "batch_get_item" and self._random.random() < 0.5:
            return self._torn(at, method, **arguments)
        return method(**arguments)

    def _torn(self, at: int, method: Callable[..., Any], RequestItems: dict[str, Any]) -> Any:
        """A BatchGetItem is many reads: others write between them."""
        if len(RequestItems) > 1:
            answers = {}
            for table in self._random.sample(sorted(RequestItems), len(RequestItems)):
                answers |= method(RequestItems={table: RequestItems[table]})["Responses"]
                self._wait(at)
            return {"Responses": answers, "UnprocessedKeys": {}}
        ((table, request),) = RequestItems.items()
        keys = self._random.sample(request["Keys"], len(request["Keys"]))
        found = []
        for part in filter(None, (keys[: len(keys) // 2], keys[len(keys) // 2 :])):
            answer = method(RequestItems={table: {**request, "Keys": part}})
            found += next(iter(answer["Responses"].values()), [])
            self._wait(at)
        return {"Responses": {table: found}, "UnprocessedKeys": {}}


class _Client:
    def __init__(self, stage: Stage, at: int) -> None:
        self._stage, self._at = stage, at

    def pause(self) -> None:
        """Lets others come before the next call."""
        self._stage._wait(self._at)

    def __getattr__(self, operation: str) -> Any:
        return lambda **arguments: self._stage.call(self._at, operation, arguments)


@dataclass
class Schedule:
    """Everything that one seed brings about; on the fake table, or on a service where its tables have this prefix."""

    seed: int
    service: Any = field(default_factory=lambda: dynamodb.DynamoDB(SCHEMAS))
    prefix: str = ""
    items: int = 5
    edits: int = 36

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        pooled = pool(self.random.random() < 0.4, self.random.choice((1, 3)))
        self.pooled: list[Pooled] = self.random.sample(pooled, self.random.randint(1, 4))
        self.views = check([each.declared for each in self.pooled])
        self.table = Life(self.random, self.random.randint(1, self.items), self.random.randint(1, self.edits))
        self.stage = Stage(self.service, self.random, self.random.choice((0, 4, 10)))
        self._sizes = self.random.choice(((1,), (1, 3), (3, 10), (1, 3, 10, 40)))
        self.revisions = 0

    def run(self) -> None:
        """Plays it; fails unless the views hold what the table determines, and nothing once it is empty."""
        records = list(self.table.records)
        self.stage.play([self.consumer(batches) for batches in self._deliveries(records)])
        self._settled("after the schedule")
        self.stage.faults = 0
        self.random.shuffle(records)
        self.stage.play([self.consumer([records])])
        self._settled("after everything came again")
        self.stage.play([self.consumer([self.table.empty()])])
        self._settled("after the table was emptied")

    def name(self, of: str) -> str:
        """What a table is called here."""
        return f"{self.prefix}{of}"

    def branch(self, client: Any) -> DeriveBranch:
        """As app.py puts it together."""
        return assembled(client, self.views, self.name, self._revision)

    def consumer(self, batches: list[list[Record]]) -> Callable[[Any], None]:
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
