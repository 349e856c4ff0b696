"""What the index branch has written outlives its engine, and what it has not written comes again."""

import os
import threading
import time
from random import Random

import pytest

from distributary.search.connect import connect
from tests.contract import world as worlds
from tests.contract.harness import deploy
from tests.contract.histories import at_random
from tests.contract.index import IndexHarness, declared
from tests.contract.lambda_service import from_checkpoint, invoke
from tests.contract.test_delivery import deliver
from tests.opensearch_node import CONTROL, order

pytestmark = [
    pytest.mark.opensearch,
    pytest.mark.skipif(
        CONTROL not in os.environ, reason="OPENSEARCH_URL is a node of your own, and no test restarts that"
    ),
]


@pytest.fixture
def harness():
    return IndexHarness()


@pytest.fixture
def client(opensearch_url):
    return connect(opensearch_url, "none")


def hard_deleted(client, name):
    """The control: a document deleted outright at version 9, of which the engine should know after the restart."""
    client.indices.create(index=name)
    for call, version in ((client.index, 5), (client.delete, 9)):
        body = {"body": {"a": 1}} if call == client.index else {}
        call(index=name, id="1", params={"version": version, "version_type": "external_gte"}, **body)


def test_a_deleted_document_stays_dead_over_a_flush_and_a_restart(harness, client):
    source = at_random(5, users=6, changes=40)
    source.put(0)
    source.delete(0)
    world = worlds.imagined(source.table, client)
    deliver(harness, world, source.records, Random(0))
    control = world.name("control")
    hard_deleted(client, control)
    client.indices.flush(index="_all", force=True)
    order("stop")
    order("start")
    harness.check(world, source)
    stale = [{**record, "distributary": {"origin": "redrive"}} for record in source.records[::-1]]
    assert invoke(deploy(harness, world), stale) is None
    harness.check(world, source)
    back = client.index(index=control, id="1", body={"a": 1}, params={"version": 4, "version_type": "external_gte"})
    assert back["result"] == "created", "the engine remembers hard deletes now: markers are needed no more"


def test_a_node_that_is_killed_in_mid_bulk_loses_nothing_that_was_answered_for(harness, client):
    source = at_random(9, users=40, changes=1200)
    world = worlds.imagined(source.table, client)
    deployment = deploy(harness, world)
    half, delivered = threading.Event(), threading.Event()
    failed, faults = [], []

    def lambda_service():
        try:
            for first in range(0, len(source.records), 30):
                waiting = source.records[first : first + 30]
                while waiting:
                    answered = invoke(deployment, waiting, 6.0)
                    failed.append(answered) if answered else None
                    waiting = from_checkpoint(waiting, answered) if answered else []
                if first >= len(source.records) // 2:
                    half.set()
        except BaseException as error:  # noqa: BLE001  a thread's failure is the test's
            faults.append(error)
        finally:
            half.set()
            delivered.set()

    threading.Thread(target=lambda_service, daemon=True).start()
    assert half.wait(60)
    order("kill")
    assert not delivered.is_set(), "the node was killed too late"
    time.sleep(0.5)
    order("start")
    assert delivered.wait(90)
    assert faults == []
    client.cluster.health(index=declared(world).physical(0), wait_for_status="yellow")
    harness.check(world, source)
    assert world.parked("index") == []
