"""Which declarations a change concerns, and why: as the branches themselves decide it."""

import pytest

from cli.console.explain import known, reasons
from distributary import derive, index
from distributary.derive import Aggregate, Entity, Projection, key_prefix
from distributary.index import Field, Index
from distributary.replicate import Mirror
from distributary.stream import records
from distributary.welcome import Content, Rule
from distributary.welcome.rules import check as check_rules

ORDER = Entity(
    name="order", keys=("pk", "sk"), attributes=("customer", "total", "status"), where=key_prefix("sk", "ORDER#")
)
VIEWS = derive.check(
    [
        Projection(
            name="open",
            of=ORDER,
            pk="OPEN",
            sk="{pk}/{sk}",
            keep=("customer",),
            where=lambda order: order.get("status") == "open",
        ),
        Aggregate(name="sales", of=ORDER, pk="CUSTOMER#{customer}", sk="SALES", sum={"revenue": "total"}),
    ]
)
SOURCES = index.check(
    [Index(name="orders", of=ORDER, id="{pk}/{sk}", fields={"total": Field(mapping={"type": "double"}, json=True)})]
)
RULES = check_rules(
    [Rule(name="thanks", of=ORDER, to="customer", content={"en": Content("Thank you", "{{customer}}")})]
)


def change(kind="INSERT", old=None, new=None, sk="ORDER#1"):
    keys = {"pk": {"S": "C"}, "sk": {"S": sk}}
    images = {"OldImage": old, "NewImage": new}
    body = {"Keys": keys, "SequenceNumber": "100", "ApproximateCreationDateTime": 1.0}
    body |= {name: {**keys, **image} for name, image in images.items() if image is not None}
    record = {
        "eventID": "e",
        "eventName": kind,
        "eventSource": "aws:dynamodb",
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/shop/stream/x",
        "dynamodb": body,
    }
    return records.decode({"Records": [record]}, 0)[0]


def item(total="5", status="open", **more):
    return {"customer": {"S": "ada"}, "total": {"N": total}, "status": {"S": status}, **more}


def found(branch, declared, given):
    return {each.declaration: each for each in reasons(branch, declared, given)}


def test_a_view_names_its_rows_before_and_after_the_change():
    moved = {**item(), "customer": {"S": "bela"}}
    sales = found("derive", VIEWS, change("MODIFY", item(), moved))["view 'sales'"]
    assert (sales.concerned, sales.before, sales.after) == (True, ("CUSTOMER#ada / SALES",), ("CUSTOMER#bela / SALES",))


def test_an_item_that_leaves_a_view_has_a_row_before_and_none_after():
    shipped = found("derive", VIEWS, change("MODIFY", item(), item(status="shipped")))["view 'open'"]
    assert (shipped.concerned, shipped.before, shipped.after) == (True, ("OPEN / C/ORDER#1",), ())
    assert "The view leaves out the item after the change." in shipped.why


def test_another_kind_of_item_concerns_nobody_and_the_where_says_so():
    other = change(new=item(), sk="PROFILE")
    views = found("derive", VIEWS, other)
    assert not any(each.concerned for each in found("index", SOURCES, other).values())
    assert "Entity 'order': its where leaves it out after the change." in views["view 'sales'"].why


def test_what_a_branch_would_park_the_change_for_is_the_fault():
    spoiled = change(new={**item(), "total": {"S": "a lot"}})
    views = found("derive", VIEWS, spoiled)
    assert "total" in views["view 'sales'"].fault
    assert views["view 'open'"].fault == ""
    assert "total" in found("index", SOURCES, spoiled)["index 'orders'"].fault


def test_the_fault_is_the_cause_that_the_branch_itself_gives():
    from distributary.derive.contribution import entry_of
    from distributary.errors import Rejected

    spoiled = change(new={**item(), "total": {"S": "a lot"}})
    with pytest.raises(Rejected) as parked:
        entry_of(VIEWS[1], spoiled)
    assert found("derive", VIEWS, spoiled)["view 'sales'"].fault == str(parked.value)


def test_a_rule_says_what_it_waits_for():
    edited = found("welcome", RULES, change("MODIFY", item(), item("6")))["rule 'thanks'"]
    assert not edited.concerned
    assert "The rule waits for Inserted (INSERT); this change is not such an event." in edited.why


def test_a_message_that_cannot_be_composed_is_the_rules_fault():
    new = found("welcome", RULES, change(new=item()))["rule 'thanks'"]
    assert (new.concerned, new.fault) == (True, "'customer' is no e-mail address")


def test_a_mirror_that_takes_some_items_says_of_which_images():
    mirror = Mirror(of=ORDER, where=lambda order: order.get("status") == "open")
    left = found("replicate", mirror, change("MODIFY", item(), item(status="shipped")))["mirror"]
    assert left.concerned
    assert left.why[-2:] == (
        "The replica has the item before the change.",
        "The replica leaves out the item after the change.",
    )


def test_a_declared_function_that_raises_is_named_and_breaks_nothing():
    broken = Entity(name="broken", keys=("pk", "sk"), where=lambda item: item["none"] == 1)
    views = derive.check([Projection(name="v", of=broken, pk="{pk}", sk="{sk}")])
    view = found("derive", views, change(new=item()))["view 'v'"]
    assert view.concerned
    assert "where raised KeyError" in view.fault


def test_an_items_entities_are_each_named_once():
    declared = {"derive": VIEWS, "index": SOURCES, "welcome": RULES, "replicate": None, "archive": None}
    assert known(list(declared), declared.get, change(new=item())) == ("order",)
    assert known(list(declared), declared.get, change(new=item(), sk="PROFILE")) == ()
