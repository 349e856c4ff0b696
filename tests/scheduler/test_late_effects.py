"""Requests that their client gave up and that take effect later, after any other step.

On the ledger, on an index and on claims none of them revives anything. On versioned rows, and on rows whose regions are
merged, one may: a put that lands after a later delete finds its place as it was before the first put. Its time is
bounded by its signature, it leaves nothing but its own row, below the row's tombstone, and a verification finds that
row. tests/unit/test_late_put_model.py shows why no protocol of equal cost closes it.
"""

import pytest

from distributary.consumer.deadline import Deadline
from distributary.replicate import by_attribute, last_writer
from distributary.replicate.settings import DriftSettings
from distributary.replicate.verify import drift
from distributary.stream.change import REPLICA_VERSION
from tests.scheduler.derive import DeriveWorld
from tests.scheduler.effects import SIGNED_SECONDS, Faults, late, late_while_signed
from tests.scheduler.index import IndexWorld
from tests.scheduler.mirror import SETTINGS, MirrorWorld
from tests.scheduler.race import deleting, deliver, put, race
from tests.scheduler.runs import deep, play_every
from tests.scheduler.scheduler import Scheduler
from tests.scheduler.welcome import WelcomeWorld
from tests.scheduler.world import SOURCE
from tests.unit.edited_regions import FOREVER, US
from tests.unit.edited_regions import World as Edited

SAFE = {
    "sums": (DeriveWorld, {"kinds": ("sums",)}),
    "moving": (DeriveWorld, {"kinds": ("moving",)}),
    "index": (IndexWorld, {}),
    "welcome": (WelcomeWorld, {}),
}
BOUNDED = {"fixed": (DeriveWorld, {"kinds": ("fixed",)}), "mirror": (MirrorWorld, {})}
TABLE = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "ItemCount": 1,
}
ROWS = {"fixed": "derived", "mirror": "replica"}


def lived(world):
    """The item comes and goes, and the function hears of both."""
    put(10)(world)
    deliver(world)
    deleting(world)


def lived_longer(world):
    """The same, but the item stays for as long as a request can be on its way."""
    put(10)(world)
    deliver(world)
    world.scheduler.sleep(SIGNED_SECONDS + 1)
    deleting(world)


@pytest.mark.parametrize("kind", SAFE)
def test_a_request_that_takes_effect_at_any_later_time_revives_nothing(kind):
    world, more = SAFE[kind]
    interferences = 1 if kind == "welcome" else deep(2)
    play_every(race(world, [], [lived], Faults(1, kinds=(late,)), **more), interferences)


@pytest.mark.parametrize("kind", BOUNDED)
def test_a_late_put_revives_no_row_once_its_signature_is_too_old(kind):
    world, more = BOUNDED[kind]
    play_every(race(world, [], [lived_longer], Faults(1, kinds=(late_while_signed,)), **more), deep(2))


@pytest.mark.parametrize("kind", BOUNDED)
def test_a_late_put_leaves_at_most_its_own_row_below_its_tombstone(kind):
    """So the row's next change wins over it, and whoever looks can tell it from a row that is right."""
    world, more = BOUNDED[kind]
    left = []

    class Left(world):
        def check(self, when):
            rows = list(self.service.state[ROWS[kind]].values())
            tombstones = [row["version"]["S"] for row in self.service.state["tombstones"].values()]
            assert len(rows) <= 1
            assert all(row[REPLICA_VERSION]["S"] < tombstones[0] for row in rows)
            left.extend(rows)

    play_every(race(Left, [], [lived], Faults(1, kinds=(late,)), **more), deep(2))
    assert left, "no schedule revived a row: the bound has become a promise; say so in docs/limits.md"


@pytest.mark.parametrize("kind", BOUNDED)
def test_the_items_next_change_wins_over_a_row_that_a_late_put_revived(kind):
    world, more = BOUNDED[kind]

    class Next(world):
        def check(self, when):
            put(20)(self)
            assert self.function([self.records[-1]]) is None
            super().check(when)

    play_every(race(Next, [], [lived], Faults(1, kinds=(late,)), **more), deep(2))


