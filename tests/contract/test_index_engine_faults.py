"""What a real engine refuses, and for how long: parked alone if for ever, failed if only for now."""

import threading
import time
from random import Random

import pytest

from distributary.consumer.deadline import Deadline
from distributary.index import Entity, Field, Index, check
from distributary.index.branch import IndexBranch
from distributary.index.opensearch.bulk import Bulk
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.schema import apply
from tests.contract import world as worlds
from tests.contract.harness import deploy
from tests.contract.histories import at_random
from tests.contract.index import IndexHarness, declared
from tests.contract.lambda_service import drain, invoke
from tests.contract.source import Source, sequence
from tests.unit.records import change

pytestmark = pytest.mark.opensearch


@pytest.fixture
def harness():
    return IndexHarness()


@pytest.fixture
def client(opensearch_url):
    return connect(opensearch_url, "none")


@pytest.fixture
def on_node(client):
    return lambda source: worlds.in_memory(source.table, client)


@pytest.mark.parametrize("seed", range(2))
def test_eight_threads_that_deliver_shuffled_and_twice_converge(harness, on_node, opensearch_url, seed):
    source, random = at_random(seed, users=12, changes=400), Random(seed)
    world = on_node(source)
    harness.prepare(world, 0)
    faults = []

    def deliver(records):
        own = worlds.in_memory(source.table, connect(opensearch_url, "none"))
        own.prefix = world.prefix
        try:
            for first in range(0, len(records), 25):
                drain(own, deploy(harness, own), records[first : first + 25])
        except BaseException as error:  # noqa: BLE001  a thread's failure is the test's
            faults.append(error)

    shuffled = [random.sample(source.records, len(source.records)) for _ in range(2)]
    shares = [shuffled[n % 2][n // 2 :: 4] for n in range(8)]
    threads = [threading.Thread(target=deliver, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    harness.check(world, source)


class Shelf:
    """An index with its branch, without the world around it."""

    def __init__(self, client, prefix, **fields):
        entity = Entity(name="thing", keys=("user_id",), attributes=tuple(fields))
        self.client, self.index = client, Index(name=prefix, of=entity, id="{user_id}", fields=fields)
        apply(client, self.index, 0)
        self.branch = IndexBranch(check([self.index]), 0, Bulk(client))

    def write(self, *items, seconds=20):
        """Outcomes by user, of items `a`, `b`, `c` and so on."""
        changes = [change(place, user=chr(97 + place), new=item) for place, item in enumerate(items)]
        return self.branch.apply(changes, Deadline(time.monotonic() + seconds))

    def statuses(self, *items, **more):
        return [end.status.value for end in self.write(*items, **more)]

    def document(self, id):
        return self.client.get(index=self.index.physical(0), id=id)["_source"]


@pytest.fixture
def shelf(client, on_node):
    return lambda **fields: Shelf(client, on_node(Source()).name("shelf"), **fields)


GOOD = {"word": {"S": "good"}}


@pytest.mark.parametrize(
    ("field", "bad", "reason"),
    [
        ({"type": "long"}, {"S": "no number"}, "mapper_parsing_exception"),
        ({"type": "long"}, {"N": "1" * 38}, "field 'odd': the number is no whole one inside long"),
        ({"type": "date"}, {"S": "yesterday"}, "mapper_parsing_exception"),
        ({"type": "boolean"}, {"S": "perhaps"}, "mapper_parsing_exception"),
        ({"type": "ip"}, {"S": "300.1.1.1"}, "mapper_parsing_exception"),
        ({"type": "geo_point"}, {"S": "nowhere"}, "mapper_parsing_exception"),
        ({"type": "keyword"}, {"S": "x" * 32_767}, "field 'odd': a keyword has at most 32766 bytes"),
        ({"type": "text"}, {"M": {"a": {"S": "x"}}}, "field 'odd': a dict is no text"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_document_that_the_mapping_refuses_is_parked_alone_with_the_reason(shelf, field, bad, reason):
    """By the engine, or by us where the declaration tells enough."""
    ends = shelf(word={"type": "keyword"}, odd=field).write(GOOD, {**GOOD, "odd": bad}, GOOD)
    assert [end.status.value for end in ends] == ["Applied", "Parked", "Applied"]
    assert reason in ends[1].cause + ends[1].detail


def test_an_immense_term_of_many_bytes_and_few_letters_is_parked(shelf):
    """The limit is in UTF-8 bytes: 32,766."""
    word = {"S": "☃" * 10_923}
    assert shelf(word={"type": "keyword"}).statuses(GOOD, {"word": word}) == ["Applied", "Parked"]
    assert shelf(word={"type": "keyword"}).statuses({"word": {"S": "☃" * 10_922}}) == ["Applied"]


def test_numbers_of_38_digits_stay_exact_where_the_declaration_lets_them(shelf):
    number = "12345678901234567890.123456789012345678"
    place = shelf(exact={"type": "keyword"}, rough={"type": "double"})
    assert place.statuses({"exact": {"N": number}, "rough": {"N": number}}) == ["Applied"]
    assert place.document("a")["exact"] == number
    name, query = place.index.physical(0), {"query": {"term": {"exact": number}}}
    place.client.indices.refresh(index=name)
    assert place.client.search(index=name, body=query)["hits"]["total"]["value"] == 1


def test_the_document_that_would_exceed_the_fields_of_an_index_is_parked_alone(shelf):
    """https://docs.opensearch.org/latest/field-types/mappings/#mapping-limit-settings"""
    place = shelf(word={"type": "keyword"}, any=Field(mapping={"type": "object", "dynamic": "true"}, max_keys=2000))
    many = {"any": {"M": {f"name_{n}": {"N": "1"} for n in range(1000)}}}
    ends = place.write(GOOD, many, {"any": {"M": {"one": {"N": "1"}}}})
    assert [end.status.value for end in ends] == ["Applied", "Parked", "Applied"]
    assert "Limit of total fields [1000]" in ends[1].detail


def test_a_map_that_is_too_deep_is_parked_alone(shelf):
    deep = {"N": "1"}
    for _ in range(25):
        deep = {"M": {"a": deep}}
    place = shelf(word={"type": "keyword"}, any={"type": "object", "dynamic": "true"})
    assert place.statuses(GOOD, {"any": deep}) == ["Applied", "Parked"]


def failed_and_mended(harness, world, deployment, records, seconds, mend):
    """All of the batch is answered as failed; nothing is parked; after the mend it goes through."""
    assert invoke(deployment, records, seconds) == sequence(records[0])
    assert world.parked("index") == []
    mend()
    assert drain(world, deployment, records) == 1
    assert world.parked("index") == []


def standing(harness, on_node):
    """Six users indexed, and the records of a change to each of them, which are still to come."""
    source = Source()
    for user in range(6):
        source.put(user)
    world = on_node(source)
    deployment = deploy(harness, world)
    assert invoke(deployment, source.records) is None
    for user in range(5):
        source.put(user, name={"S": "sentinel"})
    source.delete(5)
    return source, world, deployment, declared(world).physical(0)


@pytest.mark.parametrize("block", ["read_only", "read_only_allow_delete", "write"])
def test_a_block_fails_the_batch_and_lifted_all_goes_through(harness, on_node, client, block):
    """`read_only_allow_delete` is what the flood stage of a full disk sets."""
    source, world, deployment, name = standing(harness, on_node)
    client.indices.put_settings(index=name, body={f"index.blocks.{block}": True})

    def mend():
        client.indices.put_settings(index=name, body={f"index.blocks.{block}": None})

    failed_and_mended(harness, world, deployment, source.records[6:], 0.8, mend)
    harness.check(world, source)


def test_an_index_without_its_primary_shard_fails_the_batch_until_it_is_back(harness, on_node, client):
    source, world, deployment, name = standing(harness, on_node)
    made = client.indices.get(index=name)[name]
    client.indices.delete(index=name)
    nowhere = {"settings": {"index.routing.allocation.require._name": "nowhere"}}
    body = {**nowhere, "mappings": made["mappings"], "aliases": made["aliases"]}
    client.indices.create(index=name, body=body, params={"wait_for_active_shards": "0"})
    assert client.cluster.health(index=name)["status"] == "red"

    def mend():
        client.indices.put_settings(index=name, body={"index.routing.allocation.require._name": None})
        client.cluster.health(index=name, wait_for_status="yellow")

    failed_and_mended(harness, world, deployment, source.records[:6], 1.5, mend)
    assert drain(world, deployment, source.records[6:]) == 1
    harness.check(world, source)


def test_a_closed_index_fails_the_batch_and_opened_all_goes_through(harness, on_node, client):
    source, world, deployment, name = standing(harness, on_node)
    client.indices.close(index=name)
    failed_and_mended(harness, world, deployment, source.records[6:], 0.8, lambda: client.indices.open(index=name))
    harness.check(world, source)


def test_a_deleted_document_stays_dead_after_the_engine_has_pruned_its_deletes(harness, on_node, client):
    """The control shows that a hard delete is forgotten here: `index.gc_deletes`."""
    source = Source()
    source.put(0)
    source.delete(0)
    world = on_node(source)
    assert drain(world, deploy(harness, world), source.records) == 1
    name, control = declared(world).physical(0), world.name("control")
    client.indices.create(index=control, body={"settings": {"index": {"gc_deletes": "1ms"}}})
    client.indices.put_settings(index=name, body={"index.gc_deletes": "1ms"})
    at = {"version_type": "external_gte"}
    client.index(index=control, id="1", body={"a": 1}, params={**at, "version": 5})
    client.delete(index=control, id="1", params={**at, "version": 9})
    for _ in range(2):
        time.sleep(1.2)
        client.indices.refresh(index=f"{name},{control}")
    stale = [{**source.records[0], "distributary": {"origin": "redrive"}}]
    assert invoke(deploy(harness, world), stale) is None
    harness.check(world, source)
    back = client.index(index=control, id="1", body={"a": 1}, params={**at, "version": 4})
    assert back["result"] == "created", "the engine remembers hard deletes now: markers are needed no more"
