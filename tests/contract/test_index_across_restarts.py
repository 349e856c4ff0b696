"""What the index branch has written outlives its engine, and what it has not written comes again."""

import os
import threading
import time
from random import Random

import pytest

from distributary.index.opensearch.connect import connect
from tests.contract import world as worlds
from tests.contract.harness import deploy
from tests.contract.histories import at_random
from tests.contract.index import IndexHarness
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


def hard_deleted(client, name):
    """The control: a document deleted outright at version 9, of which the engine should know after the restart."""
    client.indices.create(index=name)
    for call, version in ((client.index, 5), (client.delete, 9)):
        body = {"body": {"a": 1}} if call == client.index else {}
        call(index=name, id="1", params={"version": version, "version_type": "external_gte"}, **body)


class Survivors:
    """What stood there when the node was killed in mid-bulk, and what was delivered before, meanwhile and after."""

    def __init__(self, harness, client):
        # Of earlier tests, on a node of our own: a restart recovers each shard. Hundreds take long on a slow disk.
        client.indices.delete(index="*", request_timeout=120)
        self.client, self.flushed = client, at_random(5, users=6, changes=40)
        self.flushed.put(0)
        self.flushed.delete(0)
        self.world = worlds.in_memory(self.flushed.table, client)
        deliver(harness, self.world, self.flushed.records, Random(0))
        self.control = self.world.name("control")
        hard_deleted(client, self.control)
        client.indices.flush(index=f"{self.world.prefix}*", force=True)
        self.streamed = at_random(9, users=40, changes=1200)
        self.busy = worlds.in_memory(self.streamed.table, client)
        self.faults, self.failed = [], 0
        self._deliver_over_a_kill(deploy(harness, self.busy))
        client.cluster.health(wait_for_status="yellow", request_timeout=60)

    def _deliver_over_a_kill(self, deployment):
        half, delivered = threading.Event(), threading.Event()
        service = threading.Thread(target=self._lambda_service, args=(deployment, half, delivered), daemon=True)
        service.start()
        assert half.wait(60)
        order("kill")
        assert not delivered.is_set(), "the node was killed too late"
        time.sleep(0.5)
        order("start")
        assert delivered.wait(90)

    def _lambda_service(self, deployment, half, delivered):
        try:
            for first in range(0, len(self.streamed.records), 30):
                waiting = self.streamed.records[first : first + 30]
                while waiting:
                    answered = invoke(deployment, waiting, 4.0)
                    self.failed += answered is not None
                    waiting = from_checkpoint(waiting, answered) if answered else []
                if first >= len(self.streamed.records) // 2:
                    half.set()
        except BaseException as error:  # noqa: BLE001  a thread's failure is the test's
            self.faults.append(error)
        finally:
            half.set()
            delivered.set()


@pytest.fixture(scope="module")
def survivors(opensearch_url):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
        environment.setenv("POWERTOOLS_SERVICE_NAME", "survivors")
        return Survivors(IndexHarness(), connect(opensearch_url, "none"))


def test_a_deleted_document_stays_dead_over_a_flush_and_a_restart(harness, survivors):
    """The control shows that the engine forgets a hard delete."""
    source, world = survivors.flushed, survivors.world
    harness.check(world, source)
    stale = [{**record, "distributary": {"origin": "redrive"}} for record in source.records[::-1]]
    assert invoke(deploy(harness, world), stale) is None
    harness.check(world, source)
    late = {"version": 4, "version_type": "external_gte"}
    back = survivors.client.index(index=survivors.control, id="1", body={"a": 1}, params=late)
    assert back["result"] == "created", "the engine remembers hard deletes now: markers are needed no more"


def test_a_node_that_is_killed_in_mid_bulk_loses_nothing(harness, survivors):
    assert survivors.faults == []
    assert survivors.failed, "no invocation noticed that the node was gone"
    harness.check(survivors.busy, survivors.streamed)
    assert survivors.busy.parked("index") == []
