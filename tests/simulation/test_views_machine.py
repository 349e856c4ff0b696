"""Any table, any views, any delivery, step by step: Hypothesis looks for the shortest life that ends wrong.

The same lives each time; `EXAMPLES=5000` looks at so many others.
"""

import os
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from distributary.derive import check
from distributary.derive.branch import DeriveBranch
from tests.fakes import dynamodb
from tests.fakes.built import DERIVED
from tests.fakes.dynamodb import DynamoDB
from tests.scheduler.choices import Seeded
from tests.scheduler.effects import Faults
from tests.scheduler.scheduler import Scheduler
from tests.simulation.schedules import KINDS, assembled, consumer
from tests.simulation.settled import check_settled
from tests.simulation.tables import STATUSES, TAGS, TOTALS, Image, Record, Table
from tests.simulation.viewpool import Pooled, pool

NAMES = st.sampled_from(["i0", "i1", "i2", "i3"])
NUMBERS = st.sampled_from(TOTALS).map(lambda text: {"N": text})
IMAGES = st.fixed_dictionaries(
    {"type": st.sampled_from([{"S": "a"}, {"S": "b"}]), "name": st.sampled_from([{"S": "x"}, {"S": "y"}])},
    optional={
        "status": st.sampled_from(STATUSES).map(lambda text: {"S": text}),
        "total": NUMBERS | st.just({"S": "much"}),
        "tags": st.sets(st.sampled_from(TAGS), min_size=1).map(lambda tags: {"SS": sorted(tags)}),
        "when": st.integers(-3, 3).map(lambda number: {"N": str(number)}),
    },
)
POOLED = len(pool(False, 1))


class Views(RuleBasedStateMachine):
    """The real branch on the fake table; what a service does to a call, and who is next, a seed decides."""

    def __init__(self) -> None:
        super().__init__()
        self.service = DynamoDB(DERIVED)
        self.table = Table()
        self.pooled: list[Pooled] = []
        self.revisions = 0

    @initialize(
        kinds=st.sets(st.integers(0, POOLED - 1), min_size=1, max_size=4),
        keep=st.booleans(),
        shards=st.sampled_from([1, 3]),
        before=st.dictionaries(NAMES, IMAGES, max_size=2),
    )
    def begin(self, kinds: set[int], keep: bool, shards: int, before: dict[str, Image]) -> None:
        self.pooled = [pool(keep, shards)[kind] for kind in sorted(kinds)]
        self.views = check([each.declared for each in self.pooled])
        self.table.hold({name: _item(name, image) for name, image in before.items()})
        self.table.scan()

    @rule(name=NAMES, image=IMAGES, gap=st.integers(1, 10**19))
    def put(self, name: str, image: Image, gap: int) -> None:
        self.table.put(name, _item(name, image), gap=gap)

    @precondition(lambda self: self.table.items)
    @rule(data=st.data(), expired=st.booleans())
    def delete(self, data: Any, expired: bool) -> None:
        self.table.put(data.draw(st.sampled_from(sorted(self.table.items))), None, expired)

    @rule()
    def scan(self) -> None:
        """A backfill runs beside the stream."""
        self.table.scan()

    @precondition(lambda self: self.table.records)
    @rule(data=st.data(), faults=st.integers(0, 6), seed=st.integers(0, 2**16), two=st.booleans())
    def deliver(self, data: Any, faults: int, seed: int, two: bool) -> None:
        """Any records in any order, as often as one likes, to one consumer or to two at once."""
        records = st.lists(st.sampled_from(range(len(self.table.records))), max_size=8)
        batches = [data.draw(st.lists(records, min_size=1, max_size=3)) for _ in range(2 if two else 1)]
        self._play([[[self.table.records[at] for at in batch] for batch in each] for each in batches], faults, seed)

    @precondition(lambda self: self.table.records)
    @rule(faults=st.integers(0, 6), seed=st.integers(0, 2**16))
    def settle(self, faults: int, seed: int) -> None:
        """Everything comes, some of it again; the views hold what the table determines."""
        records = list(self.table.records)
        Random(seed).shuffle(records)
        self._play([[records]], faults, seed)
        self._holds()

    def teardown(self) -> None:
        """Nothing is left of an empty table."""
        if not self.pooled:
            return
        self._play([[list(self.table.records)]], 0, 0)
        self._holds()
        self._play([[self.table.empty()]], 0, 0)
        self._holds()

    def _play(self, consumers: list[list[list[Record]]], faults: int, seed: int) -> None:
        scheduler = Scheduler(Seeded(seed), Faults(faults, kinds=KINDS, tears=True), seed)
        client = scheduler.client(self.service, dynamodb)
        scheduler.play(*(consumer(partial(self._branch, client), batches) for batches in consumers))

    def _branch(self, client: Any) -> DeriveBranch:
        return assembled(client, self.views, str, self._revision)

    def _revision(self) -> str:
        self.revisions += 1
        return str(self.revisions)

    def _holds(self) -> None:
        check_settled(self.service, "derived", self.table, self.pooled, self.views)


def _item(name: str, image: Image) -> Image:
    return {"id": {"S": name}, **image}


@pytest.mark.parametrize("examples", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_no_sequence_of_steps_leaves_a_view_wrong(examples):
    asked = os.environ.get("EXAMPLES")
    steps = settings(
        max_examples=int(asked or examples),
        derandomize=not asked,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    run_state_machine_as_test(Views, settings=steps)
