"""Rewinds, duplicates, faults and edits from the page; and every branch ends as it should."""

import pytest

KEYS = {"pk": {"S": "CUSTOMER#mia"}, "sk": {"S": "ORDER#60"}}


def order(number, total="5", customer="mia"):
    return {
        "pk": {"S": f"CUSTOMER#{customer}"},
        "sk": {"S": f"ORDER#{number}"},
        "customer": {"S": customer},
        "number": {"N": str(number)},
        "total": {"N": total},
        "status": {"S": "open"},
    }


def put(shop, item, before=None):
    return shop.ask("/try/put", {"table": "shop", "item": item, "before": before})


def wrong(shop, customer):
    """Differences of one customer's orders: other tests leave items that no view can take."""
    found = shop.ask("/try/check", {})["wrong"]
    return [each for each in found if each["key"]["pk"]["S"] == f"CUSTOMER#{customer}"]


def until_converged(shop, customer):
    shop.until(lambda: wrong(shop, customer) == [], lambda: str(wrong(shop, customer)))


def test_an_item_that_is_put_edited_and_deleted_goes_through_every_branch(shop):
    first, second = order(60), order(60, "6")
    put(shop, first)
    shop.change("ORDER%2360", derive="Applied", replicate="Applied", archive="Applied")
    put(shop, second, first)
    shop.change("ORDER%2360&kind=MODIFY", derive="Applied", replicate="Applied")
    until_converged(shop, "mia")
    shop.ask("/try/delete", {"table": "shop", "before": second})
    shop.change("ORDER%2360&kind=REMOVE", derive="Applied", replicate="Applied")
    until_converged(shop, "mia")


def test_an_edit_never_overwrites_what_was_written_since_it_was_loaded(shop):
    seen = order(61)
    put(shop, seen)
    shop.order(61, "99", "mia")
    for path, more in (("/try/put", {"item": order(61, "7")}), ("/try/delete", {})):
        status, why = shop.refused(path, {"table": "shop", "before": seen, **more})
        assert (status, why) == (400, "the item was changed since you loaded it: load it again")
    assert shop.refused("/try/put", {"table": "shop", "item": order(61, "8")})[0] == 400
    key = {name: seen[name] for name in ("pk", "sk")}
    assert shop.dynamodb.get_item(TableName="shop", Key=key)["Item"]["total"] == {"N": "99"}


def test_what_is_no_item_of_the_table_is_refused(shop):
    for item in (None, [], {}, {"pk": {"S": "x"}}, {"pk": {"S": "x"}, "sk": {"BOOL": True}}):
        assert shop.refused("/try/put", {"table": "shop", "item": item})[0] == 400, item
    assert shop.refused("/try/delete", {"table": "shop"})[1].startswith("load the item first")
    assert shop.refused("/try/put", {"table": "other", "item": order(1)})[0] == 400


def test_a_rewound_shard_is_delivered_again_and_changes_nothing(shop):
    shop.order(62, "5", "nils")
    event = shop.change("ORDER%2362", derive="Applied")["event"]
    assert shop.ask("/try/rewind", {"reader": "derive"})["said"] == "1 shard rewound"
    shop.until(lambda: shop.ask(f"/change?event={event}")["fates"]["derive"]["deliveries"] >= 2)
    shop.until(lambda: shop.ask(f"/change?event={event}")["fates"]["derive"]["outcome"] == "Superseded")
    until_converged(shop, "nils")


def test_a_change_delivered_once_more_is_superseded(shop):
    shop.order(63, "5", "olga")
    event = shop.change("ORDER%2363", derive="Applied", replicate="Applied")["event"]
    assert "derive" in shop.ask("/try/duplicate", {"event": event})["said"]
    fates = shop.ask(f"/change?event={event}")["fates"]
    assert (fates["derive"]["outcome"], fates["replicate"]["outcome"]) == ("Superseded", "Superseded")
    until_converged(shop, "olga")


@pytest.mark.parametrize(
    ("kind", "left", "number"), [("throttle", 2, 64), ("crash before", 2, 65), ("crash after", 2, 66), ("slow", 3, 67)]
)
def test_a_fault_of_derive_is_seen_and_everything_converges(shop, kind, left, number):
    asked = {"reader": "derive", "kind": kind, "left": left, "milliseconds": 100}
    shop.rest()
    assert [each["kind"] for each in shop.ask("/try/fault", asked)["faults"]] == [kind]
    shop.order(number, "5", "pia")
    event = shop.change(f"ORDER%23{number}", replicate="Applied")["event"]
    shop.until(lambda: shop.ask("/try")["faults"] == [])
    shop.until(lambda: shop.ask(f"/change?event={event}")["fates"]["derive"]["end"] == "done")
    requests = shop.ask(f"/requests?event={event}&all=yes")["requests"]
    assert kind in {each["fault"] for each in requests}
    if kind.startswith("crash"):
        fate = shop.ask(f"/change?event={event}")["fates"]["derive"]
        assert fate["deliveries"] >= 2
        assert any("Runtime.ExitError" in step["what"] for step in fate["steps"])
    until_converged(shop, "pia")


def test_a_busy_search_engine_delays_and_loses_nothing(shop):
    shop.rest()
    shop.ask("/try/fault", {"reader": "index", "kind": "busy", "left": 2})
    shop.put("PRODUCT#rug", "PRODUCT", title={"S": "Rug"}, price={"N": "9"})
    event = shop.change("PRODUCT%23rug", index="Applied")["event"]
    requests = shop.ask(f"/requests?event={event}&all=yes")["requests"]
    assert [each["status"] for each in requests if each["function"] == "index"].count(429) >= 1


def test_faults_can_be_taken_back(shop):
    shop.ask("/try/fault", {"reader": "welcome", "kind": "throttle", "left": 5})
    assert shop.ask("/try/clear", {"reader": "welcome"})["faults"] == []


def test_what_cannot_be_tried_is_refused_in_a_sentence(shop):
    for path, body, why in (
        ("/try/rewind", {"reader": "none"}, "there is no reader 'none'"),
        ("/try/fault", {"reader": "derive", "kind": "burn"}, "there is no fault 'burn'"),
        ("/try/fault", {"reader": "derive", "kind": "slow", "left": "many"}, "invalid literal"),
        ("/try/duplicate", {"event": "none"}, 'the change "none" is not among'),
    ):
        status, said = shop.refused(path, body)
        assert (status, said[: len(why)]) == (400, why)
