"""Several changes of an item at one moment: whatever comes first, and however often, the item decides."""

from itertools import count, permutations
from typing import ClassVar

import pytest

from distributary.consumer import outcome as outcomes
from distributary.consumer.consume import consume
from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import APPLIED, SUPERSEDED, TIED, Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.ties import Settling, settling
from distributary.derive import Aggregate, Entity, Projection
from distributary.derive.factory import reconciler as of_views
from distributary.dynamodb.versioned_table import Write
from distributary.errors import ConfigError, Rejected, Unavailable
from distributary.index import Index
from distributary.index.factory import build as build_index
from distributary.index.opensearch.bulk_errors import of_item
from distributary.index.opensearch.schema import apply
from distributary.index.reconcile import IndexReconciler
from distributary.replicate.factory import reconciler as of_replica
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.records import decode as stream_changes
from distributary.trunk.factory import build as build_trunk
from distributary.trunk.settings import TrunkSettings
from distributary.welcome.branch import occasion
from tests.fakes.built import DERIVED, derive, mirror
from tests.fakes.kinesis import MICROS, delivered, written
from tests.fakes.opensearch import OpenSearch
from tests.unit.branches import Context
from tests.unit.index_settings import clients, settings
from tests.unit.joined import LEFT, Shop
from tests.unit.records import change, stream_record
from tests.unit.trunks import counts, deployment
from tests.world import World

USER = Entity(name="user", keys=("user_id",), attributes=("name", "city", "until"))
VIEWS = [
    Projection(name="by-id", of=USER, pk="USER#{user_id}", sk="ROW", keep=("name",)),
    Projection(name="by-name", of=USER, pk="NAME#{name}", sk="{user_id}", keep=("city",)),
    Projection(name="fading", of=USER, pk="FADING#{user_id}", sk="ROW", keep=("name",), expires_at="until"),
    Aggregate(name="cities", of=USER, pk="CITY#{city}", sk="TOTAL", count="people"),
    Projection(
        name="locals", of=USER, pk="LOCAL#{user_id}", sk="ROW", keep=("name",), where=lambda u: u["city"] == "here"
    ),
]
INDEX = Index(name="people", of=USER, id="{user_id}", fields={"name": {"type": "keyword"}, "city": {"type": "keyword"}})
FADES = {"until": {"N": "4102444800"}}


class Views(World):
    """Views on both primitives."""

    schemas: ClassVar = DERIVED
    names: ClassVar = tuple(view.name for view in VIEWS)

    def __init__(self):
        super().__init__()
        branch = derive([view for view in VIEWS if view.name in self.names], self.service)
        self.reconcile = of_views(branch, lambda *_: self.source, 0)
        self.branch = settling(branch, self.reconcile)

    def stands(self):
        rows = self.service.scan(TableName="derived")["Items"]
        kept = [{n: typed for n, typed in row.items() if not n.startswith("_distributary")} for row in rows]
        return sorted(repr(sorted(row.items())) for row in kept if not row["pk"]["S"].startswith("%"))


class ByRegister(Views):
    """No other view's tie brings the item's reconcile about."""

    names: ClassVar = ("by-id",)


class Fading(Views):
    """Rows that the table's TTL may take have tombstones of their own."""

    names: ClassVar = ("fading",)


class Chosen(Views):
    """Rows of some items: a change of another one removes a row if there is one."""

    names: ClassVar = ("locals",)


class ByLedger(Views):
    """Rows that move."""

    names: ClassVar = ("by-name",)


class Counted(Views):
    """Groups."""

    names: ClassVar = ("cities",)


class Mirrored(World):
    """A mirror."""

    schemas: ClassVar = {"replica": {"user_id": "S"}, "tombstones": {"id": "S"}}

    def __init__(self):
        super().__init__()
        branch = mirror(self.service)
        self.branch = settling(branch, of_replica(branch, lambda *_, **__: self.service, lambda: self.source, 0))

    def stands(self):
        rows = self.service.scan(TableName="replica")["Items"]
        return [{n: typed for n, typed in row.items() if n != REPLICA_VERSION} for row in rows]


class Indexed(World):
    """An index."""

    def __init__(self):
        super().__init__()
        self.engine = OpenSearch()
        apply(self.engine, INDEX, 0)
        branch = build_index([INDEX], settings(), clients(self.engine), Parallel(1))
        self.branch = settling(branch, IndexReconciler(branch, self.engine, self.service, lambda: self.source))

    def stands(self):
        hits = self.engine.search(index=INDEX.name, body={"size": 1000})["hits"]["hits"]
        return [(hit["_id"], hit["_source"]) for hit in hits]


WORLDS = (Views, ByRegister, Fading, Chosen, ByLedger, Counted, Mirrored, Indexed)


def put(name, city="here", **more):
    return lambda world: world.put("u", deliver=False, name={"S": name}, city={"S": city}, **FADES, **more)


