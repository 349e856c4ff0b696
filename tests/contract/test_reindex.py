"""Readers move to a new generation of an index, whatever happens meanwhile, and in no other order than the safe one."""

import datetime
import time
from random import Random

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import failed
from distributary.consumer.parallel import Parallel
from distributary.errors import ConfigError, ForeignStream, Unavailable
from distributary.index import Field
from distributary.index.factory import build
from distributary.index.opensearch import reader as standing
from distributary.index.opensearch import schema
from distributary.index.opensearch.bindings import IndexBindings, read
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.target import Declared
from distributary.index.reindex import backfill, state
from distributary.index.reindex.backfill import Backfill
from distributary.index.reindex.steps import FRESH_SECONDS, Accepted, Reindex
from distributary.index.reindex.writers import Deployed, Vouched
from distributary.index.verify.comparison import Comparator
from distributary.index.verify.verifier import Verify
from tests.contract.place import FIELDS, USER, Place, ids_in
from tests.replaced import replace
from tests.unit.index_settings import clients, settings
from tests.unit.records import change

NOW = 1_795_341_600.0


@pytest.fixture(params=["osmem", pytest.param("node", marks=pytest.mark.opensearch)])
def client(request):
    if request.param == "osmem":
        return connect(request.getfixturevalue("emulators").opensearch, "none")
    return connect(request.getfixturevalue("opensearch_url"), "none")


@pytest.fixture
def town(client):
    return Town(client)


class Lambda:
    """The alias of the index function, and the version that it invokes. What is not published yet writes nowhere."""

    def __init__(self):
        self.weights = {}
        self.deploy(0, 0)

    def deploy(self, generation, also, at=NOW - 3600, **more):
        modified = datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        variables = {"GENERATION": str(generation), "ALSO_GENERATION": str(also)}
        self.found = {"Environment": {"Variables": variables}, "LastModified": modified, "Timeout": 60, **more}

    def get_function_configuration(self, *, FunctionName, Qualifier="$LATEST"):
        return self.found if Qualifier == "live" else {}

    def get_alias(self, *, FunctionName, Name):
        assert Name == "live"
        return {"FunctionVersion": "2", "RoutingConfig": {"AdditionalVersionWeights": self.weights}}


class Town(Place):
    """A place whose function can be deployed to write to two generations."""

    def __init__(self, client):
        super().__init__(client)
        self.clock, self.slept, self.function = NOW, [], Lambda()
        self.declare(self.index)

    def declare(self, *indexes):
        """What indexes.py holds; the function runs it from its next deployment."""
        self.indexes, self.next = indexes, Declared.of(indexes, self.search, 1)

    def deploy_both(self, **more):
        self.branch = build(self.indexes, settings(0, 1), clients(self.search), Parallel())
        self.function.deploy(0, 1, **more)

    def reindex(self, writers=None):
        eye = Comparator(self.next, self.search, self.service, "users", ("user_id",))
        verify = Verify(eye, segments=2, pause=1.0, sleep=lambda _: None)
        fill = Backfill(self.next, self.search, self.service, "users", ("user_id",), sleep=lambda _: None)
        asked = writers or Deployed(self.function, "index", lambda: self.clock, self.slept.append)
        return Reindex(
            self.next, lambda g: Declared.of(self.indexes, self.search, g), asked, fill, verify, lambda: self.clock
        )

    def start(self, segments=3, **more):
        return list(self.reindex().start(segments, **more))

    def ready(self):
        """Everything up to the swap."""
        with pytest.raises(ConfigError, match="AlsoGeneration=1"):
            self.start()
        self.deploy_both()
        self.start()
        assert self.reindex().compare().left == 0


def names(place, users):
    return {f"USER#{user}": user for user in users}


