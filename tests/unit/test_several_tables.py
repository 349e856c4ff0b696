"""A derive function that reads several tables keeps each view in step with the table of its entity."""

import sys
from dataclasses import replace
from random import Random
from types import SimpleNamespace

import pytest

from cli.feed.on_aws import Results
from cli.main import main
from distributary.consumer.consume import Deployment, consume
from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import IGNORED
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.settings import StreamSettings
from distributary.consumer.streams import Streams, parse_sources
from distributary.consumer.telemetry import Telemetry
from distributary.derive import Aggregate, Entity, Projection
from distributary.derive.factory import build, rebuilder, reconciler
from distributary.derive.settings import DeriveSettings
from distributary.derive.verify import command
from distributary.errors import ConfigError
from distributary.feed.redrive import Giving
from distributary.index import Index
from distributary.index.factory import build as build_index
from distributary.replicate import Mirror
from distributary.stream.change import Change
from distributary.stream.keys import table_arn, table_of
from distributary.stream.records import decode
from distributary.welcome.factory import build as build_welcome
from tests.fakes.built import DERIVED, mirror
from tests.fakes.serial import Serial
from tests.fakes.stack import Lambda, clients
from tests.fakes.streaming import Streaming, arn_of, record, streams
from tests.fakes.waiting import without_waiting
from tests.unit.branches import Bucket, Context
from tests.unit.index_settings import settings as index_settings
from tests.unit.mail import SETTINGS as WELCOME
from tests.unit.mail import rule

ORDERS, CUSTOMERS = arn_of("orders"), arn_of("customers")
OF_TABLE = {"orders": ORDERS, "customers": CUSTOMERS}
KEY = {"id": "S"}
ORDER = Entity(name="order", keys=("id",), attributes=("total",), table="orders")
CUSTOMER = Entity(name="customer", keys=("id",), attributes=("name",), table="customers")
ANY = Entity(name="any", keys=("id",))
VIEWS = (
    Projection(name="order", of=ORDER, pk="ORDER#{id}", sk="ORDER", keep=("total",)),
    Projection(name="customer", of=CUSTOMER, pk="CUSTOMER#{id}", sk="CUSTOMER", keep=("name",)),
    Aggregate(name="sales", of=ORDER, pk="SALES", sk="TOTAL", count="orders", sum={"revenue": "total"}),
    Aggregate(name="items", of=ANY, pk="ITEMS", sk="TOTAL", count="items"),
)


def settings(*arns, earlier=""):
    return DeriveSettings.load(
        {
            "PARKING_BUCKET": "parking",
            "GENERATION": "0",
            "STREAMS": f"{','.join(f'{arn}=0' for arn in arns)},=0,{earlier}",
            "SOURCES": f"{','.join(arns)},,",
            "DERIVED_TABLE": "derived",
            "LEDGER_TABLE": "ledger",
            "TOMBSTONE_TABLE": "tombstones",
            "TOMBSTONE_DAYS": "7",
        }
    )


class Service(Streaming):
    """Describes its tables, and knows them by their ARNs as well."""

    def batch_get_item(self, *, RequestItems, **more):
        names = {table_of(table_arn(given)): given for given in RequestItems}
        asked = {name: RequestItems[given] for name, given in names.items()}
        answer = super().batch_get_item(RequestItems=asked, **more)
        return {**answer, "Responses": {names[name]: found for name, found in answer["Responses"].items()}}

    def scan(self, *, ProjectionExpression="", ExpressionAttributeNames=None, **more):
        found = super().scan(**more)
        wanted = set((ExpressionAttributeNames or {}).values())
        kept = [{n: v for n, v in item.items() if not wanted or n in wanted} for item in found["Items"]]
        return {**found, "Items": kept}

    def describe_table(self, *, TableName):
        keys = [{"AttributeName": name} for name in self._table("DescribeTable", TableName)[1]]
        known = {"ItemCount": len(self.state[TableName]), "TableSizeBytes": 1}
        return {"Table": {"TableName": TableName, "KeySchema": keys, **known}}


