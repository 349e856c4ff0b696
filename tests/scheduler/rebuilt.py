"""Derived tables that an earlier declaration of their views has filled, rebuilt beside the stream."""

from collections.abc import Callable
from random import Random
from typing import Any

from distributary.consumer.outcome import Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.reconcile import Reconcile
from distributary.consumer.sweep import Done, Sweep
from distributary.derive import check
from distributary.derive.branch import DeriveBranch
from distributary.derive.factory import build, rebuilder, reconciler
from distributary.dynamodb.table_reader import pages
from distributary.errors import Unavailable
from distributary.stream.change import Image
from tests.fakes.built import derive_settings
from tests.replaced import replace
from tests.scheduler.choices import Choices
from tests.scheduler.derive import DeriveWorld
from tests.scheduler.source import Image as Raw
from tests.scheduler.world import SOURCE, Plan, World
from tests.simulation.viewpool import pool

RUNS, TRIES = 6, 60
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


class Rebuilds(World):
    """Mixed into a world of derived tables: what the command does."""

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
        if not all(self._swept(rebuild, part) for part in ("ledger", "derived")):
            return False
        keys: list[Raw] = [{"id": each["id"]} for page in pages(self.dynamodb, SOURCE, 0, 1) for each in page]
        ends = reconcile([Reconcile(each) for each in keys], self.deadline())
        if any(end.status is Status.FAILED for end in ends):
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


class RebuiltWorld(Rebuilds, DeriveWorld):
    """`was`: of FORMERS. Until `deploy`, the function has the earlier declarations. No view keeps what TTL deletes
    leave: a rebuild cannot know whether TTL or the application has deleted an item."""

    def __init__(self, seed: int, choices: Choices, plan: Plan, kinds: tuple[str, ...] = (), was: str = "name") -> None:
        super().__init__(seed, choices, plan, kinds)
        self.pooled = [replace(p, declared=replace(p.declared, on_expiry="remove")) for p in self.pooled]
        self.views = check([each.declared for each in self.pooled])
        self.formers = [replace(each.declared, **FORMERS[was](each.declared)) for each in self.pooled]
        self.deployed = False

    def branch(self) -> DeriveBranch:
        """See `World`."""
        declared = [each.declared for each in self.pooled] if self.deployed else self.formers
        return build(declared, derive_settings(), lambda _: self.dynamodb, Parallel())


class Filled(World):
    """Mixed into a world that has `deployed` and `_rebuilt`. An earlier declaration has filled it from some items, and
    a rebuild runs at any time beside the application and the stream."""

    deployed: bool
    _rebuilt: Callable[[], bool]

    def begin(self) -> None:
        """See `World`."""
        super().begin()
        random = Random(f"filled {self.seed}")
        for name in self.names:
            self.put(name, self.image(random))
        assert self.function(self.records) is None
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


class RandomRebuilt(Filled, RebuiltWorld):
    """Views of the pool that a random earlier declaration has filled from some items, and a rebuild at any time beside
    the application and the stream."""

    def __init__(self, seed: int, choices: Choices, plan: Plan) -> None:
        random = Random(f"rebuilt {seed}")
        pooled = pool(False, random.choice((1, 3)))
        kinds = tuple(each.declared.name for each in random.sample(pooled, random.randint(1, 3)))
        super().__init__(seed, choices, plan, kinds, random.choice(list(FORMERS)))
        self.oddities = False


def deploy(world: RebuiltWorld) -> None:
    """No invocation of the earlier declarations runs any more."""
    world.deployed = True


def rebuild(world: RebuiltWorld) -> None:
    """An operator's `distributary rebuild`."""
    world.rebuild()