def test_readers_move_and_come_back_and_see_every_change_on_either_side(town):
    for user in ("a", "b", "c", "d"):
        town.put(user)
    town.ready()
    town.put("e")
    town.delete("a")
    assert town.shown() == names(town, "bcde")
    assert "readers moved" in town.reindex().swap()
    assert list(town.search.indices.get_alias(name=town.index.name)) == [town.index.physical(1)]
    assert town.shown() == names(town, "bcde")
    town.put("f")
    town.delete("b")
    assert town.shown() == names(town, "cdef")
    assert "readers moved" in town.reindex().rollback()
    assert list(town.search.indices.get_alias(name=town.index.name)) == [town.index.physical(0)]
    assert town.shown() == names(town, "cdef")


def test_every_step_may_be_repeated(town):
    town.put("a")
    town.ready()
    assert "filled already" in town.start()[-1]
    assert town.reindex().compare().left == 0
    town.reindex().swap()
    assert "already" in town.reindex().swap()
    town.reindex().rollback()
    assert "already" in town.reindex().rollback()
    town.reindex().swap()
    assert town.shown() == {"USER#a": "a"}


def test_a_step_before_its_time_is_refused_with_what_to_do_first(town):
    reindex = town.reindex()
    for step, first in ((reindex.compare, "run start"), (reindex.swap, "run: start"), (reindex.rollback, "nothing")):
        with pytest.raises(ConfigError, match=first):
            step()
    with pytest.raises(ConfigError, match="Generation=0 and AlsoGeneration=1"):
        town.start()
    town.deploy_both()
    town.start()
    with pytest.raises(ConfigError, match="run: compare"):
        town.reindex().swap()
    assert list(town.search.indices.get_alias(name=town.index.name)) == [town.index.physical(0)]


def test_plan_says_what_comes_next_and_changes_nothing(town):
    assert list(town.reindex().plan())[-1] == "run: start"
    assert not town.search.indices.exists(index=town.index.physical(1))
    town.deploy_both()
    town.start()
    assert "run: compare" in list(town.reindex().plan())[-1]
    town.reindex().compare()
    assert list(town.reindex().plan())[-1] == "run: swap"
    town.reindex().swap()
    assert "run: rollback" in list(town.reindex().plan())[-2]


def test_the_swap_is_refused_while_differences_are_left_and_after_a_day(town):
    town.put("a")
    town.ready()
    town.put("b", deliver=False)
    assert town.reindex().compare().left == 1
    with pytest.raises(
        ConfigError, match=r"1 differences, 0 refused, 0 moving. run: compare --repair, or swap --differences 1"
    ):
        town.reindex().swap()
    town.clock += FRESH_SECONDS + 1
    with pytest.raises(ConfigError, match="not compared in the last 24 hours"):
        town.reindex().swap(Accepted(differences=1))
    town.clock -= FRESH_SECONDS
    assert "readers moved" in town.reindex().swap(Accepted(differences=1))


def test_readers_do_not_move_once_a_function_no_longer_writes_to_both(town):
    town.put("a")
    town.ready()
    town.function.deploy(0, 0)
    with pytest.raises(ConfigError, match="deploy the stack"):
        town.reindex().swap()
    town.function.deploy(0, 1)
    town.reindex().swap()
    town.function.deploy(1, 1)
    with pytest.raises(ConfigError, match="Generation=0 and AlsoGeneration=1"):
        town.reindex().rollback()


def test_a_deployment_after_the_backfill_began_must_be_vouched_for(town):
    town.put("a")
    town.ready()
    town.function.deploy(0, 1, at=NOW + 5)
    town.clock += 3600
    with pytest.raises(ConfigError, match="writing-both"):
        town.reindex().swap()
    assert "readers moved" in town.reindex(Vouched()).swap()


def test_the_scan_begins_after_invocations_of_the_old_deployment_have_ended(town):
    town.deploy_both(at=NOW - 10)
    town.start()
    assert town.slept == [60]


def test_nothing_is_filled_while_the_version_before_still_takes_a_part(town):
    town.deploy_both()
    town.function.weights = {"3": 0.1}
    with pytest.raises(ConfigError, match="deployed gradually"):
        town.start()
    assert not town.slept


