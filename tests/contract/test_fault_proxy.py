"""A network that fails between the index function and its OpenSearch costs time, never a change.

The branch is the real one, through the real client, over real sockets: on osmem-server, and on a real node.
"""

import time
from random import Random

import pytest

from distributary.index.opensearch.bulk_errors import Refused
from distributary.index.opensearch.connect import connect
from tests.contract import world as worlds
from tests.contract.harness import deploy
from tests.contract.histories import at_random, one_life
from tests.contract.index import IndexHarness
from tests.contract.lambda_service import drain, invoke
from tests.contract.source import Source, sequence
from tests.fakes import fault_proxy
from tests.fakes.fault_proxy import (
    half,
    half_request,
    proxied,
    reset_after,
    reset_before,
    silent,
    slow,
    status,
)
from tests.replaced import replace

BUSY = {
    "429": status(429),
    "502": status(502),
    "503": status(503),
    "504": status(504),
    "reset before": reset_before,
    "reset after": reset_after,
    "half an answer": half,
    "half a request": half_request,
}


@pytest.fixture(params=["osmem", pytest.param("node", marks=pytest.mark.opensearch)])
def engine(request):
    if request.param == "osmem":
        return request.getfixturevalue("emulators").opensearch
    return request.getfixturevalue("opensearch_url")


@pytest.fixture
def proxy(engine):
    with proxied(engine) as proxy:
        yield proxy


@pytest.fixture
def harness():
    return IndexHarness()


@pytest.fixture
def ready(harness, proxy):
    """Makes a function whose index is made and bound to the stream, and knows its declarations: the faults that follow
    are those of documents."""

    def ready(function):
        deployment = deploy(harness, function)
        deployment.branch.check()
        proxy.bulks = 0
        return deployment

    return ready


@pytest.fixture
def behind(proxy, engine):
    """Makes a world whose function writes through the proxy; what is checked is read past it."""

    def behind(source):
        world = worlds.in_memory(source.table, connect(engine, "none"))
        return world, replace(world, opensearch=connect(proxy.url, "none"))

    return behind


def newcomers(many=6):
    source = Source()
    for user in range(many):
        source.put(user)
    return source


@pytest.mark.parametrize("fault", BUSY.values(), ids=BUSY)
def test_a_fault_of_one_request_is_mended_within_the_invocation(harness, ready, proxy, behind, fault):
    source = newcomers()
    world, function = behind(source)
    deployment = ready(function)
    proxy.faults.extend([fault, fault])
    assert invoke(deployment, source.records) is None
    assert proxy.bulks == 3
    harness.check(world, source)
    assert world.parked("index") == []


@pytest.mark.parametrize("fault", BUSY.values(), ids=BUSY)
def test_a_fault_that_stays_fails_the_batch_and_parks_nothing(harness, ready, proxy, behind, fault):
    source = newcomers()
    world, function = behind(source)
    deployment = ready(function)
    proxy.always = fault
    assert invoke(deployment, source.records, 0.4) == sequence(source.records[0])
    proxy.always = None
    assert drain(function, deployment, source.records) == 1
    harness.check(world, source)
    assert world.parked("index") == []


def test_a_write_whose_answer_is_lost_fails_the_batch_and_comes_again(harness, ready, proxy, behind):
    source = newcomers()
    world, function = behind(source)
    deployment = ready(function)
    proxy.faults.append(silent)
    began = time.monotonic()
    assert invoke(deployment, source.records, 1.5) == sequence(source.records[0])
    assert time.monotonic() - began < 5
    harness.check(world, source)
    newer = len(source.records)
    for user in range(3):
        source.put(user, name={"S": "sentinel"})
    source.delete(5)
    assert drain(function, deployment, [*source.records[:newer], *source.records[newer:]]) == 1
    harness.check(world, source)
    assert world.parked("index") == []


def test_a_slow_answer_is_waited_for(harness, ready, proxy, behind):
    source = newcomers()
    world, function = behind(source)
    deployment = ready(function)
    proxy.faults.append(slow(0.5))
    assert invoke(deployment, source.records) is None
    assert proxy.bulks == 1
    harness.check(world, source)


@pytest.mark.parametrize("fault", [reset_after, half], ids=lambda each: each.__name__)
def test_what_was_sent_twice_over_a_newer_write_stays_superseded(harness, ready, proxy, behind, fault):
    """One function retries a write whose answer it lost; another has written what is newer meanwhile."""
    source = one_life()
    world, function = behind(source)
    old, new = source.records[:4], source.records[4:]
    deployment = ready(function)

    def overtaken(handler):
        handler.forwarded()
        drain(world, deploy(harness, world), new)
        fault(handler)

    proxy.faults.append(overtaken)
    assert invoke(deployment, old) is None
    assert proxy.bulks == 2
    harness.check(world, source)


def test_a_refused_document_alone_is_parked_whatever_the_network_does(harness, ready, proxy, behind):
    source = newcomers()
    source.put(1, **harness.rejected)
    world, function = behind(source)
    deployment = ready(function)
    proxy.faults.extend([status(503), half, reset_after])
    assert invoke(deployment, source.records) is None
    assert len(world.parked("index")) == 1
    harness.check(world, source, excused=[1])


@pytest.mark.parametrize("seed", range(6))
def test_any_series_of_faults_ends_where_the_source_is(harness, ready, proxy, behind, seed):
    random, source = Random(seed), at_random(seed, users=4, changes=24)
    world, function = behind(source)
    deployment = ready(function)
    proxy.faults.extend(random.choice([*BUSY.values(), None, slow(0.05)]) for _ in range(20))
    for first in range(0, 24, 6):
        drain(function, deployment, source.records[max(0, first - 3) : first + 6])
    drain(function, deployment, random.sample(source.records, len(source.records)))
    harness.check(world, source)
    assert world.parked("index") == []


def test_every_fault_is_one_that_a_client_sees(proxy):
    """The proxy does what it says: else the tests above would prove nothing."""
    client = connect(proxy.url, "none")
    body = b'{"index":{"_index":"probe","_id":"1"}}\n{"a":1}\n'
    for name, fault in {**BUSY, "no length": fault_proxy.half_without_length, "silent": silent}.items():
        proxy.faults.append(fault)
        with pytest.raises(Exception, match=r".") as caught:
            client.bulk(body=body, request_timeout=1)
        assert isinstance(caught.value, Refused), name
    assert "error" not in client.bulk(body=body, request_timeout=5)["items"][0]["index"]
    client.indices.delete(index="probe")
