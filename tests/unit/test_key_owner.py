"""Which item a row or a ledger row is of, told by its key: a key that only looks like one tells none."""

import pytest

from distributary.derive import Aggregate, Entity, Projection, check
from distributary.derive.verify.key_owner import item_of_entry, item_of_row, view_of, view_of_member

ORDER = Entity(name="order", keys=("pk", "n"), attributes=("status",))
SHOWN = Projection(name="shown", of=ORDER, pk="ORDER#{pk}", sk="N#{n}")
COUNTED = Aggregate(name="counted", of=ORDER, pk="STATUS#{status}", sk="ALL", count="orders")
MOVING = Projection(name="moving", of=ORDER, pk="BY#{status}", sk="{pk}#{n}")
VIEWS = check([SHOWN, COUNTED, MOVING])
KEYS = {"pk": {"S": "a&b=c"}, "n": {"N": "7"}}
ID = "counted|orders/pk=S:a%26b%3Dc&n=N:7"


def named(name):
    return next(view for view in VIEWS if view.name == name)


def test_a_row_of_a_projection_tells_its_item():
    assert view_of(VIEWS, ("ORDER#a", "N#7")) == named("shown")
    assert item_of_row(named("shown"), ("ORDER#a", "N#7")).keys() == {"pk", "n"}


@pytest.mark.parametrize("key", [("ORDER#a", "M#7"), ("OTHER#a", "N#7"), ("STATUS#new", "ALL")])
def test_a_row_under_another_key_is_no_item_s(key):
    assert item_of_row(named("shown"), key) is None


def test_a_group_s_row_is_no_item_s():
    assert view_of(VIEWS, ("STATUS#new", "ALL")) == named("counted")
    assert item_of_row(named("counted"), ("STATUS#new", "ALL")) is None


@pytest.mark.parametrize("table", ["orders", None])
def test_a_ledger_row_tells_its_view_and_its_item(table):
    assert item_of_entry(VIEWS, table, ID) == (named("counted"), KEYS)


@pytest.mark.parametrize(
    "id",
    [
        ID.replace("counted", "gone"),
        ID.replace("orders", "others"),
        "counted|orders/pk=S:a",
        f"{ID}&more=S:x",
        "counted|orders/pk=S:a&n=N:seven",
        "counted|orders/pk=S:a&n",
        "counted|orders/pk=X:a&n=N:7",
        "counted|orders/0123456789abcdef",
        "counted|orders",
        "counted",
        "",
    ],
)
def test_an_id_that_names_no_item_of_the_table_tells_none(id):
    assert item_of_entry(VIEWS, "orders", id) is None


def test_a_member_is_of_the_view_that_its_partition_names():
    assert view_of_member(VIEWS, {"pk": {"S": "%mcounted|name|STATUS#new|ALL"}}) == "counted"
    assert view_of_member(VIEWS, {"pk": {"S": "%m0123456789abcdef"}}) is None