class Town:
    """Two tables whose items have the same ids, and the function that reads both."""

    def __init__(self, monkeypatch, views=VIEWS, items="abc"):
        schemas = {**DERIVED, "orders": KEY, "customers": KEY}
        self.service = Service(schemas, streams=streams(OF_TABLE, Random(1)))
        self.settings = settings(ORDERS, CUSTOMERS)
        self.monkeypatch, self.given = monkeypatch, dict.fromkeys(OF_TABLE, 0)
        self.deploy(views)
        for id in items:
            self.put("orders", id, total={"N": "2"})
            self.put("customers", id, name={"S": f"name of {id}"})
        self.deliver()

    def deploy(self, views):
        self.monkeypatch.setitem(sys.modules, "views", SimpleNamespace(VIEWS=views))
        settings, service = self.settings, self.service
        branch = build(views, settings, lambda *_, **__: service, Serial(), lambda: 1000.0, lambda _: None)
        reconcile = reconciler(branch, settings.source, 0)
        rebuild = rebuilder(branch, reconcile, settings.source, 0, settings.streams, own=settings.own_streams)
        around = Parking(Bucket(), "parking", "derive", Parallel(1)), Telemetry("derive")
        known = Streams(0, settings.streams, own=settings.own_streams)
        self.deployed = Deployment(branch, *around, known, reconcile, rebuild)

    def put(self, table, id, **attributes):
        self.service.put_item(TableName=table, Item={"id": {"S": id}, **attributes})

    def lose(self, table, id):
        """Deletes an item whose delete the stream never brings."""
        self.service.delete_item(TableName=table, Key={"id": {"S": id}})
        self.given[table] = len(self.service.records(table))

    def deliver(self):
        records = [each for table, at in self.given.items() for each in self.service.records(table)[at:]]
        self.given = {table: len(self.service.records(table)) for table in self.given}
        assert self.invoke({"Records": records}) == {"batchItemFailures": []}

    def invoke(self, event):
        return consume(event, Context(), self.deployed)

    def command(self, **given):
        return self.invoke({"distributary": given})

    def rows(self):
        return {pk for pk, _ in self.service.state["derived"] if not pk.startswith("%")}

    def figure(self, pk, name):
        return self.service.state["derived"][pk, "TOTAL"][name]["N"]

    def damage(self, pk, sk, **attributes):
        self.service.state["derived"][pk, sk] |= attributes

    def verify(self, table, **more):
        self.monkeypatch.setattr(command, "_client", lambda *_: self.service)
        given = {"derived_table": "derived", "ledger_table": "ledger", "tombstone_table": "tombstones"}
        sources = self.settings.own_streams
        return command.run(command.Options(**{"sources": sources, **given, **more}, table=table, segments=1, pause=0.0))


