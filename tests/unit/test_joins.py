"""Joins: rows of left items with attributes of right ones, whichever side changes."""

import pytest

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.outcome import Status
from distributary.derive import rows_of
from distributary.derive.reader import DerivedTable
from distributary.stream.change import Image
from distributary.stream.records import decode
from tests.fakes.dynamodb import BROKEN
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


@pytest.mark.parametrize("join", [INNER, OWNED, OPEN, BY_COUNTRY])
def test_what_was_folded_into_a_change_that_has_no_row_does_not_come_back(join):
    shop = Shop(join)
    first = placed(shop, status="open")
    shop.deliver(named(shop, tier="gold", country="uk"))
    shop.deliver(first, shop.delete("orders", "o1"), shop.put("orders", "o1", total="5", status="sent"))
    stood = shop.rows()
    shop.deliver(first)
    assert shop.rows() == stood


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


def many(shop, rows=1000):
    """Orders of one customer."""
    shop.deliver(named(shop))
    for at in range(0, rows, 100):
        shop.deliver(*(placed(shop, f"o{number:04d}") for number in range(at, at + 100)))


def short(shop, calls):
    """A deadline after so many calls."""
    started = shop.service.calls.total()
    return Deadline(float(calls), 0.0, lambda: float(shop.service.calls.total() - started))


@pytest.mark.parametrize("join", [LEFT, INNER, OWNED])
def test_a_fan_out_that_runs_out_of_time_goes_on_where_it_stopped(join):
    shop = Shop(join)
    many(shop)
    batch = decode({"Records": [named(shop, "Grace"), placed(shop, "new", "c2")]}, 0)
    before = shop.service.write_units
    failed, neighbour = shop.branch.apply(batch, short(shop, 700))
    assert (failed.status, neighbour.status) == (Status.FAILED, Status.APPLIED)
    assert "the next delivery goes on where this one stopped" in failed.cause
    done = sum(row.get("name") == "Grace" for row in shop.rows().values())
    assert 0 < done < 1000
    tries = 1
    while any(end.status is Status.FAILED for end in shop.branch.apply(batch, short(shop, 700))):
        tries += 1
    assert 1 <= tries <= 3
    assert sum(row.get("name") == "Grace" for row in shop.rows().values()) == 1000
    kept, of_neighbour = tries + 1, 6
    assert shop.service.write_units - before <= 1 + 1000 + of_neighbour + kept + tries


def test_a_fan_out_that_took_several_deliveries_is_not_made_again():
    shop = Shop(LEFT)
    many(shop)
    batch = decode({"Records": [named(shop, "Grace")]}, 0)
    while any(end.status is Status.FAILED for end in shop.branch.apply(batch, short(shop, 700))):
        pass
    before = shop.service.write_units
    assert [end.status for end in shop.branch.apply(batch, FOREVER)] == [Status.SUPERSEDED]
    assert shop.service.write_units - before == 1


class Failing:
    """A client whose updates fail while it is `failing`."""

    def __init__(self, service):
        self.service, self.failing = service, False

    def __getattr__(self, operation):
        if operation == "update_item" and self.failing:
            return self._fails
        return getattr(self.service, operation)

    def _fails(self, **arguments):
        raise BROKEN


def test_changes_that_were_folded_come_again_together_if_the_newest_fails():
    """A dead process stored the first of them. Only its version tells that its rows are still to be written."""
    clients = []
    shop = Shop(LEFT, client=lambda service: clients.append(Failing(service)) or clients[0])
    shop.deliver(placed(shop), named(shop, "Zoe"))
    first, second, third = (named(shop, name) for name in ("Ada", "Grace", "Ada"))
    clients[0].failing = True
    assert shop.statuses(first) == ["Failed"]
    assert shop.statuses(first, second, third) == ["Failed"] * 3
    clients[0].failing = False
    shop.deliver(first, second, third)
    assert shop.rows() == {("ORDER", "o1"): {"total": "5", "name": "Ada"}}


@pytest.mark.parametrize("join", [LEFT, BY_COUNTRY])
def test_the_rows_of_a_join_alone_are_items_of_a_second_level(join):
    shop = Shop(join)
    shop.deliver(named(shop, country="uk"), placed(shop))
    entity = rows_of(join)
    claimed = [key for key, row in shop.service.state["derived"].items() if entity.claims(Image(row))]
    assert claimed == list(shop.rows())
    assert set(entity.attributes) >= {"total", "name"}


def test_a_join_is_read_by_the_attributes_of_both_sides():
    shop = Shop(BY_COUNTRY)
    shop.deliver(named(shop, country="uk"), *(placed(shop, f"o{at}") for at in range(3)))
    reader = DerivedTable(shop.service, "derived", [BY_COUNTRY])["orders"]
    row = {"customer.country": "uk", "id": "o1", "total": "5", "name": "Ada"}
    assert reader.get({"customer.country": "uk", "id": "o1"}) == row
    assert reader.parse({"pk": "COUNTRY#uk", "sk": "ORDER#o1"}) == {"customer.country": "uk", "id": "o1"}


def test_an_item_that_is_made_anew_makes_up_for_changes_that_were_lost():
    """A process died before the fan-out, or between row and second look, and Lambda gave the change up."""
    clients = []
    shop = Shop(LEFT, client=lambda service: clients.append(Failing(service)) or clients[0])
    shop.deliver(placed(shop))
    clients[0].failing = True
    assert shop.statuses(named(shop)) == ["Failed"]
    clients[0].failing = False
    gone, again = shop.delete("customers", "c1"), named(shop)
    shop.deliver(gone, again)
    assert shop.rows() == {("ORDER", "o1"): {"total": "5", "name": "Ada"}}
    shop.service.state["derived"]["ORDER", "o1"].pop("name")
    shop.deliver(shop.delete("orders", "o1"), placed(shop))
    assert shop.rows() == {("ORDER", "o1"): {"total": "5", "name": "Ada"}}
