"""One item: what each branch holds and should hold, what is parked of it, and the buttons that set it right."""

import json
import urllib.error
import urllib.request
from urllib.parse import urlencode

import pytest

HOSTILE = "<script>alert(1)</script>"


def key(pk, sk):
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def asked(path, keys, table="shop"):
    return f"{path}?{urlencode({'table': table, 'key': json.dumps(keys)})}"


def holdings(shop, keys):
    found = shop.ask(asked("/kept", keys))["kept"]
    return {(each["branch"], each["name"]): each for each in found}


def redriven(shop, **chosen):
    shop.ask("/redrive", chosen)
    shop.until(lambda: not shop.ask("/redrive")["running"])
    return shop.ask("/redrive")


def test_every_branch_holds_what_it_should_hold_once_the_stream_is_done(shop):
    shop.order(20, "7", "cleo")
    shop.change("ORDER%2320", derive="Applied", replicate="Applied")
    found = holdings(shop, key("CUSTOMER#cleo", "ORDER#20"))
    assert {each["state"] for each in found.values()} == {"right"}
    sales = found["derive", "view 'sales'"]
    group = next(each for each in sales["held"] if each["place"].startswith("group "))
    assert group["content"]["revenue"] == {"N": "7"}
    assert any(each["content"]["total"] == {"N": "7"} for each in found["replicate", "table users-replica"]["held"])


def test_a_document_is_shown_with_its_index(shop):
    shop.put("PRODUCT#pot", "PRODUCT", title={"S": "Pot"}, price={"N": "3"})
    shop.change("PRODUCT%23pot", index="Applied")
    found = holdings(shop, key("PRODUCT#pot", "PRODUCT"))
    ((_, name), document), *others = [each for each in found.items() if each[0][0] == "index"]
    assert (name[:16], others) == ("index 'products'", [])
    assert document["state"] == "right"
    assert document["held"][0]["content"]["title"] == "Pot"


def test_a_lost_row_is_found_and_reconciled(shop):
    shop.order(21, "5", "dora")
    shop.change("ORDER%2321", derive="Applied", replicate="Applied")
    row = {"pk": {"S": "OPEN-ORDERS"}, "sk": {"S": "CUSTOMER#dora/ORDER#21"}}
    table = next(name for name in shop.dynamodb.list_tables()["TableNames"] if name.startswith("console-Derived"))
    shop.dynamodb.delete_item(TableName=table, Key=row)
    keys = key("CUSTOMER#dora", "ORDER#21")
    lost = holdings(shop, keys)["derive", "view 'open-orders'"]
    assert (lost["state"], lost["held"]) == ("differs", [])
    assert lost["problems"] == ["missing: OPEN-ORDERS | CUSTOMER#dora/ORDER#21"]
    assert shop.ask("/reconcile", {"branch": "derive", "table": "shop", "key": keys})["status"] == "Applied"
    assert holdings(shop, keys)["derive", "view 'open-orders'"]["state"] == "right"
    assert shop.ask("/reconcile", {"branch": "derive", "table": "shop", "key": keys})["status"] == "Superseded"


def test_a_parked_item_is_grouped_by_cause_and_redriven_once_it_is_right(shop):
    for number in (22, 23):
        shop.order(number, {"S": "a lot"}, "emil")
        shop.change(f"ORDER%23{number}", derive="Parked")
    keys = key("CUSTOMER#emil", "ORDER#22")
    groups = shop.ask("/parked")["groups"]
    group = next(each for each in groups if "total" in each["cause"])
    assert (group["branch"], group["changes"] >= 2) == ("derive", True)
    assert [each["branch"] for each in shop.ask(asked("/key", keys))["parked"]] == ["derive"]
    assert holdings(shop, keys)["derive", "view 'sales'"]["state"] == "rejected"
    still = redriven(shop, key=json.dumps(keys))
    assert (still["done"], still["left"][0]["branch"]) == (0, "derive")
    shop.order(22, "9", "emil")
    shop.order(23, "1", "emil")
    shop.change("ORDER%2322", derive="Applied")
    shop.change("ORDER%2323", derive="Applied")
    done = redriven(shop, branch="derive", cause=group["cause"])
    assert done["done"] >= 2
    for number in (22, 23):
        assert shop.ask(asked("/key", key("CUSTOMER#emil", f"ORDER#{number}")))["parked"] == []
    assert holdings(shop, keys)["derive", "view 'sales'"]["state"] == "right"


