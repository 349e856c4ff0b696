"""A source table, its mirror, and a stream between them that delivers when it is told to."""

from typing import Any

from distributary.consumer.deadline import Deadline
from distributary.consumer.reconcile import Reconcile
from distributary.replicate.reconcile import MirrorReconciler
from distributary.replicate.verify.comparison import Comparator
from distributary.replicate.verify.recheck_queue import RecheckQueue
from distributary.replicate.verify.repair import by_reconciling
from distributary.replicate.verify.table import Side
from distributary.replicate.verify.verifier import Verify
from tests.fakes.built import mirror
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.serial import Serial
from tests.unit.records import change

FOREVER = Deadline(float("inf"))
SCHEMAS = {"source": {"user_id": "S"}, "replica": {"user_id": "S"}, "tombstones": {"id": "S"}}
PAUSE = 5.0


class Service(DynamoDB):
    """Scans in segments, pages of three rows; says what it consumed; leaves some keys unprocessed when told."""

    unprocessed = 0
    item_count: int | None = None

    def __init__(self, schemas: Any) -> None:
        super().__init__(schemas)
        self.consistent: list[tuple[str, bool]] = []

    def describe_table(self, *, TableName: str) -> Any:
        (key,) = SCHEMAS[TableName].items()
        schema = [{"AttributeName": key[0], "KeyType": "HASH"}]
        attributes = [{"AttributeName": key[0], "AttributeType": key[1]}]
        count = len(self.state[TableName]) if self.item_count is None else self.item_count
        return {"Table": {"KeySchema": schema, "AttributeDefinitions": attributes, "ItemCount": count}}

    def scan(
        self, *, TableName: str, Segment: int, TotalSegments: int, ReturnConsumedCapacity: str, **start: Any
    ) -> Any:
        self.calls["Scan"] += 1
        rows = super().scan(TableName=TableName)["Items"][Segment::TotalSegments]
        at = start.get("ExclusiveStartKey", {"at": 0})["at"]
        more = {"LastEvaluatedKey": {"at": at + 3}} if at + 3 < len(rows) else {}
        return {"Items": rows[at : at + 3], "ConsumedCapacity": {"CapacityUnits": 2.0}, **more}

    def batch_get_item(self, *, RequestItems: Any, ReturnConsumedCapacity: str = "NONE") -> Any:
        ((table, request),) = RequestItems.items()
        keys, rest = request["Keys"], []
        self.consistent.append((table, request["ConsistentRead"]))
        if self.unprocessed and len(keys) > 1:
            self.unprocessed -= 1
            keys, rest = keys[:1], keys[1:]
        answer = super().batch_get_item(RequestItems={table: {**request, "Keys": keys}})
        left = {table: {**request, "Keys": rest}} if rest else {}
        consumed = [{"TableName": table, "CapacityUnits": len(keys) / 2}]
        return {**answer, "UnprocessedKeys": left, "ConsumedCapacity": consumed}


class World:
    """A source, its mirror, a stream that delivers when it is told to, and a clock that only sleeping moves."""

    def __init__(self) -> None:
        self.service, self.clock, self.place = Service(SCHEMAS), 0.0, 0
        self.mirror = mirror(self.service)

    def put(self, user: str, deliver: bool = True, **attributes: Any) -> Any:
        self.service.put_item(TableName="source", Item={"user_id": {"S": user}, **attributes})
        return self._streamed("INSERT", user, attributes, deliver)

    def delete(self, user: str, deliver: bool = True) -> Any:
        self.service.delete_item(TableName="source", Key={"user_id": {"S": user}})
        return self._streamed("REMOVE", user, None, deliver)

    def _streamed(self, kind: str, user: str, new: Any, deliver: bool) -> Any:
        self.place += 1
        made = change(self.place, kind, user, new)
        if deliver:
            self.deliver(made)
        return made

    def deliver(self, *changes: Any) -> None:
        self.mirror.apply(changes, FOREVER)

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
        mending = by_reconciling(MirrorReconciler(self.mirror, looked)) if repair else None
        segments = more.pop("segments", 2)
        run = Verify(eye, RecheckQueue(PAUSE, lambda: self.clock), Serial(), mending, Serial(), sleep=sleep, **more)
        return run.scan(range(segments), segments)

    def eye(self, generation: int = 0, plan: Any = None) -> Comparator:
        sides = Side(self.service, "source"), Side(self.service, "replica")
        return Comparator(*sides, ("user_id",), plan or self.mirror.plan, generation)

    def reconcile(self, user: str, looked: Any = None, **more: Any) -> Any:
        reconciler = MirrorReconciler(self.mirror, looked or self.eye())
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
