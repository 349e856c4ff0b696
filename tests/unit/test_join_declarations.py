"""What is wrong with a join is said when it is loaded; what is wrong with an item, where the item is parked."""

import pytest

from distributary.derive import Entity, Join, Projection, check, rows_of
from distributary.derive.validation import check_tables, table
from distributary.errors import ConfigError
from tests.unit.joined import CUSTOMER, INNER, LEFT, ORDER, OWNED, Shop, declared

EMPLOYEE = Entity(name="employee", keys=("id",), attributes=("manager", "name"))
PROFILE = Entity(name="customer", keys=("pk", "sk"), attributes=("name",), table="customers")


@pytest.mark.parametrize(
    ("join", "fault"),
    [
        (declared(of=EMPLOYEE, right=EMPLOYEE, on="manager", keep=()), "onto itself"),
        (declared(on="buyer"), "'on' names 'buyer', which entity 'order' does not declare"),
        (declared(on={"pk": "customer_id"}), "'on' makes pk, and the right table's keys are id"),
        (declared(on="customer_id", right=PROFILE), "'on' is one template, and the right table has the keys pk and sk"),
        (declared(on="{customer_id"), "template '{customer_id'"),
        (declared(on="{customer_id:sortable}"), "no other program writes a key so"),
        (declared(kind="outer"), "kind is 'outer': give one of left, inner"),
        (declared(keep_right=("city",)), "names 'city' of the right item, which entity 'customer' does not declare"),
        (declared(keep_right=("name",), rename={"status": "name"}), "writes 'name' twice"),
        (declared(pk="COUNTRY#{customer.city}"), "uses 'customer.city', which entity 'order' does not declare"),
        (declared(keep=("name",)), "names 'name', which entity 'order' does not declare"),
        (declared(sk="ORDER"), "two items could share a row; put key attribute id into pk or sk"),
        (declared(keep_right="name"), "keep_right=('name') is a string"),
        (
            declared(right=Entity(name="status", keys=("id",)), keep_right=()),
            "the left item has an attribute of that name",
        ),
        (declared(keep_right=("_distributary_right",)), "_distributary_right"),
    ],
)
def test_a_wrong_declaration_is_named(join, fault):
    with pytest.raises(ConfigError) as error:
        check([join])
    assert any(fault in each and "view 'orders'" in each for each in error.value.faults), error.value.faults


def test_two_joins_in_a_circle_are_refused():
    first = Join(name="a", of=ORDER, right=CUSTOMER, on="customer_id", pk="A", sk="{id}")
    rows = rows_of(first)
    second = Join(name="b", of=ORDER, right=rows, on={"pk": "A", "sk": "{id}"}, pk="B", sk="{id}")
    third = Join(name="a", of=ORDER, right=rows_of(second), on={"pk": "B", "sk": "{id}"}, pk="A", sk="{id}")
    with pytest.raises(ConfigError, match="go round without end"):
        check([second, third])
    assert check([second])


def test_both_tables_of_a_join_must_be_read():
    assert check_tables(check([LEFT]), ["orders", "customers"]) is None
    with pytest.raises(ConfigError, match="entity 'customer' is of table 'customers'"):
        check_tables(check([LEFT]), ["orders", "others"])


def test_both_entities_of_a_join_name_their_tables_if_there_are_several():
    anywhere = Entity(name="customer", keys=("id",), attributes=("name", "country", "tier"))
    with pytest.raises(ConfigError, match="entity 'customer' names no table, and the function reads orders, customers"):
        check_tables(check([declared(right=anywhere)]), ["orders", "customers"])
    assert check_tables(check([declared(right=anywhere)]), ["orders"]) is None


def test_what_a_join_costs_is_told_with_the_other_views():
    view = Projection(name="p", of=ORDER, pk="P", sk="{id}")
    text = table(check([LEFT, declared(name="own", pk="C#{customer_id}"), view]))
    assert [line.split()[:3] for line in text.splitlines()[1:3]] == [["orders", "Join", "6"], ["own", "Join", "4"]]


def put(shop, **values):
    return shop.put("orders", "o1", **values)


@pytest.mark.parametrize("join", [LEFT, INNER, OWNED])
@pytest.mark.parametrize("key", [{"N": "1"}, {"BOOL": True}, {"L": []}])
def test_a_foreign_key_of_another_type_is_parked_and_its_neighbours_go_through(join, key):
    shop = Shop(join)
    wrong, right = put(shop, customer_id=key), shop.put("orders", "o2", customer_id="c1")
    ends = shop.deliver(wrong, right)
    assert [str(end.status.value) for end in ends] == ["Parked", "Applied"]
    assert ends[0].cause.startswith("view 'orders': on: foreign key 'customer_id' is a ")


def test_a_right_item_whose_key_no_foreign_key_can_be_is_parked():
    shop = Shop(declared(on="{customer_id:N}"))
    (end,) = shop.deliver(shop.put("customers", "c1", name="Ada"))
    assert str(end.status.value) == "Parked"
    assert "key 'id' of the right item is a string, and 'on' makes a number" in end.cause


def test_a_number_and_a_text_around_a_field_make_foreign_keys():
    shop = Shop(declared(on="CUSTOMER#{customer_id:N}"))
    shop.deliver(put(shop, customer_id={"N": "7"}), shop.put("customers", "CUSTOMER#7", name="Ada"))
    assert [row["name"] for row in shop.rows().values()] == ["Ada"]


@pytest.mark.parametrize("join", [LEFT, INNER, OWNED])
def test_a_right_item_that_does_not_fit_into_a_row_is_parked(join):
    """The row that is too large keeps what it had; the other rows and the neighbours go through."""
    large = declared(**{name: getattr(join, name) for name in ("kind", "pk", "sk")}, keep=("total",))
    shop = Shop(large)
    shop.deliver(
        shop.put("customers", "c1", name="Ada"),
        put(shop, customer_id="c1", total="x" * 300_000),
        shop.put("orders", "o2", customer_id="c1", total="5"),
    )
    ends = shop.deliver(shop.put("customers", "c1", name="y" * 150_000), shop.put("customers", "c2", name="Bob"))
    assert [str(end.status.value) for end in ends] == ["Parked", "Applied"]
    assert ends[0].cause.startswith("view 'orders': ")
    assert sorted(len(row["name"]) for row in shop.rows().values()) == [3, 150_000]


@pytest.mark.parametrize("join", [LEFT, INNER, OWNED])
def test_a_left_item_that_does_not_fit_beside_its_right_item_is_parked(join):
    shop = Shop(join)
    shop.deliver(shop.put("customers", "c1", name="y" * 150_000))
    ends = shop.deliver(put(shop, customer_id="c1", total="x" * 300_000), shop.put("orders", "o2", customer_id="c1"))
    assert [str(end.status.value) for end in ends] == ["Parked", "Applied"]


def test_a_predicate_that_fails_on_one_pair_parks_that_change():
    shop = Shop(declared(where=lambda pair: pair["customer.tier"] == "gold", kind="inner"))
    ends = shop.deliver(
        shop.put("customers", "c1", name="Ada"),
        shop.put("customers", "c2", name="Bob", tier="gold"),
        put(shop, customer_id="c1"),
        shop.put("orders", "o2", customer_id="c2"),
    )
    assert [str(end.status.value) for end in ends] == ["Applied", "Applied", "Parked", "Applied"]
    assert ends[2].cause == "view 'orders': where raised KeyError"
