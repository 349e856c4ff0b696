"""An OpenSearch index that an earlier declaration has filled, rebuilt beside the stream."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from distributary.consumer.outcome import Outcome, Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.reconcile import Reconcile
from distributary.consumer.sweep import Done, Sweep
from distributary.dynamodb.read_budget import Pace
from distributary.dynamodb.table_reader import pages
from distributary.index.described import described, history
from distributary.index.factory import build
from distributary.index.opensearch.history import History
from distributary.index.reconcile import IndexReconciler
from distributary.index.sweep import IndexRebuilder
from distributary.stream.change import Image
from tests.scheduler.choices import Choices
from tests.scheduler.index import INDEX, PERSON, IndexWorld
from tests.scheduler.rebuilt import RUNS, Filled
from tests.scheduler.source import Image as Raw
from tests.scheduler.world import SOURCE, Plan
from tests.unit.index_settings import clients, settings


def odd(item: Image) -> bool:
    """What an earlier declaration was about."""
    return "hidden" in item or item.get("total") != 20


FORMERS = {
    "id": replace(INDEX, id="OLD#{id}"),
    "where": replace(INDEX, of=replace(PERSON, where=odd)),
    "id and where": replace(INDEX, id="OLD#{id}", of=replace(PERSON, where=odd)),
}
"""The earlier declaration, by what it had otherwise."""


class RebuiltIndexWorld(IndexWorld):
    """`was`: of FORMERS. Until `deploy`, the function has the earlier declaration."""

    def __init__(self, seed: int, choices: Choices, plan: Plan, was: str = "id") -> None:
        super().__init__(seed, choices, plan)
        self.former, self.deployed, self.rebuilt = FORMERS[was], False, False

    def branch(self) -> Any:
        """See `World`."""
        return build([INDEX if self.deployed else self.former], settings(), clients(self.search), Parallel())

    def image(self, random: Random) -> dict[str, Any]:
        """See `World`. Some are what the earlier declaration was not about."""
        return {**super().image(random), "total": {"N": str(random.choice((10, 20)))}}

    def rebuild(self) -> None:
        """As the command asks the function for it, until nothing is left."""
        for _ in range(RUNS):
            if self._rebuilt():
                return
        raise AssertionError(f"something was left at each of {RUNS} runs")

    def _rebuilt(self) -> bool:
        branch = self.branch()
        reconcile = IndexReconciler(branch, self.search, self.dynamodb, lambda: SOURCE)
        rebuild = IndexRebuilder(
            [branch], reconcile, self.search, self.dynamodb, lambda: SOURCE, Pace(), {0: self.history()}
        )
        if not self._swept(rebuild):
            return False
        keys: list[Raw] = [{"id": each["id"]} for page in pages(self.dynamodb, SOURCE, 0, 1) for each in page]
        ends: Sequence[Outcome] = reconcile([Reconcile(each) for each in keys], self.deadline())
        if any(end.status is Status.FAILED for end in ends):
            return False
        rebuild.declarations(Done(frozenset({INDEX.name}), frozenset()), self.deadline())
        self.rebuilt = True
        return True

    def history(self) -> History:
        """What the deployed function reads and writes of its declarations."""
        return history(self.search, [INDEX], 0, self.scheduler.time)

    def check(self, when: str) -> None:
        """See `World`. After a rebuild nothing is due."""
        super().check(when)
        kept = history(self.engine, [INDEX], 0).written()[INDEX.name]
        assert not self.rebuilt or kept == [described([INDEX])], f"{when}: {len(kept)} declarations are remembered"

    def _swept(self, rebuild: IndexRebuilder) -> bool:
        cursor, right = None, True
        while True:
            asked = Sweep(INDEX.physical(0), 0, 1, cursor, frozenset(), False)
            found = rebuild.sweep(asked, self.deadline())
            right, cursor = right and not +found.left, found.cursor
            if cursor is None:
                return right


class RandomRebuiltIndex(Filled, RebuiltIndexWorld):
    """An index that a random earlier declaration has filled from some items, and a rebuild at any time beside the
    application and the stream."""

    def __init__(self, seed: int, choices: Choices, plan: Plan) -> None:
        super().__init__(seed, choices, plan, Random(f"rebuilt {seed}").choice(list(FORMERS)))
