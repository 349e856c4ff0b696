"""What a view makes of a change: a row, no row, or a reason why it cannot."""

from decimal import Decimal

import pytest

from distributary.derive import Aggregate, Entity, Projection, Top, check, date_trunc, lower
from distributary.derive.branch import entries, plan
from distributary.derive.contribution import rank
from distributary.derive.delta import Contribution
from distributary.errors import ConfigError, Rejected
from distributary.stream.keys import item_identity, table_of
from tests.replaced import replace
from tests.unit.records import change

USER = Entity(name="user", keys=("user_id",), attributes=("email", "name", "avatar", "expires_at", "nickname"))
ITEM = {
    "email": {"S": "ada@example.com"},
    "name": {"S": "Ada"},
    "avatar": {"B": "AP8="},
    "expires_at": {"N": "1795345200"},
}
KEY = {"pk": {"S": "USER#u-1"}, "sk": {"S": "PROFILE"}}


def planned(found, **changes):
    """The writes and the causes of one view."""
    view = {"name": "profile", "of": USER, "pk": "USER#{user_id}", "sk": "PROFILE", **changes}
    writes, rejections = plan(check([Projection(**view)]), found)
    return writes, [str(each) for each in rejections]


def row(found, **changes):
    (write,), causes = planned(found, **changes)
    assert causes == []
    return write.row


def inserted(**item):
    return change(new={**ITEM, **item})


def is_active(item):
    return item["status"] == "active"


def test_a_row_holds_its_key_and_what_was_kept_exactly():
    assert row(inserted(name={"S": "Zoë 🌊"}), keep=("name", "avatar")) == {
        **KEY,
        "name": {"S": "Zoë 🌊"},
        "avatar": {"B": b"\x00\xff"},
    }


def test_a_number_is_kept_as_it_was_written():
    assert row(inserted(name={"N": "1.500"}), keep=("name",))["name"] == {"N": "1.500"}


def test_a_renamed_attribute_stands_under_its_new_name_only():
    assert row(inserted(), rename={"email": "contact"}) == {**KEY, "contact": {"S": "ada@example.com"}}


def test_two_attributes_may_trade_their_names():
    traded = row(inserted(), rename={"email": "name", "name": "email"})
    assert (traded["name"]["S"], traded["email"]["S"]) == ("ada@example.com", "Ada")


def test_a_computed_attribute_is_the_function_s_answer():
    length = {"length": lambda item: len(item["name"]), "all": lambda item: set(item) - {"avatar"}, "none": id_of_none}
    made = row(inserted(), compute=length)
    assert made["length"] == {"N": "3"}
    assert made["all"] == {"SS": ["email", "expires_at", "name", "user_id"]}
    assert made["none"] == {"NULL": True}


def id_of_none(item):
    return item.get("nickname")


def test_an_attribute_that_no_item_has_is_left_out_of_the_row():
    assert row(inserted(), keep=("nickname",), rename={"nickname": "alias"}) == KEY


def test_the_expiry_is_the_named_attribute_and_may_be_absent():
    assert row(inserted(), expires_at="expires_at")["expires_at"] == {"N": "1795345200"}
    assert "expires_at" not in row(change(new={"name": {"S": "Ada"}}), expires_at="expires_at")


def test_an_item_that_where_leaves_out_has_no_row():
    assert row(change(kind="MODIFY", new={"status": {"S": "closed"}}), where=is_active) is None
    assert row(inserted(status={"S": "closed"}), where=is_active) is None
    assert row(inserted(status={"S": "active"}), where=is_active) == KEY


def test_an_item_of_another_entity_has_no_row():
    robots = Entity(name="robot", keys=("user_id",), where=lambda item: item["user_id"].startswith("robot-"))
    assert planned(inserted(), of=robots) == ([], [])
    assert row(change(user="robot-1"), of=robots)["pk"] == {"S": "USER#robot-1"}


def test_a_removed_item_has_no_row_and_its_write_carries_the_version():
    found = change(9, "REMOVE", old=ITEM)
    (write,), causes = planned(found)
    assert (write.key, write.row, write.version, causes) == (KEY, None, found.version, [])