@pytest.mark.parametrize("kind", BOUNDED)
def test_a_verification_finds_and_repairs_what_a_late_put_revived(kind):
    world, more = BOUNDED[kind]
    found = []

    class Verified(world):
        def check(self, when):
            differences = self.verify(repair=False)["differences"]
            assert self.verify(repair=True)["differences"] == differences
            assert self.verify(repair=False)["differences"] == 0
            found.append(differences)
            super().check(when)

    play_every(race(Verified, [], [lived], Faults(1, kinds=(late,)), **more), deep(2))
    assert set(found) == {0, 1}


def test_drift_counts_the_row_that_a_late_put_revived(monkeypatch):
    found = []

    class Watched(MirrorWorld):
        def check(self, when):
            monkeypatch.setattr(drift, "client", lambda *_, **__: self.dynamodb)
            monkeypatch.setattr(drift, "described", lambda *_: TABLE)
            revived = len(self.service.state["replica"])
            assert self.drift() == revived
            found.append(revived)

        def drift(self):
            settings = DriftSettings(
                parking_bucket="parking",
                generation=0,
                source_table_arn="arn:aws:dynamodb:eu-west-1:123456789012:table/source",
                replica_table=SETTINGS.replica_table,
                replica_regions=SETTINGS.replica_regions,
                target_role=SETTINGS.target_role,
                version_attribute=SETTINGS.version_attribute,
                read_units=1000,
                pause_seconds=10,
            )
            deadline = Deadline(self.scheduler.monotonic() + 600)
            return drift.measured(settings, SOURCE, deadline, self.scheduler.sleep)["differences"]

    play_every(race(Watched, [], [lived], Faults(1, kinds=(late,))), deep(2))
    assert set(found) == {0, 1}


@pytest.mark.parametrize("kind", SAFE)
def test_a_delete_that_takes_effect_at_any_later_time_takes_nothing_away(kind):
    world, more = SAFE[kind]

    def again(world):
        deleting(world)
        put(20)(world)
        deliver(world)

    play_every(race(world, [put(10), deliver], [again], Faults(1, kinds=(late,)), **more), deep(2))


class Regions:
    """Two regions; in one an item comes and goes, and its function carries both."""

    kinds, stays = (late,), 0.0

    def __init__(self, rule, choices):
        self.scheduler = Scheduler(choices, Faults(1, kinds=self.kinds), coarse=True)
        self.world = Edited(rule, wrap=self.scheduler.client)

    def run(self):
        self.scheduler.play(self.program)
        self.scheduler.faults = Faults()
        self.settle()
        assert self.world.items() == [None, None]

    def settle(self):
        self.world.settle()

    def program(self):
        self.world.put(US, 1, "v")
        self.carry(0)
        self.scheduler.sleep(self.stays)
        self.world.delete(US)
        self.carry(1)

    def carry(self, since):
        while "Failed" in self.world.carry(US, since):
            self.scheduler.sleep(1.0)


class LongerRegions(Regions):
    """The item stays for as long as a request can be on its way."""

    kinds, stays = (late_while_signed,), SIGNED_SECONDS + 1


RULES = {"whole": last_writer("at", "seconds"), "merged": by_attribute("at", "seconds")}


def test_a_write_to_a_region_that_takes_effect_later_revives_nothing():
    play_every(lambda seed, choices: Regions(RULES["whole"], choices), deep(2))


def test_a_late_write_of_merged_items_revives_none_once_its_signature_is_old():
    play_every(lambda seed, choices: LongerRegions(RULES["merged"], choices), deep(2))


class VerifiedRegions(Regions):
    """Once all is quiet, an operator looks."""

    def settle(self):
        super().settle()
        self.world.branch(US).reconcile({"id": {"S": "x"}}, FOREVER)
        super().settle()


@pytest.mark.parametrize("rule", RULES)
def test_what_a_late_request_left_in_a_region_is_found_and_repaired(rule):
    play_every(lambda seed, choices: VerifiedRegions(RULES[rule], choices), deep(2))
