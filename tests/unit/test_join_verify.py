"""Joins held against their two source tables, and set right."""

import json
import sys
from types import SimpleNamespace

import pytest

from distributary.consumer.deadline import FOREVER
from distributary.consumer.parallel import Parallel
from distributary.consumer.reconcile import Reconcile
from distributary.derive.factory import reconciler
from distributary.derive.join_rows import RIGHT_ROW
from distributary.derive.verify import command
from distributary.derive.verify.item_verifier import Comparator
from distributary.derive.verify.repair import Repair
from distributary.derive.verify.scan import Scan
from distributary.derive.verify.verifier import Verify
from distributary.stream import version as versions
from tests.unit.joined import BY_COUNTRY, INNER, LEFT, OPEN, OWNED, Shop

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


def verified(shop, table, repair=False):
    tables = shop.branch.ledger.tables
    comparator = Comparator(table, shop.branch.views, tables, 0, 0.0)
    repairs = Repair(tables, shop.branch.register) if repair else None
    return Verify(comparator, Scan(tables, Parallel(1), 1), ("id",), repair=repairs).run()


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
