"""A generation of an index belongs to one stream, and an index to one table, whichever stack writes there first."""

import json
import uuid

import pytest

from distributary.consumer.consume import Deployment, consume
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams, parse
from distributary.consumer.telemetry import Telemetry
from distributary.errors import ConfigError, ForeignStream, Unavailable
from distributary.index import Entity, Index
from distributary.index.declarations import FORMAT
from distributary.index.doctor import examine
from distributary.index.factory import bindings, build
from distributary.index.opensearch.bindings import ID, IndexBindings, carry_over, keep_format, read
from distributary.index.opensearch.bulk_errors import Refused
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.purge import purge
from distributary.index.opensearch.schema import apply
from distributary.verify.finding import Level
from tests.contract.place import ids_in
from tests.fakes.opensearch import OpenSearch
from tests.unit.branches import Bucket, Context
from tests.unit.index_settings import clients, settings
from tests.unit.records import event, stream_record

USERS = "arn:aws:dynamodb:eu-west-1:123456789012:table/users"
OLD, NEW = f"{USERS}/stream/2026-01-01T00:00:00.000", f"{USERS}/stream/2026-11-26T00:00:00.000"
ORDERS = OLD.replace("/users/", "/orders/")


@pytest.fixture(params=["fake", "osmem", pytest.param("node", marks=pytest.mark.opensearch)])
def search(request):
    match request.param:
        case "fake":
            return OpenSearch()
        case "osmem":
            return connect(request.getfixturevalue("emulators").opensearch, "none")
    return connect(request.getfixturevalue("opensearch_url"), "none")


@pytest.fixture
def index():
    user = Entity(name="user", keys=("user_id",), attributes=("name",))
    return Index(name=f"b{uuid.uuid4().hex[:8]}", of=user, id="{user_id}", fields={"name": {"type": "keyword"}})


class Stack:
    """The index function as app.py puts it together, over an engine that several stacks may share."""

    def __init__(self, search, index, streams, generation=0, also=None):
        self.bucket, given = Bucket(), settings(generation, also)
        self.branch = build([index], given, clients(search), Parallel())
        bind = bindings([index], given, clients(search)).bind
        parking = Parking(self.bucket, "parking", "index", Parallel(1))
        streams = Streams(generation, parse(streams), bind)
        self.deployment = Deployment(self.branch, parking, Telemetry("index"), streams)

    def take(self, stream, sequence, name):
        record = stream_record(user="u", new={"name": {"S": name}}, eventSourceARN=stream)
        record["dynamodb"]["SequenceNumber"] = str(sequence)
        return not consume(event(record), Context(), self.deployment)["batchItemFailures"]


def shown(search, index):
    search.indices.refresh(index=index.name)
    return {
        hit["_id"]: hit["_source"]["name"] for hit in search.search(index=index.name, body={"size": 10})["hits"]["hits"]
    }


def bound(search, index, generation):
    name = index.physical(generation)
    return read(search, [name])[name].stream


def places(index, *generations):
    return [(index.physical(each), index.write_alias(each)) for each in generations]


def test_a_second_stack_with_another_stream_fails_and_parks_nothing(search, index, capsys, caplog):
    apply(search, index, 0)
    assert Stack(search, index, f"{OLD}=0").take(OLD, 900, "ours")
    second = Stack(search, index, f"{NEW}=0")
    assert not second.take(NEW, 950, "theirs")
    assert second.bucket.objects == {}
    assert shown(search, index) == {"u": "ours"}
    assert bound(search, index, 0) == OLD
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["UnlistedStream"] for line in logged if "UnlistedStream" in line] == [[1.0]]
    assert "raise Generation, leave AlsoGeneration empty, list the old stream" in caplog.records[-1].cause


def test_two_tables_never_feed_one_index(search, index, caplog):
    apply(search, index, 0)
    assert Stack(search, index, f"{OLD}=0").take(OLD, 900, "a user")
    orders = Stack(search, index, f"{ORDERS}=0")
    assert not orders.take(ORDERS, 950, "an order")
    assert orders.bucket.objects == {}
    assert shown(search, index) == {"u": "a user"}
    assert "declare an index of another name for this one" in caplog.records[-1].cause


def test_the_old_and_the_new_mapping_may_be_alive_at_once_on_an_index(search, index):
    """The new stream's positions are less than the old one's, as those of a restored table may be."""
    for generation in (0, 1):
        apply(search, index, generation)
    old = Stack(search, index, f"{OLD}=0")
    assert old.take(OLD, 900, "first")
    new = Stack(search, index, f"{NEW}=1,{OLD}=0", 1)
    assert new.take(OLD, 901, "late, before the new stream's first change")
    assert new.take(NEW, 100, "restored")
    assert new.take(OLD, 902, "late, after it")
    assert old.take(OLD, 903, "later still")
    assert shown(search, index) == {"u": "later still"}
    assert held(search, index, 1) == {"u": "restored"}
    assert (bound(search, index, 0), bound(search, index, 1)) == (OLD, NEW)


