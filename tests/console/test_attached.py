"""The console beside attached functions: what it shows is what became of the changes."""

import threading
import urllib.error
import urllib.request

import pytest

from tests.console.conftest import ROOT

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def test_each_branch_says_what_became_of_a_change(shop):
    shop.order(1)
    found = shop.change("ORDER%231", derive="Applied", index="Ignored", replicate="Applied", archive="Applied")
    assert found["entities"] == ["order"]
    assert found["fates"]["derive"]["deliveries"] >= 1


def test_counts_of_every_branch_add_up(shop):
    shop.order(2)
    shop.change("ORDER%232", derive="Applied", index="Ignored", welcome="Ignored", replicate="Applied")
    shop.until(lambda: all(lane["adds_up"] for lane in shop.ask("/summary")["lanes"]))
    found = shop.ask("/summary")
    assert {lane["branch"] for lane in found["lanes"]} == {"derive", "index", "welcome", "replicate", "archive"}
    assert {each["reader"] for shard in found["shards"] for each in shard["readers"]} == {
        lane["branch"] for lane in found["lanes"]
    }
    assert all(each["checkpoint"] for shard in found["shards"] for each in shard["readers"])


def test_a_parked_change_has_its_cause_and_the_declaration_that_rejects_it(shop):
    shop.order(3, {"S": "a lot"})
    parked = shop.change("ORDER%233", derive="Parked")
    cause = parked["fates"]["derive"]["cause"]
    whole = shop.ask(f"/change?event={parked['event']}")
    sales = next(each for each in whole["reasons"] if each["declaration"] == "view 'sales'")
    assert cause == f"view 'sales': {sales['fault']}"
    assert next(row for row in whole["difference"] if row["path"] == ["total"])["new"] == {"S": "a lot"}


def test_what_an_item_holds_comes_as_it_is_and_as_data(shop):
    shop.put("CUSTOMER#<b>", HOSTILE, name={"S": HOSTILE}, customer={"S": "x"})
    found = shop.change("onerror", derive="Ignored")
    whole = shop.ask(f"/change?event={found['event']}")
    assert next(row for row in whole["difference"] if row["path"] == ["name"])["new"] == {"S": HOSTILE}


def test_filters_let_through_what_they_name(shop):
    shop.order(4)
    shop.put("PRODUCT#x", "PRODUCT", title={"S": "x"})
    shop.change("PRODUCT%23x", index="Applied")
    shop.change("ORDER%234", derive="Applied")
    assert {each["entities"][0] for each in shop.ask("/changes?entity=product")["changes"]} == {"product"}
    assert shop.ask("/changes?entity=product&kind=REMOVE&key=PRODUCT%23x")["changes"] == []
    applied = shop.ask("/changes?branch=index&outcome=Applied")["changes"]
    assert {each["fates"]["index"]["outcome"] for each in applied} == {"Applied"}


def test_a_change_that_is_not_remembered_is_no_crash(shop):
    status, why = shop.refused("/change?event=none")
    assert status == 400
    assert why.startswith('the change "none" is not among the last')


def test_the_stream_of_news_says_when_something_happened(shop):
    address, token = shop.link.split("#token=")
    request = urllib.request.Request(f"{address}api/events", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.readline().startswith(b'data: {"version"')
        answer.readline()
        threading.Thread(target=shop.order, args=(5,)).start()
        assert answer.readline().startswith(b'data: {"version"')


def test_the_page_is_there_without_the_token_and_holds_no_data(shop):
    address, token = shop.link.split("#token=")
    with urllib.request.urlopen(address, timeout=10) as answer:
        page = answer.read().decode()
    assert "Distributary console" in page
    assert token not in page
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{address}api/summary", timeout=10)
    assert error.value.code == 401


def test_the_lines_for_the_console_do_not_fill_the_log_files(shop):
    shop.order(6)
    shop.change("ORDER%236", derive="Applied")
    log = ROOT / ".build" / "test-console" / "logs" / "derive.log"
    assert '"message":"changes"' not in (log.read_text() if log.exists() else "")


def test_a_changes_requests_have_their_conditions_and_answers(shop):
    shop.order(7)
    found = shop.change("ORDER%237", derive="Applied", replicate="Applied")
    issued = shop.ask(f"/requests?event={found['event']}")["requests"]
    derive = [each for each in issued if each["function"] == "derive"]
    conditions = [call["condition"] for each in derive for call in each["calls"] if call["condition"]]
    assert conditions
    assert {each["status"] for each in derive} == {200}
    assert any("Tombstone" in call["table"] for each in derive for call in each["calls"])
    assert any(each["region"] == "eu-west-1" for each in issued if each["function"] == "replicate")
    everything = shop.ask(f"/requests?event={found['event']}&all=yes")["requests"]
    assert len(everything) >= len(issued)


def test_a_parked_changes_requests_show_where_it_was_parked(shop):
    shop.order(8, {"S": "a lot"})
    found = shop.change("ORDER%238", derive="Parked")
    issued = shop.ask(f"/requests?event={found['event']}")["requests"]
    assert any(each["operation"].startswith("PUT /") and "/parked/derive/" in each["operation"] for each in issued)
