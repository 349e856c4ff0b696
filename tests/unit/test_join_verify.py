"""Joins held against their two source tables, and set right."""

import json
import sys
from collections import Counter
from types import SimpleNamespace

import pytest

from distributary.consumer.deadline import FOREVER
from distributary.consumer.parallel import Parallel
from distributary.consumer.reconcile import Reconcile
from distributary.derive import Aggregate, Entity, Projection
from distributary.derive.factory import reconciler
from distributary.derive.join_rows import RIGHT_ROW
from distributary.derive.verify import command
from distributary.derive.verify.item_verifier import Comparator
from distributary.derive.verify.repair import Repair
from distributary.derive.verify.scan import Scan
from distributary.derive.verify.verifier import Verify
from distributary.stream import version as versions
from tests.fakes.built import derive
from tests.replaced import replace
from tests.unit.joined import BY_COUNTRY, CUSTOMER, INNER, LEFT, OPEN, ORDER, OWNED, Shop, declared

JOINS = {"left": LEFT, "inner": INNER, "owned": OWNED, "open": OPEN, "country": BY_COUNTRY}


@pytest.fixture(params=JOINS)
def shop(request):
    shop = Shop(JOINS[request.param])
    shop.param = request.param
    shop.deliver(
        *(shop.put("customers", f"c{at}", name="Ada", tier="gold", country="uk") for at in range(3)),
        *(shop.put("orders", f"o{at}", customer_id=f"c{at % 2}", total="5", status="open") for at in range(4)),
    )
    return shop


def verified(shop, table, repair=False, client=None, others=()):
    tables = shop.branch.ledger.tables
    tables = replace(tables, client=client) if client is not None else tables
    comparator = Comparator(table, tuple(view for view in shop.branch.views if view not in others), tables, 0, 0.0)
    repairs = Repair(tables, shop.branch.register) if repair else None
    return Verify(comparator, Scan(tables, Parallel(1), 1), (shop.keys[table],), others, repairs).run()


def set_right(shop, table):
    """Repairs, after which all is equal."""
    found = verified(shop, table, repair=True)
    after = verified(shop, table)
    assert after.equal, after.samples
    assert found["repaired"] >= 1


@pytest.mark.parametrize("table", ["orders", "customers"])
def test_what_the_stream_has_kept_is_equal(shop, table):
    report = verified(shop, table)
    assert report.equal, report.samples
    assert not report["unknown"]


def test_a_row_that_was_lost_comes_back(shop):
    before = shop.rows()
    key = next(iter(before))
    del shop.service.state["derived"][key]
    set_right(shop, "orders")
    assert shop.rows() == before


def test_a_row_with_other_content_is_corrected(shop):
    before = shop.rows()
    key = next(iter(before))
    shop.service.state["derived"][key]["name"] = {"S": "Mallory"}
    set_right(shop, "orders")
    assert shop.rows() == before


def test_a_ledger_row_that_was_lost_comes_back(shop):
    ledger = shop.service.state["ledger"]
    (id,) = [key for key in ledger if key[0].endswith("S:o1")]
    before = shop.rows()
    del ledger[id]
    set_right(shop, "orders")
    assert (shop.rows(), id in ledger) == (before, True)


@pytest.mark.parametrize("table", ["orders", "customers"])
def test_a_right_item_that_was_lost_comes_back_with_all_of_its_rows(shop, table):
    before = shop.rows()
    stored = shop.service.state["derived"]
    (key,) = [key for key in shop.stored() if key[1] == RIGHT_ROW and key[0].endswith("S:c1")]
    del stored[key]
    set_right(shop, table)
    assert (shop.rows(), key in stored) == (before, True)


@pytest.mark.parametrize("table", ["orders", "customers"])
def test_a_change_of_a_right_item_that_was_lost_is_made_up_for(shop, table):
    shop.put("customers", "c1", name="Grace", tier="gold", country="fr")
    set_right(shop, table)
    assert [row["name"] for row in shop.rows().values()].count("Grace") == 2


def test_a_subscription_that_was_lost_comes_back(shop):
    subscriptions = [key for key in shop.stored() if key[1] != RIGHT_ROW]
    for key in subscriptions:
        del shop.service.state["derived"][key]
    if subscriptions:
        set_right(shop, "orders")
    assert sorted(key for key in shop.stored() if key[1] != RIGHT_ROW) == sorted(subscriptions)


def test_a_delete_that_was_lost_is_made_up_for(shop):
    shop.delete("orders", "o1")
    shop.delete("customers", "c0")
    set_right(shop, "customers")
    set_right(shop, "orders")
    assert len(shop.rows()) == (3 if shop.param in ("left", "owned") else 1)
    assert not [key for key in shop.stored() if key[1].endswith("S:o1")]