def gone(world):
    return world.delete("u", deliver=False)


HISTORIES = {
    "made and gone": (None, [put("a"), gone]),
    "made, gone and made": (None, [put("a"), gone, put("b", "there")]),
    "gone and made": (put("z"), [gone, put("b")]),
    "changed twice": (put("z"), [put("a"), put("b", "there")]),
    "changed and back": (put("z"), [put("a", "there"), put("z")]),
    "changed and gone": (put("z"), [put("a"), gone]),
}


def played(make, history, order=None, batch=1, twice=False):
    """A world in which all changes but the first were made at one moment, and came in this order."""
    world, (before, tied) = make(), HISTORIES[history]
    if before:
        world.deliver(before(world)._replace(version=versions.of(0, MICROS - 1)))
    places = order or range(len(tied))
    moments = count(MICROS) if order is None else iter([MICROS] * len(tied))
    made = [each(world)._replace(version=versions.of(0, next(moments))) for each in tied]
    coming = [made[place] for place in places]
    coming += coming if twice else []
    for at in range(0, len(coming), batch):
        ends = world.deliver(*coming[at : at + batch])
        assert {end.status for end in ends} <= {Status.APPLIED, Status.SUPERSEDED, Status.IGNORED}
    return world


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("batch", [1, 2, 100])
@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("make", WORLDS)
def test_in_any_order_a_branch_ends_where_the_item_is(make, history, batch, twice):
    right = played(make, history).stands()
    for order in permutations(range(len(HISTORIES[history][1]))):
        assert played(make, history, order, batch, twice).stands() == right, order


@pytest.mark.parametrize("make", [Views, Mirrored])
def test_a_change_that_comes_twice_is_no_tie(make):
    world = make()
    made = put("a")(world)._replace(version=versions.of(0, MICROS))
    world.branch = world.branch.branch
    assert world.deliver(made, made) == [APPLIED, SUPERSEDED]
    if make is Mirrored:
        assert world.deliver(made) == [SUPERSEDED]


def test_a_put_of_the_moment_at_which_a_repair_removed_the_row_is_a_tie():
    """The repair's tombstone outranks it: it may have seen the item of after that moment."""
    world = Mirrored()
    register, made = world.branch.branch.register, put("a")(world)._replace(version=versions.of(0, MICROS))
    world.deliver(made)
    (row,) = world.service.scan(TableName="replica")["Items"]
    write = Write(world.branch.branch.plan(made).id, {"user_id": {"S": "u"}}, None, made.version)
    assert register.repair(write, row, "", made.version)
    assert world.branch.branch.apply([made], FOREVER) == [TIED]
    assert world.service.scan(TableName="replica")["Items"] == []


@pytest.mark.parametrize(("later", "end"), [(-1, SUPERSEDED), (0, TIED), (1, APPLIED)])
def test_a_delete_where_there_is_a_row_is_a_tie_with_a_put_of_its_moment(later, end):
    world = Mirrored()
    made = put("a")(world)._replace(version=versions.of(0, MICROS))
    world.deliver(made)
    branch = world.branch.branch
    gone_if_there = Write(branch.plan(made).id, {"user_id": {"S": "u"}}, None, made.version + later, if_present=True)
    assert branch.register.write([gone_if_there], FOREVER) == [end]
    assert len(world.service.scan(TableName="replica")["Items"]) == (end != APPLIED)


def of_one_moment(shop, table):
    """Two changes of an item of one of a join's tables."""
    values = ({"name": "Ada"}, {"name": "Grace"}) if table == "customers" else ({"total": "1"}, {"total": "2"})
    records = [shop.put(table, "x", customer_id="c1", **each) for each in values]
    return [each._replace(version=versions.of(0, MICROS)) for each in stream_changes({"Records": records}, 0)]


def test_two_contents_of_a_right_item_at_one_moment_are_a_tie():
    shop = Shop(LEFT)
    first, other = of_one_moment(shop, "customers")
    ends = [shop.branch.apply([each], FOREVER) for each in (first, other, first, other)]
    assert ends == [[APPLIED], [TIED], [SUPERSEDED], [TIED]]


def test_any_two_changes_of_a_left_item_at_one_moment_are_a_tie():
    """Its ledger row does not tell what the item was."""
    shop = Shop(LEFT)
    first, other = of_one_moment(shop, "orders")
    assert [shop.branch.apply([each], FOREVER) for each in (first, other)] == [[APPLIED], [TIED]]


@pytest.mark.parametrize("table", ["orders", "customers"])
def test_of_two_changes_of_one_moment_in_a_batch_one_is_a_tie(table):
    shop = Shop(LEFT)
    ends = shop.branch.apply(of_one_moment(shop, table), FOREVER)
    assert sorted(ends, key=str) == sorted([APPLIED, TIED], key=str)