def held(search, index, generation):
    name = index.physical(generation)
    search.indices.refresh(index=name)
    hits = search.search(index=name, body={"size": 10})["hits"]["hits"]
    return {hit["_id"]: hit["_source"]["name"] for hit in hits if hit["_id"] != ID}


def test_a_new_stream_never_writes_into_the_old_streams_index(search, index):
    for generation in (0, 1):
        apply(search, index, generation)
    assert Stack(search, index, f"{OLD}=0").take(OLD, 900, "first")
    both = Stack(search, index, f"{NEW}=1,{OLD}=0", 1, 0)
    assert not both.take(NEW, 100, "restored")
    assert held(search, index, 0) == {"u": "first"}


def test_one_stream_writes_two_generations_while_readers_move(search, index):
    for generation in (0, 1):
        apply(search, index, generation)
    assert Stack(search, index, f"{OLD}=0", 0, 1).take(OLD, 900, "both")
    assert Stack(search, index, f"{OLD}=1", 1).take(OLD, 901, "moved")
    assert (held(search, index, 0), held(search, index, 1)) == ({"u": "both"}, {"u": "moved"})
    assert bound(search, index, 0) == bound(search, index, 1) == OLD


def test_a_move_binds_the_new_index_as_the_readers_index_is(search, index):
    for generation in (0, 1):
        apply(search, index, generation)
    IndexBindings(search, places(index, 0), 0).bind(OLD, 0)
    carry_over(search, index.physical(0), places(index, 1)[0])
    carry_over(search, index.physical(0), places(index, 1)[0])
    assert bound(search, index, 1) == OLD
    apply(search, index, 1)
    assert bound(search, index, 1) == OLD
    assert not Stack(search, index, f"{NEW}=1", 1).take(NEW, 950, "theirs")


class Refusing:
    """An engine that takes no write for now, and counts those that it is asked for."""

    def __init__(self, search):
        self.search, self.asked = search, 0

    def __getattr__(self, name):
        return getattr(self.search, name)

    def bulk(self, **arguments):
        self.asked += 1
        return {"items": [{"create": {"status": 503, "error": {"type": "unavailable_shards_exception"}}}]}


def test_a_move_from_an_index_that_nobody_wrote_binds_nothing(search, index):
    for generation in (0, 1):
        apply(search, index, generation)
    engine = Refusing(search)
    carry_over(engine, index.physical(0), places(index, 1)[0])
    assert engine.asked == 0


def test_a_move_leaves_an_index_to_the_stream_that_it_has(search, index):
    for generation in (0, 1):
        apply(search, index, generation)
        IndexBindings(search, places(index, generation), generation).bind((OLD, NEW)[generation], generation)
    carry_over(search, index.physical(0), places(index, 1)[0])
    assert bound(search, index, 1) == NEW


class Failing:
    """An engine that cannot read one document."""

    def get_many(self, **arguments):
        return {"docs": [{"error": {"type": "no_shard_available_action_exception"}}]}


def test_an_index_that_cannot_be_read_is_not_said_to_be_missing():
    with pytest.raises(Unavailable, match="OpenSearch answered no_shard_available_action_exception"):
        read(Failing(), ["users-g0"])


def test_a_binding_that_the_engine_did_not_take_is_none(search, index):
    apply(search, index, 0)
    with pytest.raises(Unavailable, match="unavailable_shards_exception"):
        IndexBindings(Refusing(search), places(index, 0), 0).bind(OLD, 0)
    assert bound(search, index, 0) == ""


def test_what_is_bound_and_has_its_format_is_not_written_again(search, index):
    for generation in (0, 1):
        apply(search, index, generation)
    IndexBindings(search, [*places(index, 0), *places(index, 1)], 0).bind(OLD, 0)
    engine = Refusing(search)
    IndexBindings(engine, [*places(index, 0), *places(index, 1)], 0).bind(OLD, 0)
    carry_over(engine, index.physical(0), places(index, 1)[0])
    keep_format(engine, index.physical(0))
    assert engine.asked == 0


def test_readers_purge_and_first_fill_never_see_the_binding(search, index):
    apply(search, index, 0)
    assert ids_in(search, index.physical(0)) == []
    IndexBindings(search, places(index, 0), 0).bind(OLD, 0)
    assert ids_in(search, index.physical(0)) == []
    assert shown(search, index) == {}
    found = purge(search, index.write_alias(0), 4_000_000_000, Soon())
    assert (found.deleted, found.whole) == (0, True)
    assert bound(search, index, 0) == OLD


