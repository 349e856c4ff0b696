"""What each change of a join costs: write units, consistent reads, and queries."""

import pytest

from tests.unit.joined import BY_COUNTRY, INNER, LEFT, OPEN, OWNED, Shop, declared

MOVING = declared(pk="STATUS#{status}", sk="{id}")
ROWS = 1000


def world(join):
    shop = Shop(join)
    shop.deliver(*(shop.put("customers", f"c{at}", name="Ada", tier="gold", country="uk") for at in (1, 2)))
    return shop


def order(shop, id="o1", customer="c1", total="5", status="open"):
    return shop.put("orders", id, customer_id=customer, total=total, status=status)


@pytest.mark.parametrize(
    ("join", "insert", "edit"),
    [
        (LEFT, (6, 3, 0), (4, 1, 0)),
        (INNER, (6, 3, 0), (4, 1, 0)),
        (OWNED, (4, 3, 0), (4, 1, 0)),
        (OPEN, (6, 3, 0), (4, 3, 0)),
        (BY_COUNTRY, (6, 3, 0), (4, 3, 0)),
    ],
)
def test_a_left_item(join, insert, edit):
    shop = world(join)
    first = order(shop)
    assert shop.costs(first) == insert
    second = order(shop, total="6")
    assert shop.costs(second) == edit
    assert shop.costs(first) == (0, 2, 0)
    assert shop.costs(second) == (0, 2, 0)
    assert shop.costs(shop.delete("orders", "o1")) == (4 if join is OWNED else 6, 1, 0)


@pytest.mark.parametrize(("customer", "status", "cost"), [("c2", "open", 8), ("c1", "sent", 8), ("c2", "sent", 10)])
def test_another_foreign_key_or_row_key(customer, status, cost):
    shop = world(MOVING)
    shop.deliver(order(shop))
    assert shop.costs(order(shop, customer=customer, status=status)) == (cost, 3, 0)


@pytest.mark.parametrize(("join", "each"), [(LEFT, (1, 0)), (INNER, (1, 0)), (OWNED, (1, 0)), (OPEN, (4, 1))])
def test_a_right_item_with_a_thousand_rows(join, each):
    """A page of the Query is 250 rows; a row is at most 200 bytes."""
    shop = world(join)
    for at in range(0, ROWS, 100):
        shop.deliver(*(order(shop, f"o{number:04d}") for number in range(at, at + 100)))
    writes, reads, queries = shop.costs(shop.put("customers", "c1", name="Grace", tier="gold", country="uk"))
    assert writes == 1 + ROWS * each[0]
    assert queries in (ROWS // 250, ROWS // 250 + 1)
    assert reads - ROWS * each[1] <= queries * 250 * 200 / 4096 + queries


@pytest.mark.parametrize("join", [LEFT, INNER, OWNED])
def test_a_change_of_a_right_item_that_the_join_does_not_show_costs_nothing(join):
    shop = world(join)
    shop.deliver(order(shop))
    assert shop.costs(shop.put("customers", "c1", name="Ada", tier="none")) == (0, 0, 0)


def test_changes_of_a_right_item_that_end_where_they_began_write_no_row():
    shop = world(LEFT)
    shop.deliver(order(shop))
    records = [shop.put("customers", "c1", name=name) for name in ("Grace", "Ada")]
    assert shop.costs(*records) == (2, 0, 0)


def test_a_right_item_that_no_row_shows_is_one_write_and_an_empty_query():
    shop = Shop(LEFT)
    assert shop.costs(shop.put("customers", "c1", name="Ada"))[0::2] == (1, 1)


def test_a_change_of_a_right_item_that_was_overtaken_is_one_refused_write():
    shop = Shop(LEFT)
    first, second = (shop.put("customers", "c1", name=name) for name in ("Ada", "Grace"))
    shop.deliver(second)
    assert shop.costs(first) == (1, 0, 0)


def test_a_batch_reads_a_right_item_once_for_all_of_its_left_items():
    shop = world(LEFT)
    assert shop.costs(*(order(shop, f"o{at}") for at in range(50))) == (6 * 50, 50 + 1 + 1, 0)


def test_an_update_of_an_item_that_has_no_row_costs_nothing():
    shop = world(MOVING)
    first = shop.put("orders", "o1", customer_id="c1", total="5")
    assert shop.costs(first) == (0, 1, 0)
    assert shop.costs(shop.put("orders", "o1", customer_id="c1", total="6")) == (0, 0, 0)
