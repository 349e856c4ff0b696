"""A source table, its mirror, and a stream between them that delivers when it is told to."""

from types import SimpleNamespace
from typing import Any

from distributary.consumer.deadline import FOREVER
from distributary.consumer.reconcile import Reconcile
from distributary.replicate.reconcile import MirrorReconciler
from distributary.replicate.verify.comparison import Comparator
from distributary.replicate.verify.recheck_queue import RecheckQueue
from distributary.replicate.verify.repair import by_reconciling
from distributary.replicate.verify.table import Side
from distributary.replicate.verify.verifier import Verify
from tests.fakes.built import mirror
from tests.fakes.serial import Serial
from tests.fakes.streaming import Streaming
from tests.world import World as Followed

SCHEMAS = {"source": {"user_id": "S"}, "replica": {"user_id": "S"}, "tombstones": {"id": "S"}}
PAUSE = 5.0


class Service(Streaming):
    """Leaves some keys unprocessed when told, and says how consistent its reads were."""

    unprocessed = 0
    meta = SimpleNamespace(region_name="eu-west-1")
    item_count: int | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.consistent: list[tuple[str, bool]] = []

    def describe_table(self, *, TableName: str) -> Any:
        answer = super().describe_table(TableName=TableName)
        return answer if self.item_count is None else {"Table": {**answer["Table"], "ItemCount": self.item_count}}

    def batch_get_item(self, *, RequestItems: Any, **more: Any) -> Any:
        ((table, request),) = RequestItems.items()
        keys, rest = request["Keys"], []
        self.consistent.append((table, request["ConsistentRead"]))
        if self.unprocessed and len(keys) > 1:
            self.unprocessed -= 1
            keys, rest = keys[:1], keys[1:]
        answer = super().batch_get_item(RequestItems={table: {**request, "Keys": keys}}, **more)
        return {**answer, "UnprocessedKeys": {table: {**request, "Keys": rest}} if rest else {}}


class World(Followed):
    """A source and its mirror, and a clock that only sleeping moves."""

    source, serves, schemas = "source", Service, SCHEMAS

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.branch = 0.0, mirror(self.service)

    def tamper(self, user: str, **attributes: Any) -> None:
        """Somebody writes to the replica: what is not named stays."""
        row = {**self.service.state["replica"].get((user,), {"user_id": {"S": user}}), **attributes}
        self.service.put_item(TableName="replica", Item={k: v for k, v in row.items() if v is not None})

    def verify(self, repair: bool = False, meanwhile: Any = None, **more: Any) -> Any:
        def sleep(seconds: float) -> None:
            self.clock += seconds
            if meanwhile:
                meanwhile()

        eye = self.eye(more.pop("generation", 0), more.pop("plan", None))
        looked = more.pop("looked", eye)
        mending = by_reconciling(MirrorReconciler(self.branch, looked)) if repair else None
        segments = more.pop("segments", 2)
        run = Verify(eye, RecheckQueue(PAUSE, lambda: self.clock), Serial(), mending, Serial(), sleep=sleep, **more)
        return run.scan(range(segments), segments)

    def eye(self, generation: int = 0, plan: Any = None) -> Comparator:
        sides = Side(self.service, self.source), Side(self.service, "replica")
        return Comparator(*sides, ("user_id",), plan or self.branch.plan, generation)

    def reconcile(self, user: str, looked: Any = None, **more: Any) -> Any:
        reconciler = MirrorReconciler(self.branch, looked or self.eye())
        (end,) = reconciler([Reconcile({"user_id": {"S": user}}, **more)], FOREVER)
        return end

    @property
    def replica(self) -> Any:
        return self.service.state["replica"]

    def names(self) -> Any:
        return {key: row.get("name") for (key,), row in self.replica.items()}


def name(text: str) -> Any:
    return {"name": {"S": text}}


def differences(report: Any) -> list[tuple[str, str]]:
    return sorted((each["kind"], each["item"]) for each in report.samples.get("differences", []))
