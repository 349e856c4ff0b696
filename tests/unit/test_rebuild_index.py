"""After a rebuild an index shows what its items make under the declarations as they are now, and nothing else."""

import time

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.reconcile import Reconcile
from distributary.consumer.sweep import Done, Sweep
from distributary.dynamodb.read_budget import Pace
from distributary.errors import ConfigError, Unavailable
from distributary.index import Entity, Index
from distributary.index.factory import build, rebuilder, reconciler
from distributary.index.opensearch.schema import apply
from distributary.index.sweep import DIGEST, FOREIGN
from tests.fakes.opensearch import OpenSearch
from tests.fakes.serial import Serial
from tests.replaced import replace
from tests.unit.index_settings import settings
from tests.unit.records import change
from tests.world import LONG
from tests.world import World as Followed

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/users"


def things(id="{user_id}", where=None):
    entity = Entity(name="thing", keys=("user_id",), attributes=("name",), where=where)
    return Index(name="things", of=entity, id=id, fields={"name": {"type": "keyword"}})


class World(Followed):
    """An index that one declaration has filled from five items."""

    source, step = TABLE, 10**10

    def __init__(self, declared=None):
        super().__init__()
        self.engine = OpenSearch()
        apply(self.engine, things(), 0)
        self.declare(declared or things())
        for n in range(5):
            self.put(f"u{n}", name={"S": f"name {n}"})

    def declare(self, index):
        def clients(service, **_):
            return self.engine if service == "opensearch" else self.service

        listed = replace(settings(), streams={f"{TABLE}/stream/1": 0})
        self.branch = build([index], listed, clients, Serial())
        self.pace = Pace(1e4)
        self.reconcile = reconciler(self.branch, listed, clients, self.pace)
        self.rebuilder = rebuilder(self.branch, self.reconcile, listed, clients, self.pace)

    def page(self, cursor=None, within=LONG):
        return self.rebuilder.sweep(Sweep("things-g0", 0, 1, cursor, frozenset(), False), within)

    def sweep(self, dry_run=False, segments=1):
        done, why = 0, {}
        for segment in range(segments):
            cursor = None
            while True:
                asked = Sweep("things-g0", segment, segments, cursor, frozenset(), dry_run)
                found = self.rebuilder.sweep(asked, LONG)
                assert not +found.left
                done, why, cursor = done + found.done, {**why, **+found.untouched}, found.cursor
                if cursor is None:
                    break
        return done, why

    def rebuild(self):
        swept = self.sweep(segments=2)
        self.reconcile([Reconcile({"user_id": {"S": id}}) for (id,) in self.service.state[TABLE]], LONG)
        return swept

    def shown(self):
        hits = self.engine.search(index="things", body={"size": 100})["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}


@pytest.mark.parametrize(
    "after",
    [things(id="THING#{user_id}"), things(where=lambda t: t["name"] > "name 2"), things()],
    ids=["id", "where", "none"],
)
def test_after_a_rebuild_there_is_what_a_first_fill_makes(after):
    world = World()
    world.delete("u4", deliver=False)
    world.declare(after)
    _, why = world.rebuild()
    assert why == {}
    fresh = World(after)
    fresh.delete("u4")
    assert world.shown() == fresh.shown()
    assert world.sweep() == (0, {})


def test_a_dry_run_counts_and_changes_nothing():
    world = World()
    world.declare(things(id="THING#{user_id}"))
    before = world.shown()
    assert world.sweep(dry_run=True) == (5, {})
    assert world.shown() == before


def test_what_a_sweep_replaced_a_newer_change_still_brings_back():
    world = World()
    world.delete("u4", deliver=False)
    assert world.sweep() == (1, {})
    world.put("u4", name={"S": "again"})
    assert world.shown()["u4"] == {"name": "again"}


def test_a_document_that_is_written_while_it_is_looked_at_is_not_replaced(monkeypatch):
    """By an invocation of the declaration before, between the look and the marker."""
    world, written = World(), []
    before, bulk = world.branch, world.engine.bulk
    world.declare(things(id="THING#{user_id}"))

    def overtaken(*arguments, **named):
        if not written:
            written.append("u0")
            before.apply([change(10**12, user="u0", new={"name": {"S": "newer"}})], LONG)
        return bulk(*arguments, **named)

    monkeypatch.setattr(world.engine, "bulk", overtaken)
    world.sweep()
    assert world.shown() == {"u0": {"name": "newer"}}


def test_documents_of_another_program_are_never_touched():
    world = World()
    world.engine.state["docs"]["things-g0"]["config"] = [1, {"name": "theirs"}]
    world.engine.state["docs"]["things-g0"]["%h" + "0" * 64] = [2**60, {"name": "long"}]
    assert world.sweep() == (0, {FOREIGN: 1, DIGEST: 1})
    assert world.shown()["config"] == {"name": "theirs"}


def test_a_scan_that_has_expired_is_never_taken_as_ended():
    world = World()
    world.declare(things(id="THING#{user_id}"))
    first = world.page()
    assert first.read == first.done == 2
    assert not first.repeatable
    world.engine.clear_scroll(body={"scroll_id": [first.cursor["scroll"]["S"]]})
    with pytest.raises(Unavailable, match="a page was lost"):
        world.page(first.cursor)
    assert world.sweep() == (3, {})


def test_a_cursor_that_is_none_of_an_index_is_refused():
    with pytest.raises(ConfigError, match="run the command anew"):
        World().page({"scroll": {"S": "s"}})


def test_a_sweep_begins_with_a_refresh_of_its_index(monkeypatch):
    world, calls = World(), []
    search = world.engine.search
    monkeypatch.setattr(world.engine.indices, "refresh", lambda index: calls.append(f"refresh {index}"))
    monkeypatch.setattr(world.engine, "search", lambda **asked: (calls.append("search"), search(**asked))[1])
    first = world.page()
    assert calls == ["refresh things-g0", "search"]
    world.page(first.cursor)
    assert len(calls) == 2


def test_a_sweep_reads_at_most_25_items_at_once(monkeypatch):
    monkeypatch.setattr("tests.fakes.opensearch.SCROLL_HITS", 100)
    world, asked = World(), []
    for n in range(5, 60):
        world.put(f"u{n}", name={"S": "x"})
    get = world.service.batch_get_item

    def counted(**call):
        asked.append((len(call["RequestItems"][TABLE]["Keys"]), call.get("ReturnConsumedCapacity")))
        return get(**call)

    monkeypatch.setattr(world.service, "batch_get_item", counted)
    assert world.page().read == 60
    assert asked == [(25, "TOTAL"), (25, "TOTAL"), (10, "TOTAL")]


def test_a_sweep_reads_within_the_units_of_reconciles():
    world = World()
    world.pace.take(1e6)
    with pytest.raises(Unavailable, match="raise ReconcileReadUnits"):
        world.page(within=Deadline(time.monotonic() + 1))


def test_the_parts_are_the_indexes_that_are_written():
    told = World().rebuilder.declarations(Done(frozenset(), frozenset()), LONG)
    assert (told["parts"], list(told["declared"])) == (["things-g0"], ["things"])
