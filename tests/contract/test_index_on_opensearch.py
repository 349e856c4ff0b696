"""The index branch's contract on a real OpenSearch node: make test-opensearch, or set OPENSEARCH_URL."""

from random import Random

import pytest

from distributary.index.opensearch.connect import connect
from tests.contract import world as worlds
from tests.contract.harness import deploy
from tests.contract.histories import at_random, one_life
from tests.contract.index import IndexHarness, declared
from tests.contract.lambda_service import drain, invoke
from tests.contract.source import TABLES, Source
from tests.contract.test_crashes import check, every_death
from tests.contract.test_delivery import deliver
from tests.contract.test_poison import as_declared, poisoned

pytestmark = pytest.mark.opensearch


@pytest.fixture
def harness():
    return IndexHarness()


@pytest.fixture
def on_node(opensearch_url):
    client = connect(opensearch_url, "none")
    return lambda source: worlds.in_memory(source.table, client)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("seed", range(3))
def test_shuffles_and_duplicates_end_where_the_source_is(harness, on_node, table, seed):
    source, random = at_random(seed, table, changes=16), Random(seed)
    world = on_node(source)
    deliver(harness, world, random.sample(source.records * 2, 2 * len(source.records)), random)
    harness.check(world, source)


def test_a_crash_before_or_after_any_call_is_mended_by_redelivery(harness, on_node):
    source = one_life()
    for world in every_death(harness, on_node, source, source.records[:4], source.records[4:]):
        drain(world, deploy(harness, world), source.records[4:])
        check(harness, world, source)


def test_a_document_that_is_refused_is_parked_and_its_neighbours_go_through(harness, on_node):
    source, batch = poisoned(harness, as_declared)
    world = on_node(source)
    assert invoke(deploy(harness, world), batch) is None
    assert len(world.parked("index")) == 1
    harness.check(world, source, excused=[1])


def close_and_open(client, name):
    client.indices.close(index=name)
    client.indices.open(index=name)
    client.cluster.health(index=name, wait_for_status="yellow")


def flush(client, name):
    client.indices.flush(index=name, force=True)


def all_of_it(client, name):
    flush(client, name)
    close_and_open(client, name)


@pytest.mark.parametrize("upheaval", [close_and_open, flush, all_of_it], ids=lambda each: each.__name__)
def test_a_deleted_document_stays_dead(harness, on_node, upheaval):
    """A hard delete would forget its version here."""
    source = Source()
    source.put(0)
    source.delete(0)
    world = on_node(source)
    deliver(harness, world, source.records, Random(0))
    upheaval(world.opensearch, declared(world).physical(0))
    stale = [{**source.records[0], "distributary": {"origin": "redrive"}}]
    assert invoke(deploy(harness, world), stale) is None
    harness.check(world, source)
