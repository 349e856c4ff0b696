"""Joins that an earlier declaration has filled, rebuilt beside the stream of both sides."""

from random import Random
from typing import Any

from distributary.consumer.parallel import Parallel
from distributary.derive.branch import DeriveBranch
from distributary.derive.factory import build
from tests.fakes.built import derive_settings
from tests.replaced import replace
from tests.scheduler.choices import Choices
from tests.scheduler.joined import JoinedWorld
from tests.scheduler.rebuilt import Filled, Rebuilds
from tests.scheduler.world import Plan


def ones(pair: Any) -> bool:
    """What an earlier declaration was about."""
    return bool(pair.get("total") == "1")


FORMERS: dict[str, Any] = {
    "name": lambda join: {"name": f"old-{join.name}"},
    "where": lambda _: {"where": ones},
    "key": lambda join: {"pk": f"OLD-{join.pk}"},
    "kind": lambda join: {"kind": "left" if join.kind == "inner" and "customer" not in join.pk else "inner"},
    "foreign key": lambda _: {"on": "status"},
    "columns": lambda _: {"keep": ("status",), "keep_right": ("country",)},
    "name and where": lambda join: {"name": f"old-{join.name}", "where": ones},
}
"""What an earlier declaration had otherwise."""


class RebuiltJoins(Rebuilds, JoinedWorld):
    """`was`: of FORMERS. Until `deploy`, the function has the earlier declarations."""

    def __init__(self, seed: int, choices: Choices, plan: Plan, kinds: tuple[str, ...] = (), was: str = "name") -> None:
        super().__init__(seed, choices, plan, kinds)
        self.formers = [replace(join, **FORMERS[was](join)) for join, _ in self.joins]
        self.deployed = False

    def branch(self) -> DeriveBranch:
        """See `World`."""
        declared = [join for join, _ in self.joins] if self.deployed else self.formers
        return build(declared, derive_settings(), lambda _: self.dynamodb, Parallel())


class RandomRebuiltJoins(Filled, RebuiltJoins):
    """Joins of the pool that a random earlier declaration has filled, and a rebuild at any time beside the application
    and the stream."""

    def __init__(self, seed: int, choices: Choices, plan: Plan) -> None:
        was = Random(f"rebuilt joins {seed}").choice(list(FORMERS))
        super().__init__(seed, choices, plan, was=was)
