"""The contract's index branch on two generations at once, as while readers move from one to the other."""

from collections.abc import Iterable
from typing import Any, ClassVar

from tests.contract.harness import Wrap
from tests.contract.index import IndexHarness
from tests.contract.source import Source
from tests.contract.world import World
from tests.unit.index_settings import settings

APART = 10
"""The second generation is one that no test raises the first to: streamed to already, it would not be empty."""


class BothHarness(IndexHarness):
    """See `Harness`. What holds of the branch holds of each generation."""

    name: ClassVar[str] = "both"
    begins_with: ClassVar[float] = 0.05

    def prepare(self, world: World, generation: int) -> None:
        """See `Harness`."""
        super().prepare(world, generation)
        super().prepare(world, generation + APART)

    def branch(self, world: World, wrap: Wrap, generation: int) -> Any:
        """See `Harness`."""
        return self._built(world, wrap, settings(generation, generation + APART))

    def check(self, world: World, source: Source, excused: Iterable[int] = (), generation: int = 0) -> None:
        """See `Harness`."""
        excused = list(excused)
        super().check(world, source, excused, generation)
        super().check(world, source, excused, generation + APART)