@pytest.fixture
def town(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    return Town(monkeypatch)


@pytest.fixture
def shop(town, monkeypatch):
    """The town as a deployed stack."""
    functions = Lambda({"derive": town.deployed}, f"{ORDERS}=0,{CUSTOMERS}=0", sources=f"{ORDERS},{CUSTOMERS}")
    found = clients("parking", None, functions, dynamodb=town.service)
    for place in ("cli.target",):
        monkeypatch.setattr(f"{place}.clients", lambda *_: found)
    without_waiting(monkeypatch)
    town.functions = functions
    return town


class Unread:
    """An image that must not be looked at."""

    def __getattr__(self, name):
        raise AssertionError(f"the image was asked for {name}")


def test_each_view_has_the_items_of_its_own_table(town):
    assert town.rows() == {*(f"{kind}#{id}" for kind in ("ORDER", "CUSTOMER") for id in "abc"), "SALES", "ITEMS"}
    assert town.service.state["derived"]["CUSTOMER#a", "CUSTOMER"]["name"] == {"S": "name of a"}
    assert (town.figure("SALES", "orders"), town.figure("SALES", "revenue")) == ("3", "6")


def test_an_entity_without_a_table_is_of_every_table(town):
    assert town.figure("ITEMS", "items") == "6"


def test_a_change_of_another_table_is_ignored_without_looking_at_its_images(town):
    town.deploy(VIEWS[:1])
    (change,) = decode({"Records": [record(CUSTOMERS, {"id": {"S": "z"}}, None, {"id": {"S": "z"}}, 5)]}, 0)
    assert isinstance(change, Change)
    blind = change._replace(new=Unread(), old=Unread(), keys=Unread())
    assert town.deployed.branch.apply([blind], FOREVER) == [IGNORED]


@pytest.mark.parametrize(
    ("arns", "view", "fault"),
    [
        (
            (CUSTOMERS,),
            VIEWS[0],
            "view 'order': entity 'order' is of table 'orders', and the function reads customers: "
            "correct the entity's table, or the function's sources",
        ),
        (
            (CUSTOMERS, ORDERS),
            Projection(name="all", of=ANY, pk="ALL", sk="{id}"),
            "view 'all': entity 'any' names no table, and the function reads customers, orders: items of two tables "
            "could share a row; give the entity table='customers'",
        ),
    ],
)
def test_a_view_that_no_table_can_fill_is_refused_at_load(arns, view, fault):
    with pytest.raises(ConfigError) as error:
        build([view], settings(*arns), lambda *_, **__: None, Serial())
    assert error.value.faults == [fault]


def test_one_source_accepts_entities_with_and_without_its_name():
    views = [VIEWS[0], Projection(name="all", of=ANY, pk="ALL", sk="{id}")]
    for found in (settings(ORDERS), settings()):
        assert build(views, found, lambda *_, **__: None, Serial()).views


@pytest.mark.parametrize(
    ("text", "fault"),
    [("orders,", "give the ARN of a DynamoDB stream, not 'orders'"), (f"{ORDERS},{ORDERS}", "give each table once")],
)
def test_sources_that_are_no_streams_are_refused(text, fault):
    with pytest.raises(ValueError, match=fault):
        parse_sources(text)


def test_a_source_is_named_where_there_are_several():
    found = settings(ORDERS, CUSTOMERS)
    assert found.source("customers") == CUSTOMERS.partition("/stream/")[0]
    with pytest.raises(ConfigError, match="the function reads orders, customers, not 'users'"):
        found.source("users")
    with pytest.raises(ConfigError, match="the function reads several tables, and the command names none of orders"):
        found.source()


def test_an_earlier_stream_of_another_table_is_no_source():
    found = settings(ORDERS, earlier=f"{CUSTOMERS}=0")
    assert (found.tables, found.source()) == (("orders",), ORDERS.partition("/stream/")[0])
    plain = StreamSettings(parking_bucket="parking", generation=0, streams=found.streams)
    assert plain.tables == ("orders",)


def test_a_command_sets_items_of_the_named_table_right(town):
    for kind, name in (("ORDER", "total"), ("CUSTOMER", "name")):
        town.damage(f"{kind}#a", kind, **{name: {"S": "wrong"}})
    answer = town.command(reconcile=[{"key": {"id": {"S": "a"}}}], table="customers")
    assert [each["status"] for each in answer["outcomes"]] == ["Applied"]
    assert town.service.state["derived"]["CUSTOMER#a", "CUSTOMER"]["name"] == {"S": "name of a"}
    assert town.service.state["derived"]["ORDER#a", "ORDER"]["total"] == {"S": "wrong"}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({}, "the command names none of orders, customers"),
        ({"table": "users"}, "the function reads orders, customers, not 'users'"),
        ({"table": 5}, "the command's 'table' is no table's name"),
        ({"table": "orders", "only": ["customer"]}, "view 'customer' reads 'customers', not 'orders'"),
    ],
)
def test_a_command_that_names_no_table_of_the_function_is_refused(town, given, fault):
    with pytest.raises(ConfigError, match=fault):
        town.command(reconcile=[{"key": {"id": {"S": "a"}}}], **given)


def test_a_sweep_removes_what_the_named_table_does_not_explain(town):
    town.lose("orders", "a")
    town.lose("customers", "b")
    for part in ("ledger", "derived"):
        town.command(sweep={"part": part, "segment": 0, "segments": 1}, table="orders")
    assert {"ORDER#a", "CUSTOMER#b"} & town.rows() == {"CUSTOMER#b"}
    assert (town.figure("SALES", "orders"), town.figure("ITEMS", "items")) == ("2", "5")


