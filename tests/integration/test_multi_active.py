"""Multi-active through the built functions: emulated regions with real streams, written to at once."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from random import Random

import pytest

from local.emulators import embedded
from tests.integration.peers import deployed
from tests.simulation.regions import Histories

US, EU, AP = "us-east-1", "eu-west-1", "ap-south-1"
EDITS = 160
SKEWS = (0, -2, 1)
"""Seconds by which the regions' clocks are wrong."""
NAMES = [f"i{at}" for at in range(8)]
AT, SECOND = 'last_writer("at", "seconds")', "last_writer()"


@pytest.fixture
def endpoint():
    with embedded() as endpoints:
        yield endpoints.aws


@pytest.fixture
def pair(endpoint, tmp_path):
    with deployed(endpoint, (US, EU), AT, tmp_path) as peers:
        yield peers


def test_edits_and_deletions_go_each_way_once_and_nothing_comes_back(pair):
    us, eu = pair.regions
    us.put("a", 1)
    eu.put("b", 1)
    pair.settle()
    assert us.items() == eu.items()
    assert set(us.items()) == {"a", "b"}
    bound = len(pair.regions)
    assert pair.written() == bound + 2, "each function binds its stream once; one write for each edit"
    us.update("b", 2)
    eu.delete("a")
    pair.settle()
    assert us.items() == eu.items()
    assert us.items()["b"]["at"] == {"N": "2"}
    assert set(us.items()) == {"b"}
    assert pair.written() == bound + 2 + 1 + 3, "a deletion is a tombstone in each region, and a delete in the other"
    assert (len(us.records()), len(eu.records())) == (4, 4)
    assert pair.conflicts() == []
    pair.check_conserved()


def test_a_conflict_is_kept_with_both_sides_the_winner_and_the_rule(pair):
    us, eu = pair.regions
    us.proxy.cut.add(EU)
    eu.proxy.cut.add(US)
    won, lost = us.put("a", 5, name="first named"), eu.put("a", 5, name="a tie")
    time.sleep(1)
    us.proxy.cut.clear()
    eu.proxy.cut.clear()
    pair.settle()
    assert us.items() == eu.items() == {"a": won}
    (conflict,) = pair.conflicts()
    assert conflict["key"] == {"id": {"S": "a"}}
    assert conflict["rule"] == "last_writer(at)"
    assert (conflict["winner"]["region"], conflict["winner"]["item"]) == (US, won)
    assert {side["region"]: side["item"] for side in conflict["sides"]} == {US: won, EU: lost}
    assert not any(side["deleted"] for side in conflict["sides"])
    assert pair.metrics("Conflicts") >= 1


def test_an_edit_that_loses_to_what_it_overwrote_is_undone_where_it_was_made(pair):
    us, eu = pair.regions
    won = us.put("a", 5)
    pair.settle()
    lost = eu.put("a", 3)
    pair.settle()
    assert us.items() == eu.items() == {"a": won}
    (conflict,) = pair.conflicts()
    assert (conflict["winner"]["item"], [side["item"] for side in conflict["sides"]]) == (won, [lost, won])


def test_a_region_that_is_cut_off_holds_up_only_itself_and_catches_up(endpoint, tmp_path):
    with deployed(endpoint, (US, EU, AP), AT, tmp_path) as peers:
        us, eu, ap = peers.regions
        us.proxy.cut.add(AP)
        us.put("a", 1)
        until = time.monotonic() + 60
        while "a" not in eu.items() or not us.proxy.refused:
            assert time.monotonic() < until, "the region in reach waits for the other"
            time.sleep(0.1)
        assert ap.items() == {}
        us.proxy.cut.clear()
        peers.settle()
        assert us.items() == eu.items() == ap.items()
        assert ap.items() != {}


def application(region, random, skew, done):
    """Edits of one region's application: new ones, updates, what it read a moment ago, deletions, items made again."""
    for _ in range(EDITS):
        name, at = random.choice(NAMES), int(time.time()) + skew
        chosen, stood = random.random(), region.get(name)
        time.sleep(random.choice((0, 0, 0.01, 0.02)))
        if chosen < 0.25:
            region.delete(name)
        elif chosen < 0.5:
            region.update(name, at)
        elif chosen < 0.75:
            region.put(name, at, over=stood)
        else:
            region.put(name, at, **({"more": "x"} if random.random() < 0.3 else {}))
        next(done)