def asked(shop, table, id, record):
    version = versions.of(0, int(record["dynamodb"]["SequenceNumber"]))
    reconcile = reconciler(shop.branch, lambda table=table: table, 0)
    request = Reconcile({"id": {"S": id}}, version, table=table)
    (end,) = reconcile([request], FOREVER)
    return str(end.status.value)


def test_a_change_of_a_right_item_that_was_given_up_is_reconciled(shop):
    record = shop.put("customers", "c1", name="Grace", tier="gold", country="fr")
    assert asked(shop, "customers", "c1", record) == "Applied"
    assert [row["name"] for row in shop.rows().values()].count("Grace") == 2
    assert asked(shop, "customers", "c1", record) == "Superseded"
    before = shop.rows()
    shop.deliver(record)
    assert shop.rows() == before


def test_a_change_of_a_left_item_that_was_given_up_is_reconciled(shop):
    record = shop.put("orders", "o1", customer_id="c2", total="9", status="open")
    assert asked(shop, "orders", "o1", record) == "Applied"
    assert [row["total"] for row in shop.rows().values()].count("9") == 1
    assert asked(shop, "orders", "o1", record) == "Superseded"
    gone = shop.delete("orders", "o1")
    assert asked(shop, "orders", "o1", gone) == "Applied"
    shop.deliver(record)
    assert len(shop.rows()) == 3


def test_a_delete_that_was_given_up_outranks_the_insert_that_comes_after_it(shop):
    """Nothing is stored of the item when the key is reconciled."""
    late = shop.put("orders", "late", customer_id="c1", total="1", status="open")
    gone = shop.delete("orders", "late")
    assert asked(shop, "orders", "late", gone) == "Applied"
    before = shop.rows()
    assert shop.statuses(late) == ["Superseded"]
    assert shop.rows() == before


@pytest.mark.parametrize("table", ["orders", "customers"])
def test_the_command_compares_the_items_of_either_table(shop, table, monkeypatch):
    monkeypatch.setitem(sys.modules, "views", SimpleNamespace(VIEWS=[JOINS[shop.param]]))
    monkeypatch.setattr(command, "_client", lambda options, service: shop.service)
    tables = {"derived_table": "derived", "ledger_table": "ledger", "tombstone_table": "tombstones"}
    both = ("orders", "customers")
    report = command.run(command.Options(table=table, pause=0, segments=1, sources=both, **tables))
    assert report.equal, report.samples
    assert (report["items"], report["unknown"]) == (4 if table == "orders" else 3, 0)


def misplaced(table, keys, told):
    """A copy of one of these rows with another text wherever one stood, as if it were another item's: its key."""
    found = next(key for key in keys if any(told[0] in part for part in key))
    row = json.loads(json.dumps(table[found]).replace(*told))
    key = tuple(part.replace(*told) for part in found)
    table[key] = row
    return key


def strays(shop, table, keys, told, source):
    key = misplaced(table, keys, told)
    found = verified(shop, source)
    assert found["differences"] >= 1, found.samples
    set_right(shop, source)
    return table.get(key)


def test_a_row_that_no_item_explains_is_removed(shop):
    assert strays(shop, shop.service.state["derived"], shop.rows(), ("o1", "o9"), "orders") is None


def test_a_subscription_that_no_item_explains_is_removed(shop):
    subscriptions = [key for key in shop.stored() if key[1] != RIGHT_ROW]
    if subscriptions:
        assert strays(shop, shop.service.state["derived"], subscriptions, ("o1", "o9"), "orders") is None


def test_a_right_items_row_without_its_item_becomes_a_tombstone(shop):
    rights = [key for key in shop.stored() if key[1] == RIGHT_ROW]
    left = strays(shop, shop.service.state["derived"], rights, ("c2", "c9"), "customers")
    assert "part" not in left


def test_what_joins_of_no_declaration_stored_is_unknown_and_stays(shop):
    key = misplaced(shop.service.state["derived"], shop.stored(), ("orders", "gone"))
    for source in ("orders", "customers"):
        report = verified(shop, source, repair=True)
        assert (report["unknown"], report.equal) == (1, True)
    assert key in shop.service.state["derived"]


@pytest.mark.parametrize(("table", "items"), [("orders", 4), ("customers", 3)])
def test_a_report_counts_what_it_read(shop, table, items):
    report = verified(shop, table)
    assert report["items"] == items
    assert report["rows"] == len(shop.service.state["derived"])
    assert report["ledger rows"] == len(shop.service.state["ledger"])


ORDERED = Entity(name="order", keys=("order_id",), attributes=("customer_id", "total", "status"), table="orders")
CLIENT = Entity(name="client", keys=("customer_id",), attributes=("name", "country", "tier"), table="customers")
APART = {
    "subscriptions": declared(of=ORDERED, right=CLIENT, sk="{order_id}"),
    "rows": declared(of=ORDERED, right=CLIENT, pk="CUSTOMER#{customer_id}", sk="ORDER#{order_id}"),
}