def test_an_item_that_was_never_in_the_view_is_left_alone():
    closed = {"status": {"S": "closed"}}
    assert planned(change(kind="MODIFY", new=closed, old=closed), where=is_active) == ([], [])


def test_an_inserted_item_that_is_not_in_the_view_takes_away_what_is_there():
    """The delete of the item that was there before may be lost."""
    (write,), _ = planned(change(kind="INSERT", new={"status": {"S": "closed"}}), where=is_active)
    assert (write.row, write.if_present) == (None, True)


def test_an_insert_may_leave_a_tombstone_where_deletes_by_ttl_leave_rows():
    closed = change(kind="INSERT", new={"status": {"S": "closed"}})
    (write,), _ = planned(closed, where=is_active, on_expiry="keep")
    assert (write.row, write.if_present) == (None, False)


def test_a_deleted_item_loses_whatever_row_it_may_have_had():
    """The change that took it out of the view may be parked, or the view's `where` have been another."""
    assert row(change(kind="REMOVE", old={"status": {"S": "closed"}}), where=is_active) is None


def test_an_item_that_leaves_the_view_loses_its_row():
    found = change(kind="MODIFY", new={"status": {"S": "closed"}}, old={"status": {"S": "active"}})
    assert row(found, where=is_active) is None


def test_an_old_image_that_where_cannot_read_costs_a_delete_and_nothing_else():
    found = change(kind="MODIFY", new={"status": {"S": "closed"}}, old={})
    assert row(found, where=is_active) is None


def broken(item):
    raise RuntimeError(f"cannot take {item['email']}")


def refusing(item):
    raise Rejected("too young", "born 2030")


@pytest.mark.parametrize(
    ("changes", "item", "cause"),
    [
        ({"where": is_active}, {}, "view 'profile': where raised KeyError"),
        ({"where": broken}, {}, "view 'profile': where raised RuntimeError"),
        ({"compute": {"x": broken}}, {}, "view 'profile': compute 'x' raised RuntimeError"),
        ({"compute": {"x": refusing}}, {}, "view 'profile': compute 'x': too young"),
        ({"compute": {"x": lambda item: 0.5}}, {}, "view 'profile': attribute 'x': a float is inexact"),
        ({"compute": {"x": lambda item: {}["y"]}}, {}, "view 'profile': compute 'x' raised KeyError"),
        ({"compute": {"x": lambda item: item["email"]}}, {"email": {"X": "?"}}, "attribute 'email'"),
        ({"keep": ("email",)}, {"email": {"X": "?"}}, "view 'profile': attribute 'email': expected content of one"),
        ({"expires_at": "expires_at"}, {"expires_at": {"N": "soon"}}, "attribute 'expires_at'"),
        ({"pk": "USER#{user_id:N}"}, {}, "'user_id' is S, expected N"),
        ({"of": Entity(name="odd", keys=("user_id",), where=broken)}, {}, "entity 'odd': where raised RuntimeError"),
    ],
)
def test_an_item_that_a_declaration_cannot_take_is_rejected_by_name(changes, item, cause):
    writes, causes = planned(inserted(**item), **changes)
    assert writes == []
    assert cause in causes[0]
    assert "ada@example.com" not in causes[0]


def test_what_the_exception_said_goes_into_the_detail():
    _, (rejection,) = plan(
        check([Projection(name="p", of=USER, pk="{user_id}", sk="P", compute={"x": broken})]), inserted()
    )
    assert rejection.detail == "cannot take ada@example.com"


def test_a_view_that_rejects_an_item_does_not_keep_the_others_from_it():
    bad = Projection(name="bad", of=USER, pk="BAD#{user_id}", sk="P", where=broken)
    good = Projection(name="good", of=USER, pk="GOOD#{user_id}", sk="P")
    writes, rejections = plan(check([bad, good]), inserted())
    assert [write.key["pk"]["S"] for write in writes] == ["GOOD#u-1"]
    assert len(rejections) == 1


