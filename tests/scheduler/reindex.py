"""An index whose readers move to a changed mapping while the stream goes on."""

from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any

from distributary.consumer.parallel import Parallel
from distributary.errors import DistributaryError
from distributary.index.factory import build
from distributary.index.opensearch.target import Declared
from distributary.index.reindex.backfill import Backfill
from distributary.index.reindex.steps import Accepted, Reindex
from distributary.index.verify.comparison import Comparator
from distributary.index.verify.verifier import Verify
from tests.fakes.streaming import Record
from tests.replaced import replace
from tests.scheduler.choices import Choices
from tests.scheduler.index import FIELDS, INDEX, IndexWorld
from tests.scheduler.world import SOURCE, Plan
from tests.unit.index_settings import clients, settings

INDEXES = [INDEX, replace(INDEX, since=1, fields={**FIELDS, "total": {"type": "keyword"}})]
ANYTHING = Accepted(99, 99, 99)


class ReindexWorld(IndexWorld):
    """An operator moves readers, and perhaps back, at any time. The function is deployed with both generations when
    `start` asks for it, as app.py builds it. Records are not redriven: one that is older than the backfill would win
    over it."""

    def __init__(self, seed: int, choices: Choices, plan: Plan) -> None:
        super().__init__(seed, choices, replace(plan, redrives=0, repairs=0))
        self.both_from: float | None = None
        self.running = 0

    def actors(self) -> list[tuple[str, Any]]:
        """See `World`."""
        return [*super().actors(), ("mover", self.mover)]

    def branch(self) -> Any:
        """See `World`."""
        return build(INDEXES, settings(0, None if self.both_from is None else 1), clients(self.search), Parallel())

    def function(self, records: Sequence[Record]) -> int | None:
        """See `World`. Counts the invocations that write to one generation only."""
        alone = self.both_from is None
        self.running += alone
        try:
            return super().function(records)
        finally:
            self.running -= alone

    def both(self, origin: int, target: int, since: float | None) -> float:
        """See `Writers`: the deployment, and the end of the invocations before it."""
        if self.both_from is None:
            self.both_from = self.scheduler.time()
        self.scheduler.wait(lambda: not self.running)
        return self.scheduler.time() if since is None else since

    def reindex(self) -> Reindex:
        """As the command puts it together."""
        target = Declared.of(INDEXES, self.search, 1)
        eye = Comparator(target, self.search, self.dynamodb, SOURCE, ("id",))
        fill, verify = (
            Backfill(target, self.search, self.dynamodb, SOURCE, ("id",)),
            Verify(eye, segments=2, pause=self.pause),
        )
        return Reindex(target, self.origin, self, fill, verify, self.scheduler.time)

    def origin(self, readers: int) -> Declared:
        """See `Reindex`."""
        return Declared.of(INDEXES, self.search, readers)

    def mover(self) -> None:
        """Each step until it is through."""
        random = Random(f"mover {self.seed}")
        self.scheduler.wait(lambda: self.written or random.random() < 0.3)
        steps = [
            lambda: list(self.reindex().start(2)),
            lambda: self.reindex().compare(),
            lambda: self.reindex().swap(ANYTHING),
        ]
        for step in [*steps, lambda: self.reindex().rollback()][: 3 + random.randrange(2)]:
            while not self._done(step):
                self.scheduler.sleep(1.0)

    def _done(self, step: Any) -> bool:
        done: list[bool] = []

        def run() -> None:
            with suppress(DistributaryError):
                step()
                done.append(True)

        actor = self.scheduler.spawn("step", run)
        self.scheduler.wait(lambda: actor.ended)
        return bool(done)

    def check(self, when: str) -> None:
        """See `World`: readers' index, and either generation by its own mapping."""
        super().check(when) if self._readers() == INDEX.physical(0) else None
        items = {f"P#{id}": item for (id,), item in self.service.state[SOURCE].items() if "hidden" not in item}
        for generation, written in ((0, int), (1, str)):
            docs = self.engine.state["docs"][INDEX.physical(generation)]
            stands = {id: doc for id, (_, doc) in docs.items() if "distributary_deleted_at" not in doc}
            right = {
                id: {"name": each["name"]["S"], "total": written(each["total"]["N"])} for id, each in items.items()
            }
            assert stands == right, f"{when}, generation {generation}:\n  stands {stands}\n  right  {right}"

    def _readers(self) -> str:
        (name,) = self.engine.indices.get_alias(name=INDEX.name)
        return str(name)