def healed(region):
    """Its cut is over, once it was felt: however slow the machine, the function meets it."""
    until = time.monotonic() + 30
    while not region.proxy.refused and time.monotonic() < until:
        time.sleep(0.05)
    region.proxy.cut.clear()


def mishaps(peers, random, share_done):
    """In the midst of the edits: one direction cut for long, answers lost, functions killed, a stream rewound."""
    first, second = peers.regions[0], peers.regions[1]
    faults = [
        (0.1, lambda: first.proxy.cut.add(second.name)),
        (0.2, lambda: second.kill()),
        (0.3, lambda: [setattr(region.proxy, "losing", 0.05) for region in peers.regions]),
        (0.6, lambda: second.rewind()),
        (0.9, lambda: healed(first)),
    ]
    for share, fault in faults:
        while share_done() < share:
            time.sleep(0.01)
        fault()
    first.kill()
    random.choice(peers.regions).rewind()


class Storm:
    """Every region's application at once, and the mishaps beside them."""

    def __init__(self, peers, seed):
        self.peers, random = peers, Random(seed)
        count, lock = itertools.count(1), threading.Lock()
        self.done = 0

        def tick():
            while True:
                with lock:
                    self.done = next(count)
                yield

        edits = EDITS * len(peers.regions)
        with ThreadPoolExecutor(len(peers.regions) + 1) as pool:
            writers = [
                pool.submit(application, region, Random(f"{seed}/{region.name}"), skew, tick())
                for region, skew in zip(peers.regions, SKEWS, strict=False)
            ]
            beside = pool.submit(mishaps, peers, random, lambda: self.done / edits)
            for each in (*writers, beside):
                each.result()
        peers.settle()


def right(peers, by):
    """What the rule says, told by what the application did alone."""
    histories = Histories(tuple(region.name for region in peers.regions), by, "lose")
    edits = [(region.name, record) for region in peers.regions for record in region.edits()]
    deletions_last = by != "second"
    for region, record in sorted(edits, key=lambda each: deletions_last and each[1]["eventName"] == "REMOVE"):
        histories.note(region, record)
    return histories


def order(side, names):
    """What the rule compares a recorded side by."""
    ((kind, time),) = side["time"].items()
    return (Decimal(time) if kind == "N" else Decimal("-Infinity"), -names.index(side["region"]))


@pytest.mark.parametrize(
    ("names", "rule", "by"),
    [((US, EU), AT, "at"), ((US, EU), SECOND, "second"), ((US, EU, AP), AT, "at")],
    ids=["two-by-attribute", "two-by-second", "three-by-attribute"],
)
def test_regions_written_to_at_once_end_equal_and_as_the_rule_says(names, rule, by, endpoint, tmp_path):
    with deployed(endpoint, names, rule, tmp_path, seed=1) as peers:
        Storm(peers, 1)
        for region in peers.regions:
            assert region.items() == peers.regions[0].items(), region.name
        histories = right(peers, by)
        stands = peers.regions[0].items()
        for name, allowed in histories.right().items():
            assert stands.get(name) in allowed, (name, stands.get(name), allowed)
        assert any(region.proxy.refused for region in peers.regions)
        assert any(region.proxy.lost for region in peers.regions)
        peers.check_conserved()

        written = peers.written()
        repeats = peers.metrics("Received") - sum(len(region.records()) for region in peers.regions)
        places = len(names) - 1 + (by == "second")
        assert written <= (histories.edits + repeats) * places + histories.deletions * 2 * len(names)
        for region in peers.regions:
            region.rewind()
        peers.settle()
        assert peers.written() == written, "a rewind of all streams wrote again"
        assert peers.regions[0].items() == stands

        conflicts = peers.conflicts()
        assert conflicts
        for each in conflicts:
            assert each["rule"] == ("last_writer()" if by == "second" else "last_writer(at)")
            assert each["key"]["id"]["S"] in NAMES
            assert all(order(each["winner"], names) >= order(side, names) for side in each["sides"]), each
