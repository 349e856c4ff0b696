"""Joins: rows of left items with attributes of right ones, whichever side changes."""

import pytest

from tests.unit.joined import BY_COUNTRY, INNER, LEFT, OPEN, OWNED, Shop


def placed(shop, id="o1", customer="c1", total="5", **more):
    return shop.put("orders", id, customer_id=customer, total=total, **more)


def named(shop, name="Ada", id="c1", **more):
    return shop.put("customers", id, name=name, **more)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_row_has_attributes_of_both_sides_whichever_came_first(order):
    shop = Shop(LEFT)
    records = [placed(shop), named(shop)]
    for at in order:
        assert shop.statuses(records[at]) == ["Applied"]
    assert shop.rows() == {("ORDER", "o1"): {"total": "5", "name": "Ada"}}


def test_both_sides_in_one_batch():
    shop = Shop(LEFT)
    assert shop.statuses(placed(shop), named(shop)) == ["Applied", "Applied"]
    assert shop.rows() == {("ORDER", "o1"): {"total": "5", "name": "Ada"}}


def test_a_left_item_without_a_right_item_has_a_row_in_a_left_join_alone():
    for join, rows in ((LEFT, {("ORDER", "o1"): {"total": "5"}}), (INNER, {})):
        shop = Shop(join)
        shop.deliver(placed(shop))
        assert shop.rows() == rows


def test_a_left_item_that_names_no_right_item_has_a_row_in_a_left_join_alone():
    for join, rows in ((LEFT, {("ORDER", "o1"): {"total": "5"}}), (INNER, {})):
        shop = Shop(join)
        assert shop.statuses(shop.put("orders", "o1", total="5")) == ["Applied"]
        assert shop.rows() == rows
        assert shop.stored() == {}


@pytest.mark.parametrize("join", [LEFT, INNER, OWNED])
def test_a_change_of_a_right_item_comes_to_all_of_its_rows(join):
    shop = Shop(join)
    shop.deliver(named(shop), *(placed(shop, f"o{at}") for at in range(5)), placed(shop, "other", "c2"))
    assert shop.statuses(named(shop, "Grace")) == ["Applied"]
    assert [row.get("name") for row in shop.rows().values()].count("Grace") == 5


@pytest.mark.parametrize("join", [LEFT, INNER, OWNED, OPEN, BY_COUNTRY])
def test_what_is_deleted_leaves_nothing_but_right_items(join):
    shop = Shop(join)
    records = [named(shop, tier="gold", country="uk"), placed(shop, status="open")]
    shop.deliver(*records)
    assert len(shop.rows()) == 1
    shop.deliver(shop.delete("orders", "o1"))
    assert (shop.rows(), len(shop.stored())) == ({}, 1)


def test_a_right_item_that_is_deleted_takes_its_attributes_or_the_rows_along():
    for join, rows in ((LEFT, {("ORDER", "o1"): {"total": "5"}}), (INNER, {})):
        shop = Shop(join)
        shop.deliver(named(shop), placed(shop))
        shop.deliver(shop.delete("customers", "c1"))
        assert shop.rows() == rows
        shop.deliver(named(shop, "Grace"))
        assert shop.rows() == {("ORDER", "o1"): {"total": "5", "name": "Grace"}}


def test_another_foreign_key_shows_another_right_item():
    for join in (LEFT, INNER):
        shop = Shop(join)
        shop.deliver(named(shop), named(shop, "Bob", "c2"), placed(shop))
        shop.deliver(placed(shop, customer="c2"))
        shop.deliver(named(shop, "Late"))
        assert shop.rows() == {("ORDER", "o1"): {"total": "5", "name": "Bob"}}


def test_a_key_out_of_the_right_item_moves_the_row_when_that_changes():
    shop = Shop(BY_COUNTRY)
    shop.deliver(named(shop, country="uk"), placed(shop))
    shop.deliver(named(shop, country="fr"))
    assert shop.rows() == {("COUNTRY#fr", "ORDER#o1"): {"total": "5", "name": "Ada"}}
    shop.deliver(named(shop))
    assert shop.rows() == {}


def test_where_reads_both_sides():
    shop = Shop(OPEN)
    shop.deliver(named(shop, tier="gold"), placed(shop, status="open"), placed(shop, "o2", status="sent"))
    assert list(shop.rows()) == [("ORDER", "o1")]
    shop.deliver(named(shop, tier="none"))
    assert shop.rows() == {}
    shop.deliver(named(shop, tier="gold"), placed(shop, "o2", status="open"), placed(shop, status="sent"))
    assert list(shop.rows()) == [("ORDER", "o2")]
