"""Derived tables that an earlier declaration of their views has filled, rebuilt beside the stream."""

from dataclasses import replace
from typing import Any

from distributary.consumer.outcome import Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.reconcile import Reconcile
from distributary.consumer.sweep import Done, Sweep
from distributary.derive.branch import DeriveBranch
from distributary.derive.factory import build, rebuilder, reconciler
from distributary.stream.change import Image
from tests.fakes.built import derive_settings
from tests.scheduler.choices import Choices
from tests.scheduler.derive import DeriveWorld
from tests.scheduler.source import Image as Raw
from tests.scheduler.world import SOURCE, Plan

RUNS = 6
"""So often an operator runs the command again, if rows moved while it looked."""


def small(item: Image) -> bool:
    """What an earlier declaration was about."""
    return item.get("total") != 50


FORMERS: dict[str, Any] = {
    "name": lambda declared: {"name": f"old-{declared.name}"},
    "where": lambda declared: {"where": small},
    "key": lambda declared: {"pk": f"OLD-{declared.pk}"},
    "name and where": lambda declared: {"name": f"old-{declared.name}", "where": small},
}
"""What an earlier declaration had otherwise."""


class RebuiltWorld(DeriveWorld):
    """`was`: of FORMERS. Until `deploy`, the function has the earlier declarations."""

    def __init__(self, seed: int, choices: Choices, plan: Plan, kinds: tuple[str, ...] = (), was: str = "name") -> None:
        super().__init__(seed, choices, plan, kinds)
        self.formers = [replace(each.declared, **FORMERS[was](each.declared)) for each in self.pooled]
        self.deployed = False

    def branch(self) -> DeriveBranch:
        """See `World`."""
        declared = [each.declared for each in self.pooled] if self.deployed else self.formers
        return build(declared, derive_settings(), lambda _: self.dynamodb, Parallel())

    def rebuild(self) -> None:
        """As the command asks the function for it, until nothing is left."""
        for _ in range(RUNS):
            if self._rebuilt():
                return
        raise AssertionError(f"something was left at each of {RUNS} runs")

    def _rebuilt(self) -> bool:
        branch = self.branch()
        reconcile = reconciler(branch, lambda: SOURCE, 0)
        rebuild = rebuilder(branch, reconcile, lambda: SOURCE)
        right = [self._swept(rebuild, part) for part in ("ledger", "derived")]
        keys: list[Raw] = [{"id": each["id"]} for each in self.dynamodb.scan(TableName=SOURCE)["Items"]]
        ends = reconcile([Reconcile(each) for each in keys], self.deadline())
        if not all(right) or any(end.status is Status.FAILED for end in ends):
            return False
        names = frozenset(view.name for view in branch.views)
        told = rebuild.declarations(Done(names, frozenset()), self.deadline())
        rebuild.declarations(Done(names, frozenset(told["written"].keys() - names)), self.deadline())
        return True

    def _swept(self, rebuild: Any, part: str) -> bool:
        cursor, right = None, True
        while True:
            found = rebuild.sweep(Sweep(part, 0, 1, cursor, frozenset(), False), self.deadline())
            right, cursor = right and not +found.left, found.cursor
            if cursor is None:
                return right


def deploy(world: RebuiltWorld) -> None:
    """No invocation of the earlier declarations runs any more."""
    world.deployed = True


def rebuild(world: RebuiltWorld) -> None:
    """An operator's `distributary rebuild`."""
    world.rebuild()