def test_a_redrive_by_cause_leaves_the_parked_changes_of_other_causes(shop):
    shop.order(24, {"S": "a lot"}, "finn")
    shop.change("ORDER%2324", derive="Parked")
    assert redriven(shop, branch="derive", cause="another cause")["done"] == 0
    assert len(shop.ask(asked("/key", key("CUSTOMER#finn", "ORDER#24")))["parked"]) == 1
    shop.order(24, "1", "finn")
    shop.change("ORDER%2324", derive="Applied")
    redriven(shop, key=json.dumps(key("CUSTOMER#finn", "ORDER#24")))


def test_a_message_is_shown_with_its_text_and_a_frame_that_may_do_nothing(shop):
    shop.put("CUSTOMER#gus", "PROFILE", name={"S": "Gus <b>"}, email={"S": "gus@example.com"}, language={"S": "en"})
    shop.change("gus", welcome="Applied")
    (message,) = shop.ask(asked("/key", key("CUSTOMER#gus", "PROFILE")))["messages"]
    assert (message["rule"], message["state"]) == ("welcome", "sent")
    assert "Welcome, Gus" in message["mail"]["text"]
    frame = message["mail"]["frame"]
    assert frame.startswith("mail/")
    with urllib.request.urlopen(shop.link.partition("#")[0] + frame, timeout=10) as answer:
        policy = answer.headers["content-security-policy"]
        assert "Gus &lt;b&gt;" in answer.read().decode()
    assert policy.startswith("sandbox; default-src 'none'")
    assert shop.ask(asked("/key", key("CUSTOMER#gus", "PROFILE")))["messages"][0]["mail"]["frame"] == frame


def test_a_mail_that_nobody_was_shown_has_no_address(shop):
    for name in ("x", "..%2f..%2fetc%2fpasswd", ""):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(shop.link.partition("#")[0] + f"mail/{name}", timeout=10)
        assert error.value.code == 404


def test_a_deleted_items_life_ends_with_its_delete_and_nothing_is_held(shop):
    shop.order(25, "2", "hal")
    shop.change("ORDER%2325", derive="Applied")
    keys = key("CUSTOMER#hal", "ORDER#25")
    shop.dynamodb.delete_item(TableName="shop", Key=keys)
    shop.change("ORDER%2325&kind=REMOVE", derive="Applied", replicate="Applied")
    found = shop.ask(asked("/key", keys))
    assert found["item"] is None
    assert [each["kind"] for each in found["changes"]] == ["REMOVE", "INSERT"]
    held = holdings(shop, keys)
    assert {each["state"] for each in held.values()} == {"right"}
    assert held["derive", "view 'open-orders'"]["held"] == []


def test_what_is_no_key_of_the_table_is_refused_in_a_sentence(shop):
    for wrong, why in (
        (asked("/key", {"pk": {"S": "x"}}), "give the whole key of shop: pk, sk, as DynamoDB JSON"),
        (asked("/key", key("x", "y"), "none"), "'none' is not attached: there are shop"),
        ("/kept?table=shop&key=%7B", "Expecting property name"),
        (asked("/key", {"pk": {"S": HOSTILE}, "sk": {"BOOL": True}}), "key 'sk': DynamoDB keys are S, N or B"),
    ):
        status, said = shop.refused(wrong)
        assert (status, said[: len(why)]) == (400, why)


def test_branches_that_keep_no_state_are_not_reconciled(shop):
    asked_for = {"branch": "welcome", "table": "shop", "key": key("x", "y")}
    assert shop.refused("/reconcile", asked_for)[1].startswith("welcome does not reconcile items")


def test_what_is_parked_and_was_seen_is_forgotten_and_nothing_else(shop):
    shop.order(95, {"S": "a lot"}, "yan")
    shop.change("ORDER%2395", derive="Parked")
    keys = key("CUSTOMER#yan", "ORDER#95")
    (first,) = shop.ask(asked("/key", keys))["parked"]
    shop.order(95, {"S": "a lot more"}, "yan")
    shop.until(lambda: len(shop.ask(asked("/key", keys))["parked"]) == 2)
    given = {"key": json.dumps(keys), "seen": [[first["object"], first["when"]]]}
    assert shop.ask("/forget", given)["said"] == "1 forgotten"
    (left,) = shop.ask(asked("/key", keys))["parked"]
    assert left["object"] != first["object"]
    assert shop.ask("/forget", given)["said"] == "0 forgotten"
    given["seen"] = [[left["object"], left["when"] - 1]]
    assert shop.ask("/forget", given)["said"] == "0 forgotten"
    assert shop.refused("/forget", {"key": json.dumps(keys)})[0] == 400
    given["seen"] = [[left["object"], left["when"]]]
    assert shop.ask("/forget", given)["said"] == "1 forgotten"
