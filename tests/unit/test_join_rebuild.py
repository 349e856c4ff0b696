"""Joins that are declared anew or no more: what a rebuild and a retirement leave."""

from types import SimpleNamespace

import pytest

from cli.rebuilding import _Run
from distributary.consumer.deadline import FOREVER
from distributary.consumer.reconcile import Reconcile
from distributary.consumer.sweep import Sweep
from distributary.derive import Projection, check
from distributary.derive.described import described
from distributary.derive.factory import rebuilder, reconciler
from tests.fakes.built import derive
from tests.replaced import replace
from tests.unit.joined import BY_COUNTRY, INNER, LEFT, OPEN, ORDER, OWNED, Shop, declared

JOINS = {"left": LEFT, "inner": INNER, "owned": OWNED, "open": OPEN, "country": BY_COUNTRY}
OTHER = Projection(name="other", of=ORDER, pk="OTHER#{id}", sk="X", keep=("total",))


def filled(*views):
    shop = Shop(*views)
    shop.deliver(
        *(shop.put("customers", f"c{at}", name="Ada", tier="gold", country="uk") for at in range(3)),
        *(shop.put("orders", f"o{at}", customer_id=f"c{at % 2}", total="5", status="open") for at in range(4)),
    )
    return shop


def rebuilt(shop, *views, only=frozenset()):
    """As the commands ask for it, table by table; what was left."""
    shop.branch = derive(views, shop.service)
    left = 0
    for table in ("orders", "customers"):
        reconcile = reconciler(shop.branch, lambda named=table: named, 0)
        rebuild = rebuilder(shop.branch, reconcile, lambda named=table: named)
        for part in ("ledger", "derived"):
            swept = rebuild.sweep(Sweep(part, 0, 1, None, only, False, table), FOREVER)
            left += swept.left.total()
        if not only:
            keys = [Reconcile({"id": item["id"]}, table=table) for item in shop.service.state[table].values()]
            assert not [end for end in reconcile(keys, FOREVER) if end.status.value in ("Failed", "Parked")]
    return left


@pytest.mark.parametrize("name", JOINS)
def test_a_rebuild_of_what_is_declared_already_changes_nothing(name):
    shop = filled(JOINS[name])
    before = (shop.rows(), shop.stored().keys())
    assert rebuilt(shop, JOINS[name]) == 0
    assert (shop.rows(), shop.stored().keys()) == before


@pytest.mark.parametrize("name", JOINS)
def test_a_rebuild_brings_a_new_attribute_of_the_right_item_into_all_rows(name):
    shop = filled(JOINS[name])
    assert rebuilt(shop, replace(JOINS[name], keep_right=("name", "country"))) == 0
    assert [row["country"] for row in shop.rows().values()] == ["uk"] * 4


@pytest.mark.parametrize("name", JOINS)
def test_a_rebuild_moves_rows_to_another_key(name):
    shop = filled(JOINS[name])
    moved = replace(JOINS[name], pk=f"NEW-{JOINS[name].pk}")
    assert rebuilt(shop, moved) == 0
    assert len(shop.rows()) == 4
    assert all(pk.startswith("NEW-") for pk, _ in shop.rows())
    shop.deliver(shop.put("customers", "c1", name="Grace", tier="gold", country="uk"))
    assert [row["name"] for row in shop.rows().values()].count("Grace") == 2


@pytest.mark.parametrize("kind", ["left", "inner"])
def test_a_rebuild_follows_another_kind_of_join(kind):
    before, after = (declared(kind=each) for each in (("inner", "left") if kind == "left" else ("left", "inner")))
    shop = filled(before)
    shop.deliver(shop.put("orders", "lone", customer_id="none", total="1"))
    assert rebuilt(shop, after) == 0
    assert len(shop.rows()) == (5 if kind == "left" else 4)
    shop.deliver(shop.put("customers", "none", name="Late"))
    assert [row["name"] for row in shop.rows().values()].count("Late") == 1


@pytest.mark.parametrize("name", JOINS)
def test_a_join_that_is_declared_no_more_leaves_nothing(name):
    shop = filled(JOINS[name], OTHER)
    assert rebuilt(shop, OTHER, only=frozenset({"orders"})) == 0
    assert shop.stored() == {}
    assert {pk for pk, _ in shop.rows()} == {f"OTHER#o{at}" for at in range(4)}


@pytest.mark.parametrize("name", JOINS)
def test_a_join_that_is_another_kind_of_view_now_leaves_nothing(name):
    shop, now = filled(JOINS[name]), replace(OTHER, name=JOINS[name].name)
    assert rebuilt(shop, now) == 0
    assert (shop.stored(), shop.rows().keys()) == ({}, filled(now).rows().keys())


def test_a_sweep_of_a_right_item_that_is_gone_leaves_a_tombstone():
    shop = filled(LEFT)
    shop.delete("customers", "c1")
    assert rebuilt(shop, LEFT) == 0
    assert sum("name" in row for row in shop.rows().values()) == 2


def test_a_rebuild_goes_through_both_tables_of_a_join_and_no_other():
    declared = {view.name: described(view) for view in check([LEFT])}
    target = SimpleNamespace(sources=("orders", "customers", "others"), named=lambda table: table)
    run = _Run(target, ("orders",), 1, 1.0, {"declared": declared})
    assert run._tables() == ["orders", "customers"]
    assert run._of("customers") == ("orders",)
