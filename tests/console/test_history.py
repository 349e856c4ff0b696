"""What the console remembers: outcomes by branch, pages, and never more than it may."""

import json

import psutil
import pytest

from cli.console.history import STEPS, History


def record(number, **more):
    body = {"Keys": {"id": {"S": f"i{number}"}}, "ApproximateCreationDateTime": 1000.0 + number, **more}
    return {"eventID": f"e{number}", "eventName": "INSERT", "eventSourceARN": "arn", "dynamodb": body}


def read(history, *numbers, branch="derive", **more):
    for number in numbers:
        history.read(branch, "shard", record(number, **more), None, False)


def events(page):
    return [each["event"] for each in page[0]]


def test_a_change_that_two_branches_read_is_one_change():
    history = History()
    read(history, 1)
    read(history, 1, branch="index")
    assert history.size() == {"read": 1, "kept": 1, "bytes": history.size()["bytes"], "INSERT": 1}
    assert sorted(history.page(None, 10)[0][0]["fates"]) == ["derive", "index"]


def test_each_branch_has_its_own_outcome_and_cause():
    history = History()
    read(history, 1)
    history.caused("derive", ["e1"], "Parked", "no number")
    history.noted("derive", ["e1"], "Parked")
    history.noted("index", ["e1"], "Applied")
    fates = history.page(None, 10)[0][0]["fates"]
    assert (fates["derive"]["outcome"], fates["derive"]["cause"]) == ("Parked", "no number")
    assert (fates["index"]["outcome"], fates["index"]["cause"]) == ("Applied", "")


def test_the_cause_of_an_earlier_delivery_is_not_that_of_a_later_outcome():
    history = History()
    read(history, 1)
    history.caused("derive", ["e1"], "Failed", "throttled")
    history.noted("derive", ["e1"], "Failed")
    history.noted("derive", ["e1"], "Applied")
    fate = history.page(None, 10)[0][0]["fates"]["derive"]
    assert (fate["outcome"], fate["cause"]) == ("Applied", "")
    assert [step["what"] for step in fate["steps"]] == ["failed", "applied"]


def test_deliveries_retries_and_bisections_are_counted_apart():
    history = History()
    read(history, 1, 2)
    history.delivered("derive", ["e1", "e2"], 1.0, 2.0)
    history.again("derive", ["e1"], True, "crashed")
    history.delivered("derive", ["e1"], 3.0, 4.0)
    history.again("derive", ["e1"], False, "crashed")
    first = history.find("e1").fates["derive"]
    assert (first.deliveries, first.bisections, first.retries) == (2, 1, 1)
    assert list(first.invocations) == [(1.0, 2.0), (3.0, 4.0)]
    assert history.find("e2").fates["derive"].deliveries == 1


def test_pages_go_back_from_the_newest_change_without_a_gap():
    history = History()
    read(history, *range(1, 8))
    seen, before = [], None
    while before != 0:
        page = history.page(before, 3)
        seen += events(page)
        before = page[1]
    assert seen == [f"e{number}" for number in range(7, 0, -1)]


def test_a_page_holds_only_what_is_wanted():
    history = History()
    read(history, *range(1, 8))
    page = history.page(None, 2, lambda seen: seen.number % 2 == 1)
    assert (events(page), history.page(page[1], 2, lambda seen: seen.number % 2 == 1)[0][0]["event"]) == (
        ["e7", "e5"],
        "e3",
    )


def test_the_oldest_changes_are_forgotten_and_still_counted():
    history = History(changes=3)
    read(history, *range(1, 6))
    assert events(history.page(None, 10)) == ["e5", "e4", "e3"]
    assert (history.size()["read"], history.size()["kept"], history.find("e1")) == (5, 3, None)


def test_large_items_are_bounded_by_their_bytes():
    history = History(size=1_000_000)
    read(history, *range(100), NewImage={"text": {"S": "x" * 100_000}})
    assert history.size()["kept"] == 9
    assert history.size()["bytes"] <= 1_000_000


def test_one_change_larger_than_all_memory_is_still_shown():
    history = History(size=1000)
    read(history, 1, 2, NewImage={"text": {"S": "x" * 100_000}})
    assert events(history.page(None, 10)) == ["e2"]


def test_what_is_said_of_a_forgotten_change_is_no_error():
    history = History(changes=1)
    read(history, 1, 2)
    history.noted("derive", ["e1"], "Applied")
    history.delivered("derive", ["e1"], 1.0, 2.0)
    history.ended("derive", ["e1"], "done")
    assert events(history.page(None, 10)) == ["e2"]


def test_a_change_delivered_for_ever_keeps_its_last_steps():
    history = History()
    read(history, 1)
    for number in range(100):
        history.delivered("derive", ["e1"], number, number)
        history.caused("derive", ["e1"], "Failed", f"cause {number}")
        history.noted("derive", ["e1"], "Failed")
    fate = history.find("e1").fates["derive"]
    assert (len(fate.steps), len(fate.invocations), fate.deliveries) == (STEPS, STEPS, 100)
    assert fate.cause == "cause 99"


def test_a_rewound_change_waits_again_and_keeps_its_outcome():
    history = History()
    read(history, 1)
    history.noted("derive", ["e1"], "Applied")
    history.ended("derive", ["e1"], "done")
    read(history, 1)
    fate = history.find("e1").fates["derive"]
    assert (fate.outcome, fate.end, history.size()["read"]) == ("Applied", "", 1)


@pytest.mark.slow
def test_a_million_changes_take_no_more_memory_than_the_first_ones():
    history = History(changes=2000)
    encoded = json.dumps(record(0)).encode()

    def pass_on(begin, end):
        for number in range(begin, end):
            event = {**record(0), "eventID": f"e{number}"}
            history.read("derive", "shard", event, encoded, False)
            history.delivered("derive", [f"e{number}"], 1.0, 2.0)
            history.noted("derive", [f"e{number}"], "Applied")
            history.ended("derive", [f"e{number}"], "done")

    pass_on(0, 20_000)
    before = psutil.Process().memory_info().rss
    pass_on(20_000, 1_000_000)
    after = psutil.Process().memory_info().rss
    assert history.size()["read"] == 1_000_000
    assert after - before < 8 << 20
