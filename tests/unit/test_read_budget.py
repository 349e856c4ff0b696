"""Reads of the source for a command are held to a number of units a second, and never wait past the deadline."""

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.consumer.reconcile import Reconcile
from distributary.derive import Entity, Projection
from distributary.derive.factory import reconciler as of_views
from distributary.dynamodb import read_budget
from distributary.dynamodb.read_budget import Metered, Pace
from distributary.errors import Unavailable
from distributary.index.factory import build
from distributary.index.factory import reconciler as of_indexes
from distributary.index.opensearch.schema import apply
from distributary.replicate.factory import reconciler as of_replica
from tests.fakes.built import derive, mirror
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.opensearch import OpenSearch
from tests.fakes.serial import Serial
from tests.replaced import replace
from tests.scheduler.index import INDEX
from tests.unit.index_settings import settings

SCHEMAS = {
    "source": {"id": "S"},
    "replica": {"id": "S"},
    "derived": {"pk": "S", "sk": "S"},
    "ledger": {"id": "S"},
    "tombstones": {"id": "S"},
}
ITEM = Entity(name="item", keys=("id",))
ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/source/stream/2026-11-20T09:12:44.017"


class Service(DynamoDB):
    """Each read of the source costs 10 units."""

    def __init__(self):
        super().__init__(SCHEMAS)
        self.sources = 0

    def batch_get_item(self, *, RequestItems, ReturnConsumedCapacity="NONE"):
        ((table, request),) = RequestItems.items()
        name = table.rpartition("/")[2]
        self.sources += name == "source"
        answer = super().batch_get_item(RequestItems={name: request})
        return {**answer, "ConsumedCapacity": [{"TableName": name, "CapacityUnits": 10.0}]}


class Clock:
    """That only sleeping moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    real = Pace.__init__

    def made(pace, units=None):
        real(pace, units, found, found.sleep)

    monkeypatch.setattr(read_budget.Pace, "__init__", made)
    return found


def views(service, units):
    declared = [Projection(name="fixed", of=ITEM, pk="I", sk="{id}")]
    return of_views(derive(declared, service), lambda: "source", 0, Pace(units))


def replica(service, units):
    return of_replica(mirror(service), lambda *_, **__: service, lambda: "source", 0, units)


def index(service, units):
    engine = OpenSearch()
    apply(engine, INDEX, 0)
    named = replace(settings(), streams={ARN: 0}, reconcile_read_units=units)

    def clients(kind, **_):
        return engine if kind == "opensearch" else service

    return of_indexes(build([INDEX], named, clients, Serial()), named, clients)


@pytest.mark.parametrize("branch", [views, replica, index])
def test_a_command_reads_the_source_no_faster_than_its_budget(branch, clock):
    service = Service()
    reconcile = branch(service, 2)
    for name in "abcd":
        (end,) = reconcile([Reconcile({"id": {"S": name}})], Deadline(1e9))
        assert end.status is Status.SUPERSEDED
    assert service.sources == 4
    assert clock.now == pytest.approx((3 * 10 - 2) / 2, abs=0.1)


@pytest.mark.parametrize("branch", [views, replica, index])
def test_a_command_that_would_wait_past_its_deadline_fails_at_once(branch, clock):
    service = Service()
    reconcile = branch(service, 2)
    deadline = Deadline(2.0, clock=clock)
    ends = [reconcile([Reconcile({"id": {"S": name}})], deadline)[0] for name in "ab"]
    assert [end.status for end in ends] == [Status.SUPERSEDED, Status.FAILED]
    assert "raise ReconcileReadUnits" in ends[1].cause
    assert (service.sources, clock.now) == (1, 0.0)


def test_what_a_read_says_that_it_consumed_is_paid():
    clock, service = Clock(), Service()
    pace = Pace(2, clock, clock.sleep)
    reader = Metered(service, pace)
    keys = {"source": {"Keys": [{"id": {"S": "a"}}], "ConsistentRead": True}}
    reader.batch_get_item(RequestItems=keys)
    assert pace.units == 10.0
    with pytest.raises(Unavailable):
        Metered(service, pace, Deadline(1.0, clock=clock)).batch_get_item(RequestItems=keys)