def test_an_attribute_that_no_view_reads_rejects_nothing():
    assert row(inserted(photo={"X": "unknown"}), keep=("name",)) == {**KEY, "name": {"S": "Ada"}}


def test_an_oversized_key_is_rejected():
    writes, causes = planned(change(user="x" * 2044))
    assert writes == []
    assert "may have 1 to 2048" in causes[0]


def test_two_views_keep_their_tombstones_apart():
    views = check(
        [
            Projection(name="a", of=USER, pk="{user_id}", sk="A"),
            Projection(name="b", of=USER, pk="{user_id}", sk="B"),
        ]
    )
    writes, _ = plan(views, change(kind="REMOVE"))
    assert len({write.id for write in writes}) == 2


LINE = Entity(name="order", keys=("user_id",), attributes=("lines", "placed_at", "status", "email"))
LINES = {"L": [{"M": {"sku": {"S": sku}, "many": {"N": many}}} for sku, many in (("a", "2"), ("b", "1"), ("a", "5"))]}


def contribution(found, declared):
    """What an item contributes to a view on the ledger."""
    (entry,), causes = entries(check([declared]), found)
    assert causes == []
    return entry.contribution


def cause(found, declared):
    made, (rejected,) = entries(check([declared]), found)
    assert made == []
    return str(rejected)


def per_product(**more):
    name = {"name": "per-product", "of": LINE, "pk": "PRODUCT#{each.sku}", "sk": "{day}", "each": "lines"}
    return Aggregate(**{**name, "compute": {"day": date_trunc("placed_at", "day")}, **more})


def test_a_computed_attribute_may_be_a_part_of_the_key_and_of_the_figures():
    found = change(new={"placed_at": {"S": "2026-11-20T12:00:00Z"}, "email": {"S": "Ada@X"}})
    declared = Projection(
        name="by-day",
        of=LINE,
        pk="DAY#{day}",
        sk="{user_id}",
        compute={"day": date_trunc("placed_at", "day"), "who": lower("email")},
        where=lambda item: item["day"] > "2026",
        expires_at="ends",
    )
    with pytest.raises(ConfigError, match="names 'ends'"):
        check([declared])
    (row,) = contribution(
        found, replace(declared, expires_at="day2", compute={**declared.compute, "day2": len})
    ).rows.values()
    assert row == {
        "pk": {"S": "DAY#2026-11-20"},
        "sk": {"S": "u-1"},
        "day": {"S": "2026-11-20"},
        "day2": {"N": "3"},
        "who": {"S": "ada@x"},
        "expires_at": {"N": "3"},
    }


def test_an_item_without_a_computed_part_of_its_key_has_no_row():
    declared = Projection(
        name="v", of=LINE, pk="{day}", sk="{user_id}", compute={"day": date_trunc("placed_at", "day")}
    )
    assert contribution(change(new={"email": {"S": "x"}}), declared) == Contribution()


def test_the_lines_of_an_order_add_to_their_products():
    figures = {"count": "lines", "sum": {"units": "each.many"}, "max": {"most": "each.many"}}
    found = change(new={"lines": LINES, "placed_at": {"S": "2026-11-20T12:00:00Z"}})
    shares = contribution(found, per_product(**figures)).shares
    assert {key: dict(share.amounts) for key, share in shares.items()} == {
        ("PRODUCT#a", "2026-11-20"): {"items": 2, "sum:units": 7},
        ("PRODUCT#b", "2026-11-20"): {"items": 1, "sum:units": 1},
    }
    members = shares["PRODUCT#a", "2026-11-20"].members
    assert sorted(value["N"] for value in members.values()) == ["2", "5"]


def test_a_line_without_the_key_s_attribute_is_left_out():
    lines = {"L": [{"M": {"sku": {"S": "a"}}}, {"M": {"many": {"N": "1"}}}, {"S": "loose"}]}
    found = change(new={"lines": lines, "placed_at": {"S": "2026-11-20T12:00:00Z"}})
    assert list(contribution(found, per_product(count="lines")).shares) == [("PRODUCT#a", "2026-11-20")]


