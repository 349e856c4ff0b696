"""Rows of another format are never misread, and two source tables never share one."""

import pytest

from distributary.consumer.outcome import Status
from distributary.derive import Aggregate, Entity, Latest, Projection
from distributary.derive.format import check_ledger_row
from distributary.errors import ConfigError
from tests.unit.records import change
from tests.unit.test_ledger import SALES, TAGS, World, order

PERSON = Entity(name="order", keys=("user_id",), attributes=("day", "total", "when"))
LAST = Latest(name="last", of=PERSON, pk="LAST#{day}", sk="LAST", by="when", keep=("total",))
LEAST = Aggregate(name="least", of=PERSON, pk="LEAST#{day}", sk="LEAST", min={"least": "total"})
STATE = "_distributary_group"


def of_table(name, place, user, **new):
    arn = f"arn:aws:dynamodb:eu-west-1:123456789012:table/{name}/stream/2026-11-20T09:12:44.017"
    return change(place, user=user, new={"day": {"S": "mon"}, **new}, eventSourceARN=arn)


def later(row):
    row["format"] = {"N": "2"}


def later_group(row):
    row[STATE]["M"]["format"] = {"N": "2"}


def rows(world, table, begins=""):
    return [row for key, row in world.service.state[table].items() if key[0].startswith(begins)]


def test_every_row_that_the_ledger_reads_carries_its_format():
    world = World(SALES, LEAST, TAGS)
    world.deliver(order(1, "u", tags={"SS": ["a"]}))
    one = {"N": "1"}
    assert [row["format"] for row in rows(world, "ledger")] == [one] * 3
    assert [row[STATE]["M"]["format"] for row in rows(world, "derived") if STATE in row] == [one] * 2
    assert [row["format"] for row in rows(world, "derived", "%m")] == [one]


@pytest.mark.parametrize("user", ["u", "v"])
def test_a_ledger_row_of_a_later_release_fails_its_item_and_no_other(user):
    world = World(SALES)
    world.deliver(order(1, "u"), order(2, "v"))
    before = world.rows()
    later(world.service.state["ledger"][(f"sales|users/user_id=S:{user}",)])
    ends = world.deliver(*(order(n, each, total={"N": "5"}) for n, each in ((3, "u"), (4, "v"))))
    assert {end.status for end in ends} == {Status.APPLIED, Status.FAILED}
    (failed,) = [end for end in ends if end.status is Status.FAILED]
    assert failed == ends["uv".index(user)]
    assert "has format 2, and this release reads formats up to 1" in failed.cause
    assert world.rows() != before


@pytest.mark.parametrize(("table", "begins", "spoil"), [("derived", "SALES", later_group), ("derived", "%m", later)])
def test_a_group_of_a_later_release_fails_the_change_and_is_left_alone(table, begins, spoil):
    world = World(SALES, LEAST)
    world.deliver(order(1, "u"))
    (row,) = rows(world, table, begins)
    spoil(row)
    before = dict(row)
    (end,) = world.deliver(order(2, "u", total={"N": "5"}))
    assert (end.status, row) == (Status.FAILED, before)
    assert "a later release wrote it; deploy that release again" in end.cause


def test_a_ledger_row_that_is_met_in_a_transaction_is_looked_at_too():
    """Another writer, of the later release, came between the read and the write."""
    world = World(SALES)
    world.deliver(order(1, "u"))
    write = world.service.transact_write_items
    row = world.service.state["ledger"][("sales|users/user_id=S:u",)]

    def between(**arguments):
        later(row)
        row["version"] = {"S": row["version"]["S"] + "~x"}
        world.service.transact_write_items = write
        return write(**arguments)

    world.service.transact_write_items = between
    (end,) = world.deliver(order(2, "u", total={"N": "5"}))
    assert (end.status, world.rows()["SALES#mon", "TOTAL"]["revenue"]) == (Status.FAILED, 1)


def test_a_neighbour_of_a_later_release_fails_the_change_that_looks_it_up():
    world = World(LEAST)
    world.deliver(order(1, "u", total={"N": "1"}), order(2, "v", total={"N": "2"}))
    for row in rows(world, "derived", "%m"):
        if row["value"] == {"N": "2"}:
            later(row)
    (end,) = world.deliver(change(3, "REMOVE", user="u", old={"day": {"S": "mon"}}))
    assert end.status is Status.FAILED


def test_items_of_two_source_tables_with_one_key_count_twice():
    world = World(SALES)
    world.deliver(of_table("shop", 1, "u", total={"N": "2"}))
    world.deliver(of_table("store", 0, "u", total={"N": "3"}))
    assert world.rows() == {("SALES#mon", "TOTAL"): {"orders": 2, "revenue": 5}}
    assert sorted(id for (id,) in world.service.state["ledger"]) == [
        "sales|shop/user_id=S:u",
        "sales|store/user_id=S:u",
    ]


def test_the_latest_of_two_source_tables_is_one_item_even_if_all_is_equal():
    world = World(LAST)
    for table, total in (("shop", "2"), ("store", "3")):
        world.deliver(of_table(table, 1, "u", when={"N": "7"}, total={"N": total}))
    assert len(rows(world, "derived", "%m")) == 2
    assert world.rows()["LAST#mon", "LAST"] == {"total": 3}


def test_a_stored_format_that_is_no_number_stops_with_its_reason():
    with pytest.raises(ConfigError, match="another program writes to this table"):
        check_ledger_row({"format": {"S": "pdf"}})


def test_an_attribute_format_of_an_items_own_row_is_the_users():
    tags = Entity(name="order", keys=("user_id",), attributes=("day", "tags", "format"))
    world = World(Projection(name="tags", of=tags, pk="TAG#{each}", sk="{user_id}", each="tags", keep=("format",)))
    new = {"tags": {"SS": ["a"]}, "format": {"S": "pdf"}}
    assert world.statuses(change(1, user="u", new=new)) == [Status.APPLIED]
    later = {**new, "tags": {"SS": ["b"]}}
    assert world.statuses(change(2, "MODIFY", user="u", new=later, old=new)) == [Status.APPLIED]
    assert world.rows() == {("TAG#b", "u"): {"format": "pdf"}}