def test_a_sweep_removes_what_a_view_had_of_the_table_before(town):
    moved = Aggregate(name="sales", of=CUSTOMER, pk="SALES", sk="TOTAL", count="orders")
    town.deploy((*VIEWS[:2], moved))
    town.command(sweep={"part": "ledger", "segment": 0, "segments": 1}, table="customers")
    assert not [id for (id,), row in town.service.state["ledger"].items() if id[:6] == "sales|" and "shares" in row]


def test_a_retired_view_leaves_a_row_that_another_table_explains_now(town):
    """Items of the two tables have equal keys: the order's row is none that its customer could be asked about."""
    moving = Projection(name="moving", of=ORDER, pk="MOVED#{id}", sk="{total:N}")
    town.deploy((*VIEWS, moving))
    town.command(reconcile=[{"key": {"id": {"S": "a"}}}], table="orders")
    taken = Projection(name="taken", of=CUSTOMER, pk="MOVED#{id}", sk="{name}", keep=("name",))
    town.deploy((*VIEWS, taken))
    swept = town.command(sweep={"part": "ledger", "segment": 0, "segments": 1}, table="orders")["swept"]
    (left,) = swept["left"]
    assert (left["rows"], left["cause"][:50]) == (1, "a ledger row's id does not show the item whose row")
    assert town.service.state["derived"]["MOVED#a", "2"]


def test_verify_looks_at_items_of_the_named_table_only(town):
    for table in OF_TABLE:
        report = town.verify(table)
        assert report.equal, report.as_json()
        assert report["unknown"] == 0
    town.damage("CUSTOMER#a", "CUSTOMER", name={"S": "wrong"})
    assert town.verify("orders")["differences"] == 0
    assert town.verify("customers")["differences"] == 1
    town.verify("customers", repair=True)
    assert town.verify("customers").equal


def test_verify_names_what_no_source_explains(town):
    """Without the function's sources the other table's items are unknown to a view of every table."""
    assert town.verify("orders", sources=())["unknown"] == 3


def test_verify_names_what_a_view_had_of_another_table_before(town):
    """The function still reads that table, for other views."""
    town.deploy((*VIEWS[:2], Aggregate(name="sales", of=CUSTOMER, pk="SOLD", sk="TOTAL", count="orders"), VIEWS[3]))
    unknown = {each["where"] for each in town.verify("customers").samples["unknown"]}
    assert {where for where in unknown if where.startswith("ledger")} == {
        f"ledger sales|orders/id=S:{id}" for id in "abc"
    }


def test_verify_names_a_ledger_row_of_its_table_under_other_keys(town):
    ledger = town.service.state["ledger"]
    ledger["items|orders/sku=S:a",] = {**ledger["items|orders/id=S:a",], "id": {"S": "items|orders/sku=S:a"}}
    unknown = {each["where"] for each in town.verify("orders").samples["unknown"]}
    assert unknown == {"ledger items|orders/sku=S:a"}


@pytest.mark.parametrize(
    ("table", "view", "fault"),
    [
        ("orders", ("customer",), "--view: view 'customer' is of table 'customers', not 'orders'"),
        ("derived", ("order",), "--view: view 'order' is of table 'orders', not 'derived'"),
    ],
)
def test_verify_refuses_a_view_of_another_table(town, table, view, fault):
    with pytest.raises(ConfigError, match=fault):
        town.verify(table, view=view)


def test_verify_refuses_a_table_of_no_view(town):
    town.deploy(VIEWS[:3])
    with pytest.raises(ConfigError, match=r"no view is of table 'derived': views\.py names customers, orders"):
        town.verify("derived")


def test_a_backfill_fills_the_views_of_its_table(shop, capsys):
    shop.service.state["derived"].clear()
    assert main(["backfill", "customers", "--function", "derive", "--stack", "shop"]) == 0
    assert {pk for pk in shop.rows() if "#" in pk} == {f"CUSTOMER#{id}" for id in "abc"}
    assert main(["backfill", "derived", "--function", "derive", "--stack", "shop"]) == 2
    assert "derive of this stack reads table 'orders, customers', not 'derived'" in capsys.readouterr().err