def test_a_backfill_that_was_cut_off_goes_on_where_it_was(town, monkeypatch):
    users = [f"u-{n}" for n in range(40)]
    for user in users:
        town.put(user)
    town.deploy_both()
    pages, scanned = town.service.scan, []

    def dies(**arguments):
        scanned.append(arguments["Segment"])
        if len(scanned) == 6:
            raise KeyboardInterrupt
        return pages(**arguments)

    monkeypatch.setattr(backfill, "ThreadPoolExecutor", OneByOne)
    town.service.scan = dies
    with pytest.raises(KeyboardInterrupt):
        town.start(segments=8)
    done = state.read(town.search, town.index.physical(1)).done
    assert 0 < len(done) < 8
    with pytest.raises(ConfigError, match="run start"):
        town.reindex().compare()
    scanned.extend([None] * 6)
    first = len(scanned)
    town.start(segments=3)
    assert not set(scanned[first:]) & set(done), "a finished segment is not read again"
    town.service.scan = pages
    assert town.reindex().compare().left == 0
    town.reindex().swap()
    assert town.shown() == names(town, users)


class OneByOne:
    """A pool of one thread, this one."""

    def __init__(self, *_, **__):
        """As any pool."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    map = staticmethod(map)


@pytest.mark.parametrize("seed", range(4))
def test_changes_between_any_two_pages_of_the_backfill_lose_nothing(town, seed):
    random, waiting = Random(seed), []

    def something():
        user = f"u-{random.randrange(20)}"
        if random.random() < 0.4:
            made = town.delete(user, deliver=False)
        else:
            made = town.put(user, deliver=False, visits={"N": str(random.randrange(9))})
        waiting.extend([made] if made else [])
        while waiting and random.random() < 0.7:
            town.deliver(waiting.pop(random.randrange(len(waiting))))

    for _ in range(40):
        something()
    while waiting:
        town.deliver(waiting.pop())
    town.deploy_both()
    town.service.between = something
    town.start(segments=2)
    town.service.between = lambda: None
    while waiting:
        town.deliver(waiting.pop())
    assert town.reindex().compare().differences == 0
    before = town.shown()
    town.reindex().swap()
    assert town.shown() == before


def test_readers_that_somebody_else_moved_meanwhile_are_not_moved(town, monkeypatch):
    town.put("a")
    town.ready()
    reindex = town.reindex()
    elsewhere = {"index": town.index.physical(0), "alias": town.index.name}
    town.search.indices.update_aliases(body={"actions": [{"remove": elsewhere}]})
    monkeypatch.setattr(state, "read_by", lambda *_: 0)
    with pytest.raises(ConfigError):
        reindex.swap()
    assert not town.search.indices.exists_alias(name=town.index.name)


def test_a_refused_item_is_counted_with_its_cause_and_the_rest_is_filled(town):
    town.put("a")
    town.put("bad", deliver=False, visits={"S": "no number"})
    town.deploy_both()
    said = town.start()
    assert "Parked 1" in said[-1]
    assert "400" in said[-1]
    assert town.reindex().compare().left == 1
    town.reindex().swap(Accepted(differences=1))
    assert town.shown() == {"USER#a": "a"}


class Silent:
    """Bulk requests that get no answer."""

    def send(self, actions, deadline):
        return [failed(Unavailable("bulk: no answer"))] * len(actions)


def test_a_backfill_whose_writes_keep_failing_stops_and_can_go_on(town):
    town.put("a")
    town.deploy_both()
    good = town.next
    town.next = replace(good, branch=replace(good.branch, bulk=Silent()))
    with pytest.raises(Unavailable, match="failed 10 times, bulk: no answer"):
        town.start()
    town.next = good
    town.start()
    assert town.reindex().compare().left == 0


def test_generations_only_rise(town):
    town.next = town.declared
    with pytest.raises(ConfigError, match="readers are on generation 0"):
        town.start()


def test_without_a_read_alias_nothing_begins(town):
    town.search.indices.delete_alias(index=town.index.physical(0), name=town.index.name)
    with pytest.raises(ConfigError, match="distributary index apply"):
        list(town.reindex().plan())


def test_what_else_the_index_keeps_in_its_meta_stays(town):
    town.deploy_both()
    town.start()
    name = town.index.physical(1)
    meta = town.search.indices.get_mapping(index=name)[name]["mappings"]["_meta"]
    town.search.indices.put_mapping(index=name, body={"_meta": {**meta, "theirs": 1}})
    town.reindex().compare()
    meta = town.search.indices.get_mapping(index=name)[name]["mappings"]["_meta"]
    assert meta["theirs"] == 1
    assert standing.asked("x", lambda: state.read(town.search, name)).compared == NOW


CHANGED = {**FIELDS, "visits": {"type": "keyword"}, "balance": {"type": "double"}}


def test_the_old_index_keeps_its_own_declaration_while_a_changed_one_is_filled(town):
    """`visits` is a long in the old index, and a keyword in the new one: "many" fits the new one alone."""
    town.put("a", visits={"N": "1"}, balance={"N": "0.5"})
    town.declare(town.index, replace(town.index, since=1, fields=CHANGED))
    town.ready()
    assert town.statuses(town.put("b", visits={"N": "2"}, deliver=False)) == ["Applied"]
    assert town.statuses(town.put("c", visits={"S": "many"}, deliver=False)) == ["Parked"]
    documents = {generation: town.documents(generation) for generation in (0, 1)}
    assert documents[0]["USER#b"]["visits"] == 2
    assert documents[1]["USER#b"]["visits"] == "2"
    assert (documents[0]["USER#a"]["balance"], documents[1]["USER#a"]["balance"]) == ("0.5", 0.5)
    town.delete("c")
    town.reindex().swap()
    town.put("d")
    town.reindex().rollback()
    assert town.shown() == names(town, "abd")


def test_a_changed_declaration_in_the_place_of_the_old_index_s_own_is_refused(town):
    """Its documents would be refused by the old index, which readers are on."""
    town.declare(replace(town.index, fields=CHANGED))
    with pytest.raises(ConfigError, match=r"keep the declaration .* beside it with since=1"):
        town.start()
    assert not town.search.indices.exists(index=town.index.physical(1))
    town.declare(replace(town.index, fields={**FIELDS, "alias": Field(mapping={"type": "keyword"}, of="name")}))
    with pytest.raises(ConfigError, match="field 'alias' is not in"):
        town.start()


def test_a_mapping_that_differs_in_more_than_its_type_is_refused_as_well(town):
    town.declare(replace(town.index, fields={**FIELDS, "name": {"type": "keyword", "ignore_above": 2}}))
    with pytest.raises(ConfigError, match="declares other mappings"):
        town.start()


def test_readers_are_not_moved_to_an_index_that_refuses_items(town):
    broken = replace(USER, where=lambda item: 1 / 0)
    town.put("a")
    town.declare(town.index, replace(town.index, of=broken, since=1))
    with pytest.raises(ConfigError):
        town.start()
    town.deploy_both()
    town.start()
    report = town.reindex().compare()
    assert (report.left, report["parked"], report.status) == (0, 1, 1)
    with pytest.raises(ConfigError, match="swap --refused 1"):
        town.reindex().swap(Accepted(differences=5, moving=5))
    assert town.shown() == {"USER#a": "a"}
    assert "readers moved" in town.reindex().swap(Accepted(refused=1))


def test_readers_are_not_moved_while_items_keep_changing(town):
    town.put("a")
    town.ready()

    def meanwhile(_):
        town.put("a", deliver=False, visits={"N": str(town.written)})

    meanwhile(0)
    reindex = town.reindex()
    reindex.verify.sleep = meanwhile
    report = reindex.compare()
    assert (report.left, report.counts["moving"], report.status) == (0, 1, 2)
    with pytest.raises(ConfigError, match="swap --moving 1"):
        reindex.swap()


def test_a_function_whose_two_generations_are_one_writes_once(town):
    branch = build([town.index], settings(0, 0), clients(town.search), Parallel())
    assert branch.generation == 0


def test_the_advice_after_a_swap_leaves_one_generation(town):
    town.ready()
    town.reindex().swap()
    assert "Generation=1 and without AlsoGeneration" in list(town.reindex().plan())[-1]


def test_the_fill_carries_the_markers_of_deleted_items(town):
    """Under another id as well: an older change that comes late finds them."""
    older = town.put("gone")
    town.delete("gone")
    town.put("a")
    town.declare(town.index, replace(town.index, id="NEW#{user_id}", since=1))
    town.deploy_both()
    town.start()
    assert ids_in(town.search, town.index.physical(1)) == ["NEW#a", "NEW#gone"]
    assert town.statuses(older) == ["Superseded"]
    assert list(town.documents(1)) == ["NEW#a"]


def test_the_first_fill_writes_nothing_for_items_that_the_index_is_not_about(town):
    town.put("a")
    town.put("robot", kind={"S": "robot"})
    town.deploy_both()
    town.start()
    assert len(ids_in(town.search, town.index.physical(1))) == 1


def test_a_second_fill_removes_what_an_earlier_declaration_left(town):
    """`where` was changed between the two; the robot's document is only in the new index."""
    town.put("robot", deliver=False, kind={"S": "robot"})
    town.declare(town.index, replace(town.index, of=replace(USER, where=None), since=1))
    town.deploy_both()
    town.start()
    assert list(town.documents(1)) == ["USER#robot"]
    town.declare(town.index)
    town.deploy_both()
    town.start(again=True)
    assert town.documents(1) == {}