@pytest.mark.parametrize("kind", APART)
@pytest.mark.parametrize("table", ["orders", "customers"])
def test_no_table_of_a_join_is_asked_for_the_other_ones_keys(kind, table):
    """DynamoDB refuses a key of other attributes than the table's."""
    shop = Shop(APART[kind], keys=("order_id", "customer_id"))
    shop.deliver(shop.put("customers", "c", name="Ada"), shop.put("orders", "o", customer_id="c", total="5"))
    before = shop.rows()
    assert verified(shop, table).samples == {}
    for key in list(shop.stored()):
        del shop.service.state["derived"][key]
    set_right(shop, table)
    verified(shop, "orders", repair=True)
    assert [verified(shop, each).samples for each in shop.keys] == [{}, {}]
    assert shop.rows() == before


class Asking:
    """A client that notes the keys it is asked for, by table."""

    def __init__(self, service):
        self.service, self.keys = service, Counter()

    def __getattr__(self, operation):
        return getattr(self.service, operation)

    def batch_get_item(self, *, RequestItems, **more):
        self.keys.update({table: len(request["Keys"]) for table, request in RequestItems.items()})
        return self.service.batch_get_item(RequestItems=RequestItems, **more)


@pytest.mark.parametrize(("table", "orders", "customers"), [("orders", 4, 2), ("customers", 0, 3)])
def test_each_item_is_read_by_key_once_where_all_is_equal(shop, table, orders, customers):
    """Orders because ledger rows name them, their customers, and customers because right items are stored."""
    client = Asking(shop.service)
    assert verified(shop, table, client=client).equal
    assert (client.keys["orders"], client.keys["customers"]) == (orders, customers)
    assert (client.keys["ledger"] > 0) == (table == "orders")


BESIDE = Projection(name="beside", of=ORDER, pk="BESIDE#{id}", sk="X", keep=("total",))
BY_TIER = Aggregate(name="by-tier", of=CUSTOMER, pk="TIER#{tier}", sk="ALL", count="customers")


@pytest.mark.parametrize(("chosen", "customers"), [(BESIDE, 0), (BY_TIER, 3)], ids=["left table", "right table"])
def test_a_join_that_is_not_to_be_verified_is_passed_over(chosen, customers):
    """`customers`: those read by key, which the other view's own ledger rows name."""
    shop = Shop(LEFT, chosen)
    shop.deliver(
        *(shop.put("customers", f"c{at}", name="Ada", tier="gold") for at in range(3)),
        *(shop.put("orders", f"o{at}", customer_id="c0", total="5") for at in range(4)),
    )
    shop.put("customers", "c0", name="Grace", tier="gold")
    shop.delete("orders", "o1")
    (join,) = (view for view in shop.branch.views if view.name == LEFT.name)
    table, client = chosen.of.table, Asking(shop.service)
    report = verified(shop, table, client=client, others=(join,))
    assert report["unknown"] == 0
    assert {each["view"] for each in report.samples.get("differences", [])} <= {chosen.name}
    assert client.keys["customers"] == customers


def test_a_join_of_another_table_hides_no_view_of_this_one():
    shop = Shop(LEFT, BY_TIER)
    shop.deliver(*(shop.put("customers", f"c{at}", name="Ada", tier="gold") for at in range(3)))
    shop.delete("customers", "c1")
    assert {each["view"] for each in verified(shop, "customers").samples["differences"]} == {LEFT.name, BY_TIER.name}
    set_right(shop, "customers")
    assert shop.rows()["TIER#gold", "ALL"]["customers"] == 2


def test_right_items_of_a_view_that_is_no_join_any_more_are_unknown(shop):
    shop.branch = derive([Projection(name="orders", of=ORDER, pk="NOW", sk="{id}", keep=("total",))], shop.service)
    for table in ("orders", "customers"):
        rights = [key for key in shop.stored() if key[1] == RIGHT_ROW]
        assert {each["where"] for each in verified(shop, table).samples["unknown"]} >= {
            " | ".join(key) for key in rights
        }


def test_a_lost_delete_of_a_left_item_with_a_long_key_is_made_up_for():
    """The id of its ledger row is a digest, which does not show the item. Its row's key does."""
    shop, long = Shop(declared(pk="ORDER#{id}", sk="X")), "o" * 1500
    shop.deliver(shop.put("customers", "c", name="Ada"), shop.put("orders", long, customer_id="c", total="5"))
    assert verified(shop, "orders").equal
    shop.delete("orders", long)
    set_right(shop, "orders")
    assert (shop.rows(), [sk for _, sk in shop.stored()]) == ({}, [RIGHT_ROW])