def test_a_rebuild_goes_through_every_table(shop, capsys):
    shop.lose("orders", "a")
    shop.lose("customers", "b")
    shop.damage("CUSTOMER#c", "CUSTOMER", name={"S": "wrong"})
    assert main(["rebuild", "derive", "--stack", "shop"]) == 0
    assert "4 items, 0 left" in capsys.readouterr().out
    assert shop.rows() == {"ORDER#b", "ORDER#c", "CUSTOMER#a", "CUSTOMER#c", "SALES", "ITEMS"}
    assert (shop.figure("SALES", "revenue"), shop.figure("ITEMS", "items")) == ("4", "4")
    assert all(shop.verify(table).equal for table in OF_TABLE)


def test_a_rebuild_of_one_view_reads_its_table_only(shop, capsys):
    shop.lose("orders", "a")
    shop.lose("customers", "b")
    assert main(["rebuild", "derive", "--view", "customer", "--stack", "shop"]) == 0
    assert "2 items, 0 left" in capsys.readouterr().out
    assert {pk for pk in shop.rows() if pk in ("ORDER#a", "CUSTOMER#b")} == {"ORDER#a"}
    assert {each["distributary"].get("table") for each in shop.functions.events} == {None, "customers"}


@pytest.mark.parametrize("only", [(), ("--view", "customer")])
def test_a_rebuild_on_aws_goes_through_every_table(shop, only, monkeypatch):
    """Every table's sweeps come before the first items are filled in."""
    ran = []

    class Machine:
        def has_begun(self, name):
            return True

        def run(self, name, task, asked):
            ran.append((task.table, task.sweep, task.keys))
            return Results()

    monkeypatch.setattr("cli.rebuilding.machine_of", lambda *_: Machine())
    assert main(["rebuild", "derive", "--on-aws", "--stack", "shop", *only]) == 0
    tables = ["customers"] if only else ["orders", "customers"]
    sweeps = [(table, part, ("id",)) for table in tables for part in ("ledger", "derived")]
    assert ran == [*sweeps, *((table, "", ("id",)) for table in tables)]


def test_a_backfill_on_aws_names_its_table(shop, monkeypatch):
    ran = []

    class Machine:
        def run(self, name, task, asked):
            ran.append((task.table, task.keys))
            return Results()

    monkeypatch.setattr("cli.feeding.machine_of", lambda *_: Machine())
    assert main(["backfill", "customers", "--function", "derive", "--on-aws", "--stack", "shop"]) == 0
    assert ran == [("customers", ("id",))]


def test_a_redrive_asks_for_each_table_by_itself():
    asked = []

    class Feed:
        def __init__(self, table):
            self.table = table

        def reconcile(self, entries):
            asked.append((self.table, [each["key"]["id"]["S"] for each in entries]))
            return [SimpleNamespace(status=self.table, done=True)] * len(entries)

    def parked(table, id):
        key = {"id": {"S": id}}
        return SimpleNamespace(branch="derive", table=table, item=id, version="1", entry=lambda: {"key": key})

    function = SimpleNamespace(sources=dict.fromkeys(("orders", "customers")))
    changes = [parked("orders", "a"), parked("customers", "a"), parked("orders", "b"), parked("users", "a")]
    giving = Giving({"derive": function}, lambda branch, table: Feed(table), even_if_old=False)
    ends = [end.status for end in giving.give("derive", changes)]
    assert ends == ["orders", "customers", "orders", "Failed"]
    assert asked == [("orders", ["a", "b"]), ("customers", ["a"])]


def of_index(of):
    return build_index(
        [Index(name="i", of=of, id="{id}", fields={})], replace(index_settings(), streams=ONE), None, None
    )


def of_mirror(of):
    return mirror(None, Mirror(of=of), streams=ONE)


def of_rule(of):
    return build_welcome([rule(of=of)], replace(WELCOME, streams=ONE), lambda _: None, None)


ONE = {ORDERS: 0}


@pytest.mark.parametrize("built", [of_index, of_mirror, of_rule])
def test_the_other_functions_refuse_an_entity_of_another_table(built, monkeypatch):
    monkeypatch.setattr("distributary.index.factory._search", lambda *_: None)
    with pytest.raises(ConfigError, match="entity 'user' is of table 'users', and the function reads orders"):
        built(Entity(name="user", keys=("id",), attributes=("email", "name"), table="users"))