def test_the_fill_of_an_index_that_held_something_before_removes_as_well(town):
    town.put("robot", deliver=False, kind={"S": "robot"})
    town.declare(town.index, replace(town.index, of=replace(USER, where=None), since=1))
    schema.apply(town.search, town.next.index, 1)
    earlier = build(town.indexes, settings(1), clients(town.search), Parallel())
    item = {"kind": {"S": "robot"}, "name": {"S": "robot"}}
    snapshot = change(0, "INSERT", user="robot", new=item, generation=1, distributary={"origin": "snapshot"})
    earlier.apply([snapshot], Deadline(time.monotonic() + 10))
    assert list(town.documents(1)) == ["USER#robot"]
    town.declare(town.index)
    town.deploy_both()
    town.start()
    assert town.documents(1) == {}


OLD_STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-01-01T00:00:00.000"
NEW_STREAM = OLD_STREAM.replace("2026-01", "2026-11")


def bind(town, stream, generation):
    places = [(town.index.physical(generation), town.index.write_alias(generation))]
    IndexBindings(town.search, places, generation).bind(stream, generation)


def stream_of(town, generation):
    name = town.index.physical(generation)
    return read(town.search, [name])[name].stream


def test_a_move_keeps_a_second_stack_out_of_the_new_index(town):
    town.put("a")
    bind(town, OLD_STREAM, 0)
    town.ready()
    assert stream_of(town, 1) == OLD_STREAM
    with pytest.raises(ForeignStream, match="belongs to stream"):
        bind(town, NEW_STREAM, 1)


def test_readers_move_to_the_index_of_a_restored_tables_stream_and_not_back(town):
    """The function writes to the new index alone: of two streams' positions neither is earlier."""
    town.put("a")
    bind(town, OLD_STREAM, 0)
    schema.apply(town.search, town.index, 1)
    bind(town, NEW_STREAM, 1)
    town.function.deploy(1, "")
    town.branch = build([town.index], settings(1), clients(town.search), Parallel())
    town.start()
    town.service.put_item(TableName="users", Item={"user_id": {"S": "b"}, "name": {"S": "b"}})
    assert town.statuses(change(1, new={"name": {"S": "b"}}, user="b", generation=1)) == ["Applied"]
    assert town.reindex().compare().left == 0
    assert "readers moved" in town.reindex().swap()
    assert town.shown() == names(town, "ab")
    with pytest.raises(ConfigError, match="belongs to an earlier stream, and nothing writes to it"):
        town.reindex().rollback()