class Soon:
    def left(self):
        return 5.0


class Interrupted:
    """An engine that lets another function in before, or after, one of a function's calls."""

    def __init__(self, search, call, after, other):
        self.search, self.call, self.after, self.other, self.done = search, call, after, other, False

    def __getattr__(self, name):
        method = getattr(self.search, name)
        return self._around(method) if name == self.call and not self.done else method

    def _around(self, method):
        def call(**arguments):
            self.done = True
            if not self.after:
                self.other()
            answer = method(**arguments)
            if self.after:
                self.other()
            return answer

        return call


@pytest.mark.parametrize("call", ["get_many", "bulk"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("one", "two"), [(OLD, NEW), (NEW, OLD)])
def test_of_two_stacks_that_bind_at_once_one_is_refused(search, index, call, after, one, two):
    apply(search, index, 0)
    refused = []

    def bind(client, stream):
        try:
            IndexBindings(client, places(index, 0), 0).bind(stream, 0)
        except ForeignStream:
            refused.append(stream)

    bind(Interrupted(search, call, after, lambda: bind(search, two)), one)
    assert len(refused) == 1
    assert bound(search, index, 0) == ({one, two} - set(refused)).pop()


def test_an_index_of_a_later_format_stops_the_function_with_what_to_deploy(search, index):
    apply(search, index, 0)
    stack = Stack(search, index, f"{OLD}=0")
    assert stack.take(OLD, 900, "ours")
    later(search, index)
    with pytest.raises(ConfigError, match=f"format {FORMAT + 1}.*deploy that release again instead of rolling back"):
        Stack(search, index, f"{OLD}=0").take(OLD, 910, "rolled back")
    assert shown(search, index) == {"u": "ours"}
    with pytest.raises(ConfigError, match="deploy that release again"):
        apply(search, index, 0)


def later(search, index):
    """As an apply of a later release leaves it: with another format, and without this format's alias."""
    name = index.physical(0)
    ((found,),) = [search.get_many(body=json.dumps({"docs": [place(name)]}).encode(), request_timeout=5)["docs"]]
    header = {"index": {**place(name), "if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}}
    lines = [header, {**found["_source"], "distributary_format": FORMAT + 1}]
    answer = search.bulk(body=b"".join(json.dumps(each).encode() + b"\n" for each in lines), request_timeout=5)
    assert "error" not in answer["items"][0]["index"]
    gone = {"remove": {"index": name, "alias": index.write_alias(0)}}
    search.indices.update_aliases(body={"actions": [gone]})


def place(name):
    return {"_index": name, "_id": ID, "routing": ID}


def test_a_doctor_finds_all_well_and_changes_nothing(search, index):
    apply(search, index, 0)
    assert Stack(search, index, f"{OLD}=0").take(OLD, 900, "ours")
    found = list(examine(search, [index], 0))
    assert [each.level for each in found] == [Level.OK] * 3
    assert OLD in found[0].found
    assert (shown(search, index), ids_in(search, index.physical(0))) == ({"u": "ours"}, ["u"])
    assert [each.level for each in examine(search, [index], 1)] == [Level.FAULT, Level.FAULT]


def test_a_missing_index_fails_and_says_what_to_run(search, index, caplog):
    assert not Stack(search, index, f"{OLD}=0").take(OLD, 900, "ours")
    assert f"index '{index.physical(0)}' is missing: run `distributary index apply`" in caplog.records[-1].cause


def test_an_engine_that_does_not_answer_is_no_foreign_stream(index, capsys, monkeypatch):
    search, asked = OpenSearch(), []
    apply(search, index, 0)

    def silent(**_):
        asked.append(True)
        raise Refused(0, "ReadTimeoutError")

    monkeypatch.setattr(search, "get_many", silent)
    stack = Stack(search, index, f"{OLD}=0")
    records = [stream_record(user=f"u{n}", new={"name": {"S": "x"}}, eventSourceARN=OLD) for n in range(3)]
    assert consume(event(*records), Context(), stack.deployment)["batchItemFailures"]
    assert len(asked) == 1
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert not any("UnlistedStream" in line for line in logged)
    monkeypatch.undo()
    assert stack.take(OLD, 900, "ours")


def test_a_write_of_the_binding_that_is_refused_fails_the_changes(index, monkeypatch):
    search = OpenSearch()
    apply(search, index, 0)
    monkeypatch.setattr(search, "bulk", lambda **_: (_ for _ in ()).throw(Refused(403, "security_exception")))
    with pytest.raises(Unavailable, match="grant the function's role this domain"):
        IndexBindings(search, places(index, 0), 0).bind(OLD, 0)