def test_conditional_figures_count_and_add_only_what_their_predicate_takes():
    counted = {"paid": lambda item: item["status"] == "paid"}
    added = {
        "units_paid": ("each.many", counted["paid"]),
        "ones": ("each.many", lambda item: item["each"]["many"] == 1),
    }
    declared = per_product(count_where=counted, sum_where=added)
    for status, wanted in (("paid", {"items": 2, "sum:paid": 2, "sum:units_paid": 7}), ("open", {"items": 2})):
        new = {"lines": LINES, "placed_at": {"S": "2026-11-20T12:00:00Z"}, "status": {"S": status}}
        assert contribution(change(new=new), declared).shares["PRODUCT#a", "2026-11-20"].amounts == wanted


def test_members_of_one_item_are_numbered_only_where_their_values_are_equal():
    """Their places stay as they are if another member comes or goes."""
    shown = {"each": "lines", "by": "each.many", "keep": ("email",)}
    declared = Top(name="t", n=9, of=LINE, pk="T", sk="ALL", rows=True, **shown)
    lines = {"L": [{"M": {"many": {"N": many}}} for many in ("5", "2", "5", "5")]}
    found = change(new={"lines": lines})
    item = item_identity(table_of(found.source), found.keys.raw)
    two, five = (rank(Decimal(value), item) for value in ("2", "5"))
    members = contribution(found, declared).shares["T", "ALL"].members
    assert [place for _, place in members] == [five, two, f"{five}\x000001", f"{five}\x000002"]


def test_rows_of_members_show_what_is_computed_of_each():
    declared = Projection(
        name="lines",
        of=LINE,
        pk="SKU#{each.sku}",
        sk="{user_id}",
        each="lines",
        compute={"many": lambda item: item["each"]["many"]},
    )
    rows = contribution(change(new={"lines": LINES}), declared).rows
    assert {key[0]: row["many"]["N"] for key, row in rows.items()} == {"SKU#a": "5", "SKU#b": "1"}


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda item: item["nothing"], "view 'v': compute 'day' raised KeyError"),
        (lambda item: 1.5, "view 'v': attribute 'day': a float is inexact"),
        (lambda item: True, "view 'v': template '{day}': 'day' is bool, expected S"),
        (lambda item: ["x"], "view 'v': template '{day}': 'day' is list, expected S"),
        (lambda item: "", "view 'v': template '{day}': the key would have 0 bytes, and may have 1 to 2048"),
        (lambda item: "x" * 2049, "view 'v': template '{day}': the key would have 2049 bytes, and may have 1 to 2048"),
    ],
)
def test_a_computed_key_that_cannot_be_one_is_rejected_by_name(function, wanted):
    declared = Aggregate(name="v", of=LINE, pk="{day}", sk="x", compute={"day": function}, count="n")
    assert cause(change(new={"email": {"S": "x"}}), declared).startswith(wanted)


def test_a_computed_attribute_does_not_see_another():
    declared = Aggregate(
        name="v", of=LINE, pk="{b}", sk="x", compute={"a": lambda i: "a", "b": lambda i: i.get("a", "none")}, count="n"
    )
    assert list(contribution(change(new={"email": {"S": "x"}}), declared).shares) == [("none", "x")]


@pytest.mark.parametrize("on_expiry", ["remove", "keep"])
def test_a_first_fill_asks_nothing_for_an_item_that_no_view_is_about(on_expiry):
    """Nothing was kept before it, and what the stream has brought since is newer."""
    common = {"of": USER, "where": lambda _: False, "on_expiry": on_expiry}
    row = Projection(name="row", pk="ROW#{user_id}", sk="ALL", **common)
    views = check([row, Aggregate(name="sum", pk="SUM#{user_id}", sk="ALL", count="users", **common)])

    def asked(**note):
        found = change(0, "INSERT", new=ITEM, distributary={"origin": "snapshot", **note})
        return len(plan(views, found)[0]), len(entries(views, found)[0])

    assert asked(first_fill=True) == (0, 0)
    assert asked() == (1, 1)