@pytest.mark.parametrize("table", ["orders", "customers"])
def test_two_moments_in_a_batch_or_a_change_twice_are_no_tie(table):
    """A tie would be reconciled, for reads of its own. A stream's position is no moment."""
    first, other = of_one_moment(Shop(LEFT), table)
    later, of_stream = other._replace(version=other.version + 1), versions.of(0, 10**25)
    for pair in ((first, later), (first, first), [each._replace(version=of_stream) for each in (first, other)]):
        assert set(Shop(LEFT).branch.apply(pair, FOREVER)) == {APPLIED, SUPERSEDED}


@pytest.mark.parametrize("make", [Views, Mirrored])
def test_an_item_s_changes_of_two_moments_in_a_batch_are_no_tie(make):
    world = make()
    first, other = (put(name)(world)._replace(version=versions.of(0, MICROS + at)) for at, name in enumerate("ab"))
    world.branch = world.branch.branch
    assert not any(end.metric for end in world.deliver(first, other))


def test_a_stream_s_change_has_no_ties():
    world = Mirrored()
    first, other = put("a")(world), put("b")(world)
    assert world.deliver(first, other._replace(version=first.version)) == [APPLIED, SUPERSEDED]


class Answering:
    """A branch whose changes all tie, and a reconciler that answers what it is told to."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def apply(self, changes, deadline):
        return [TIED] * len(changes)

    def __call__(self, asked, deadline):
        self.asked += asked
        if isinstance(self.answer, Exception):
            raise self.answer
        return [self.answer] * len(asked)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (APPLIED, Status.APPLIED),
        (SUPERSEDED, Status.SUPERSEDED),
        (outcomes.failed(Unavailable("busy")), Status.FAILED),
        (outcomes.parked(Rejected("no number")), Status.PARKED),
        (Unavailable("busy"), Status.FAILED),
        (ConfigError("no table"), Status.FAILED),
    ],
)
def test_a_tie_ends_as_its_item_s_reconcile_does_and_is_counted(answer, status):
    both = Answering(answer)
    (end,) = Settling(both, both).apply([change(0)], FOREVER)
    assert (end.status, end.metric) == (status, "Tied")


def test_only_a_delete_by_ttl_spares_what_outlives_its_item():
    expired = change(0, "REMOVE")._replace(expired=True)
    both = Answering(APPLIED)
    Settling(both, both).apply([change(1), change(2, "REMOVE"), expired], FOREVER)
    assert [(each.removed, each.expired) for each in both.asked] == [(True, False), (True, False), (False, True)]
    assert {each.table for each in both.asked} == {"users"}


@pytest.mark.parametrize(("current", "tied"), [(5, True), (11, True), (12, False)])
def test_a_document_of_the_same_version_is_another_change_s(current, tied):
    """A repair raises a document's version by one."""
    reason = f"[u]: version conflict, current version [{current}] is higher or equal to the one provided [5]"
    conflict = {"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": reason}}
    assert of_item(conflict, may_tie=True).outcome == (TIED if tied else SUPERSEDED)
    assert of_item(conflict).outcome == SUPERSEDED
    assert of_item({"status": 409, "error": "who knows"}, may_tie=True).outcome == TIED


def test_two_events_of_one_moment_are_two_messages():
    first = change(0, new={"name": {"S": "a"}})
    at_once = [each._replace(version=versions.of(0, MICROS)) for each in (first, change(0, new={"name": {"S": "b"}}))]
    assert len({occasion(each) for each in at_once}) == 2
    assert occasion(at_once[0]) == occasion(at_once[0]._replace(event_id="again"))
    assert occasion(first) == str(versions.position_of(first.version))


@pytest.mark.parametrize("answer", [APPLIED, outcomes.failed(Unavailable("busy"))])
def test_a_function_settles_ties_before_it_answers(answer, capsys):
    both, record = Answering(answer), delivered(written(stream_record(1), "users", MICROS), 7)
    found = consume({"Records": [record]}, Context(), deployment(both, "derive", reconciler=both))
    failed = [{"itemIdentifier": record["kinesis"]["sequenceNumber"]}] if answer is not APPLIED else []
    assert found == {"batchItemFailures": failed}
    counted = counts(capsys)["derive"]
    assert (counted["Tied"], counted["Received"]) == (1, 1)
    assert counted[answer.status.value] == 1


def test_a_branch_in_the_trunk_settles_its_ties_as_its_own_function_does():
    settings = TrunkSettings(
        parking_bucket="parking",
        generation=0,
        branches=("derive", "archive"),
        deferred_bucket="deferred",
        breaker_table="breakers",
        defer_after_seconds=60,
        event_names=frozenset(),
    )
    both = Answering(APPLIED)
    deployed = {"derive": deployment(both, "derive", reconciler=both), "archive": deployment(both, "archive")}
    trunk = build_trunk(settings, deployed.__getitem__, lambda *_, **__: None)
    assert [limb.branch for limb in trunk.limbs] == [Settling(both, both), both]
