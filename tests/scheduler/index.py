"""An OpenSearch index beside its verification."""

from collections.abc import Sequence
from random import Random
from typing import Any

from distributary.consumer.outcome import Outcome
from distributary.consumer.parallel import Parallel
from distributary.consumer.reconcile import Reconcile
from distributary.index import Entity, Index
from distributary.index.factory import build
from distributary.index.opensearch.schema import apply
from distributary.index.opensearch.target import Declared
from distributary.index.reconcile import IndexReconciler
from distributary.index.verify.comparison import Comparator
from distributary.index.verify.verifier import Verify
from tests.fakes import opensearch
from tests.fakes.opensearch import OpenSearch
from tests.scheduler.choices import Choices
from tests.scheduler.world import SOURCE, Plan, World
from tests.unit.index_settings import clients, settings

FIELDS = {"name": {"type": "keyword"}, "total": {"type": "long"}}
PERSON = Entity(name="person", keys=("id",), attributes=tuple(FIELDS), where=lambda item: "hidden" not in item)
INDEX = Index(name="people", of=PERSON, id="P#{id}", fields=FIELDS)


class IndexWorld(World):
    """All items that are not hidden; where records are lost none is, for an index that lost an item's leaving hears of
    it no more."""

    def __init__(self, seed: int, choices: Choices, plan: Plan) -> None:
        super().__init__(seed, choices, plan)
        self.engine = OpenSearch()
        self.search = self.scheduler.client(self.engine, opensearch)

    def begin(self) -> None:
        """See `World`."""
        apply(self.engine, INDEX, 0)

    def image(self, random: Random) -> dict[str, Any]:
        """See `World`."""
        hidden = {"hidden": {"BOOL": True}} if not self.plan.loses and random.random() < 0.2 else {}
        return super().image(random) | hidden

    def branch(self) -> Any:
        """See `World`."""
        return build([INDEX], settings(), clients(self.search), Parallel())

    def verify(self, repair: bool) -> Any:
        """As the command puts it together."""
        eye = Comparator(Declared.of([INDEX], self.search, 0), self.search, self.dynamodb, SOURCE, ("id",))
        return Verify(eye, segments=2, pause=self.pause, repair=repair).run()

    def reconcile(self, requests: Sequence[Reconcile]) -> list[Outcome]:
        """See `World`."""
        reconciler = IndexReconciler(self.branch(), self.search, self.dynamodb, lambda: SOURCE)
        return reconciler(requests, self.deadline())

    def check(self, when: str) -> None:
        """What a reader finds, against the items."""
        hits = self.engine.search(index=INDEX.name, body={"size": 1000})["hits"]["hits"]
        items = {f"P#{id}": item for (id,), item in self.service.state[SOURCE].items() if "hidden" not in item}
        right = {id: {"name": each["name"]["S"], "total": int(each["total"]["N"])} for id, each in items.items()}
        stands = {hit["_id"]: hit["_source"] for hit in hits}
        assert stands == right, f"{when}:\n  stands {stands}\n  right  {right}"
