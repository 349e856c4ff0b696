"""Views that could go wrong are refused before the first change, every fault at once."""

import re

import pytest

from distributary.derive import Aggregate, Entity, Latest, Projection, check, date_trunc, nested
from distributary.derive.validation import table
from distributary.errors import ConfigError
from distributary.stream.change import REPLICA_VERSION

USER = Entity(name="user", keys=("user_id",), attributes=("email", "name", "expires_at"))
EACH = Entity(name="each", keys=("user_id",), attributes=("each", "a"))
ORDER = Entity(name="order", keys=("user_id", "order_id"), attributes=("total",))


def view(**changes):
    return Projection(**{"name": "profile", "of": USER, "pk": "USER#{user_id}", "sk": "PROFILE", **changes})


def faults(*views):
    with pytest.raises(ConfigError) as caught:
        check(views)
    return caught.value.faults


def test_good_views_come_back_checked_and_in_order():
    views = check([view(), view(name="orders", of=ORDER, sk="ORDER#{order_id}")])
    assert [each.name for each in views] == ["profile", "orders"]
    assert views[1].pk.attributes + views[1].sk.attributes == ("user_id", "order_id")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": "two words"}, "a name is letters"),
        ({"name": ""}, "a name is letters"),
        ({"name": "a|b"}, "a name is letters"),
        ({"name": "x" * 101}, "a name is letters"),
        ({"keep": ("emial",)}, "names 'emial', which entity 'user' does not declare; add it or correct the name"),
        ({"rename": {"emial": "contact"}}, "names 'emial'"),
        ({"expires_at": "expiry"}, "names 'expiry'"),
        ({"pk": "MAIL#{emial}"}, "uses 'emial', which entity 'user' does not declare; add it or correct the name"),
        ({"sk": "MAIL#{emial}"}, "uses 'emial', which entity 'user' does not declare; add it or correct the name"),
        ({"pk": "MAIL#{email}"}, "two items could share a row; put key attribute user_id into pk or sk"),
        ({"pk": "TAG#{each}#{user_id}"}, "uses 'each', which entity 'user' does not declare"),
        ({"each": "email"}, "no key uses '{each}'"),
        ({"each": "emial", "pk": "{each}#{user_id}"}, "names 'emial'"),
        ({"each": "a", "pk": "{each}#{user_id}", "of": EACH}, "declares an attribute of that name"),
        ({"on_expiry": "forget"}, "on_expiry is 'forget': give one of remove, keep"),
        ({"pk": "x" * 2048 + "#{user_id}"}, "has at least 2050 bytes, and may have 2048"),
        ({"sk": "x" * 1024 + "#{user_id}"}, "has at least 1026 bytes, and may have 1024"),
        ({"pk": "ALL"}, "two items could share a row; put key attribute user_id into pk or sk"),
        ({"pk": ""}, "a template is empty"),
        ({"pk": "{user_id"}, "write a literal brace as"),
        ({"sk": "{user_id}{user_id}"}, "put a separator"),
        ({"keep": ("email", "email")}, "writes 'email' twice"),
        ({"keep": ("email",), "rename": {"name": "email"}}, "writes 'email' twice"),
        ({"rename": {"name": "who", "email": "who"}}, "writes 'who' twice"),
        ({"keep": ("email",), "compute": {"email": len}}, "writes 'email' twice"),
        ({"keep": ("day",), "compute": {"day": len}}, "keeps 'day', which is computed: the row has it already"),
        ({"each": "email", "pk": "U#{user_id}", "sk": "x"}, "no key uses '{each}'"),
        ({"compute": {"pk": len}}, "one of the row's own attributes"),
        ({"rename": {"name": "sk"}}, "one of the row's own attributes"),
        ({"compute": {REPLICA_VERSION: len}}, "one of the row's own attributes"),
        ({"keep": ("expires_at",)}, "one of the row's own attributes"),
        ({"keep": ("expires_at",), "expires_at": "expires_at"}, "one of the row's own attributes"),
        ({"of": Entity(name="none", keys=()), "pk": "A"}, "one or two key attributes"),
        ({"of": Entity(name="three", keys=("a", "b", "c")), "pk": "{a}#{b}#{c}"}, "one or two key attributes"),
    ],
)
def test_a_faulty_view_is_refused_by_name(changes, fault):
    found = faults(view(**changes))
    assert any(fault in each for each in found), found
    assert all("view '" in each for each in found)


def test_no_view_at_all_is_a_fault():
    assert faults() == ["no view is declared: add one to views.py"]


def test_every_fault_of_every_view_is_named_at_once():
    found = faults(
        view(name="one", keep=("emial",), compute={"pk": len}, sk="{email}"),
        view(name="two", pk="{user_id"),
        view(name="three", of=ORDER),
    )
    for piece in ("'emial'", "'pk' twice", "view 'two'", "attribute order_id into"):
        assert any(piece in fault for fault in found), (piece, found)


def test_two_views_that_would_write_the_same_row_are_refused():
    assert faults(view(name="one"), view(name="two")) == [
        "views 'one' and 'two' could write the same row: a value may hold every character but the separators that its "
        "own key uses, so 'USER#{user_id}' can equal 'USER#{user_id}', and 'PROFILE' can equal 'PROFILE'; begin pk or "
        "sk of each view with a word of its own and a separator, such as 'ONE#' and 'TWO#'"
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"pk": "{user_id}", "sk": "X"}, {"pk": "USER-{user_id}", "sk": "X"}),
        ({"pk": "A#{user_id}", "sk": "{user_id}"}, {"pk": "{user_id}#B", "sk": "X"}),
        ({"of": ORDER, "pk": "{user_id}", "sk": "{order_id}"}, {"pk": "{user_id}", "sk": "PROFILE"}),
        ({"pk": "A-{user_id}"}, {"of": ORDER, "pk": "A-{user_id}#{order_id}", "sk": "PROFILE"}),
    ],
)
def test_two_views_whose_keys_some_value_could_bring_together_are_refused(one, other):
    found = faults(view(name="one", **one), view(name="two", **other))
    assert len(found) == 1
    assert found[0].startswith("views 'one' and 'two' could write the same row: a value may hold every character but")


