"""What a reconcile writes into an index never outranks a change of the index's own stream."""

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.consumer.reconcile import Reconcile
from distributary.index import Entity, Index
from distributary.index.factory import build
from distributary.index.opensearch.schema import apply
from distributary.index.reconcile import IndexReconciler
from distributary.stream import version as versions
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.opensearch import OpenSearch
from tests.fakes.serial import Serial
from tests.unit.index_settings import clients, settings
from tests.unit.records import change

THING = Entity(name="thing", keys=("user_id",), attributes=("name",))
INDEX = Index(name="things", of=THING, id="{user_id}", fields={"name": {"type": "keyword"}})
FOREVER = Deadline(float("inf"))
GENERATION = 1


def test_a_change_of_an_earlier_stream_lends_no_position():
    """Positions of two streams cannot be compared: the old one may be far above every one of the new stream."""
    engine, tables = OpenSearch(), DynamoDB({"source": {"user_id": "S"}})
    apply(engine, INDEX, GENERATION)
    branch = build([INDEX], settings(GENERATION), clients(engine), Serial())
    tables.put_item(TableName="source", Item={"user_id": {"S": "u"}, "name": {"S": "now"}})
    reconcile = IndexReconciler(branch, engine, tables, lambda: "source")
    old = versions.of(GENERATION - 1, 10**39)
    (end,) = reconcile([Reconcile({"user_id": {"S": "u"}}, old)], FOREVER)
    assert end.status is Status.APPLIED
    newer = change(1, "MODIFY", "u", {"name": {"S": "later"}}, {"name": {"S": "now"}})
    (end,) = branch.apply([newer._replace(version=versions.of(GENERATION, newer.version))], FOREVER)
    assert end.status is Status.APPLIED
    hits = engine.search(index=INDEX.physical(GENERATION), body={"size": 10})["hits"]["hits"]
    assert [hit["_source"] for hit in hits if hit["_id"] == "u"] == [{"name": "later"}]
