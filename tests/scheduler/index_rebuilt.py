"""An index that an earlier declaration has filled, rebuilt beside the stream."""

from dataclasses import replace
from random import Random
from typing import Any

from distributary.consumer.outcome import Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.reconcile import Reconcile
from distributary.consumer.sweep import Sweep
from distributary.dynamodb.read_budget import Pace
from distributary.dynamodb.table_reader import pages
from distributary.errors import Unavailable
from distributary.index.factory import build
from distributary.index.reconcile import IndexReconciler
from distributary.index.sweep import IndexRebuilder
from tests.scheduler.choices import Choices
from tests.scheduler.index import INDEX, PERSON, IndexWorld
from tests.scheduler.rebuilt import RUNS, TRIES
from tests.scheduler.source import Image
from tests.scheduler.world import SOURCE, Plan
from tests.unit.index_settings import clients, settings

EVERYBODY = replace(PERSON, where=None)
FORMERS: dict[str, Any] = {
    "id": {"id": "OLD#{id}"},
    "where": {"of": EVERYBODY},
    "id and where": {"id": "OLD#{id}", "of": EVERYBODY},
}
"""What an earlier declaration had otherwise."""


class RebuiltIndex(IndexWorld):
    """`was`: of FORMERS. Until `deployed`, the function has the earlier declaration."""

    def __init__(self, seed: int, choices: Choices, plan: Plan, was: str = "id") -> None:
        super().__init__(seed, choices, plan)
        self.former = replace(INDEX, **FORMERS[was])
        self.deployed = False

    def branch(self) -> Any:
        """See `World`."""
        declared = INDEX if self.deployed else self.former
        return build([declared], settings(), clients(self.search), Parallel())

    def rebuild(self) -> None:
        """As the command asks the function for it, until nothing is left."""
        for _ in range(RUNS):
            if self._rebuilt():
                return
        raise AssertionError(f"something was left at each of {RUNS} runs")

    def _rebuilt(self) -> bool:
        branch = self.branch()
        reconcile = IndexReconciler(branch, self.search, self.dynamodb, lambda: SOURCE)
        rebuilder = IndexRebuilder([branch], reconcile, self.search, self.dynamodb, lambda: SOURCE, Pace())
        cursor, right = None, True
        while right:
            asked = Sweep(INDEX.physical(0), 0, 1, cursor, frozenset(), False)
            found = rebuilder.sweep(asked, self.deadline())
            right, cursor = not +found.left, found.cursor
            if cursor is None:
                break
        keys: list[Image] = [{"id": each["id"]} for page in pages(self.dynamodb, SOURCE, 0, 1) for each in page]
        ends = reconcile([Reconcile(each) for each in keys], self.deadline())
        return right and not any(end.status is Status.FAILED for end in ends)


class RandomRebuiltIndex(RebuiltIndex):
    """An index that a random earlier declaration has filled, and a rebuild at any time beside the application and the
    stream. There may be a gap before: what the stream holds no more, and an item that was deleted in it."""

    def __init__(self, seed: int, choices: Choices, plan: Plan) -> None:
        super().__init__(seed, choices, plan, Random(f"rebuilt {seed}").choice(list(FORMERS)))

    def begin(self) -> None:
        """See `World`."""
        super().begin()
        random = Random(f"filled {self.seed}")
        for name in self.names:
            self.put(name, self.image(random))
        assert self.function(self.records) is None
        if random.random() < 0.5:
            self.delete(random.choice(self.names))
            self.records.clear()
        self.deployed = True

    def actors(self) -> list[tuple[str, Any]]:
        """See `World`."""
        return [*super().actors(), ("rebuilder", self.rebuilder)]

    def rebuilder(self) -> None:
        """Runs the command until it is done."""
        for _ in range(TRIES):
            invocation = self.scheduler.spawn("rebuild", self._tried)
            self.scheduler.wait(lambda ended=invocation: ended.ended)
            if not invocation.crashed and invocation.result:
                return
            self.scheduler.sleep(1.0)
        raise AssertionError(f"something was left at each of {TRIES} tries")

    def _tried(self) -> bool:
        try:
            return self._rebuilt()
        except Unavailable:
            return False


def deploy(world: RebuiltIndex) -> None:
    """No invocation of the earlier declaration runs any more."""
    world.deployed = True


def rebuild(world: RebuiltIndex) -> None:
    """An operator's `distributary rebuild index`."""
    world.rebuild()