def test_views_kept_apart_by_either_key_are_accepted():
    pair = {"of": ORDER, "pk": "USER#{user_id}#{order_id}"}
    check(
        [view(name="a"), view(name="b", sk="SETTINGS"), view(name="c", pk="MEMBER#{user_id}"), view(name="d", **pair)]
    )


def test_two_views_of_one_name_are_refused_even_if_their_rows_never_meet():
    assert "two views are called 'profile'" in faults(view(), view(pk="OTHER#{user_id}"))[0]


MANY = {"min": {f"m{at}": (lambda item, at=at: at) for at in range(49)}}


def totals(**changes):
    return Aggregate(**{"name": "totals", "of": ORDER, "pk": "ALL", "sk": "TOTAL", "count": "n", **changes})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"count": None}, "computes nothing: give it count, sum, average, min, max, distinct, count_where or sum_w"),
        ({"compute": {"day": len}, "pk": "DAY#{dya}"}, "uses 'dya', which entity 'order' does not declare"),
        ({"compute": {"total": len}, "sum": {"s": "total"}}, "computes 'total', and entity 'order' declares"),
        ({"compute": {"day": date_trunc("placed", "day")}}, "names 'placed', which entity 'order' does not declare"),
        ({"sum": {"s": nested("totl.net")}}, "names 'totl', which entity 'order' does not declare"),
        ({"compute": {"": len}}, "computes '', which is no name for a computed attribute"),
        ({"each": "total", "compute": {"each": len}}, "computes 'each', which is no name"),
        ({"each": "totl"}, "names 'totl', which entity 'order' does not declare"),
        ({"pk": "SKU#{each.sku}"}, "uses 'each.sku', which entity 'order' does not declare"),
        ({"sum": {"s": "each.price"}}, "names 'each.price', which entity 'order' does not declare"),
        ({"count_where": {"n": len}}, "writes 'n' twice"),
        ({"sum_where": {"s": "total"}}, "sum_where 's' is 'total': give a source and a predicate"),
        ({"sum_where": {"s": ("total", "paid")}}, "sum_where 's' is ('total', 'paid'): give a source"),
        ({"sum_where": {"s": ("totl", bool)}}, "names 'totl', which entity 'order' does not declare"),
        ({"sum": {"s": "totl"}}, "names 'totl', which entity 'order' does not declare"),
        ({"average": {"s": "totl"}}, "names 'totl'"),
        ({"min": {"s": "totl"}}, "names 'totl'"),
        ({"max": {"s": "totl"}}, "names 'totl'"),
        ({"distinct": {"s": "totl"}}, "names 'totl'"),
        ({"sum": {"n": "total"}}, "writes 'n' twice"),
        ({"sum": {"s": "total"}, "max": {"s": "total"}}, "writes 's' twice"),
        ({"sum": {"pk": "total"}}, "one of the row's own attributes"),
        ({"sum": {"_distributary_group": "total"}}, "one of the row's own attributes"),
        ({"shards": 0}, "has 0 shards: give 1 to 100"),
        ({"shards": 101}, "has 101 shards: give 1 to 100"),
        ({"shards": 2, "distinct": {"d": "total"}}, "one value counted in two shards is no sum of both"),
        (MANY, "an item that moves would take 101 actions, and a transaction holds 100"),
        ({"pk": "DAY#{day}"}, "uses 'day', which entity 'order' does not declare"),
    ],
)
def test_a_faulty_aggregate_is_refused_by_name(changes, fault):
    found = faults(totals(**changes))
    assert any(fault in each for each in found), found


def test_latest_names_what_it_is_by():
    latest = Latest(name="latest", of=ORDER, pk="L", sk="{user_id}", by="whn")
    assert "names 'whn', which entity 'order' does not declare" in faults(latest)[0]


def test_an_aggregate_and_a_projection_that_could_meet_are_refused():
    assert "could write the same row" in faults(view(pk="ALL", sk="{user_id}"), totals(of=USER, sk="{email}"))[0]


def test_each_view_stands_on_what_its_declaration_needs():
    views = check(
        [
            view(),
            view(name="lookup", pk="MAIL#{email}", sk="{user_id}"),
            view(name="index", pk="NAME#{each}", sk="{user_id}", each="name"),
            totals(sum={"s": "total"}, min={"least": "total"}, max={"most": "total"}),
            Latest(name="latest", of=ORDER, pk="L", sk="{user_id}", by="total"),
        ]
    )
    assert [re.split(r"  +", line.strip()) for line in table(views).splitlines()] == [
        ["view", "primitive", "insert", "update", "delete"],
        ["profile", "Register", "1", "1", "2"],
        ["lookup", "Ledger", "4", "4, moved 6", "4"],
        ["index", "Ledger", "2 + 2 a row", "2 + 2 a row that differs", "2 + 2 a row"],
        ["totals", "Ledger", "6", "4 to 8, moved 10", "6"],
        ["latest", "Ledger", "6", "6 to 8, moved 10", "6"],
    ]
