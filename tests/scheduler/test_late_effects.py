"""Requests that their client gave up and that take effect later, after any other step."""

import pytest

from distributary.replicate import by_attribute, last_writer
from tests.scheduler.derive import DeriveWorld
from tests.scheduler.effects import Faults, late
from tests.scheduler.index import IndexWorld
from tests.scheduler.mirror import MirrorWorld
from tests.scheduler.race import deleting, deliver, put, race
from tests.scheduler.runs import deep, play_every
from tests.scheduler.scheduler import Scheduler
from tests.scheduler.welcome import WelcomeWorld
from tests.unit.edited_regions import FOREVER, US
from tests.unit.edited_regions import World as Edited

REVIVED = "a put that lands after its own redelivery and a later delete revives the row: nobody looks at it any more"
SAFE = {
    "sums": (DeriveWorld, {"kinds": ("sums",)}),
    "moving": (DeriveWorld, {"kinds": ("moving",)}),
    "index": (IndexWorld, {}),
    "welcome": (WelcomeWorld, {}),
}
UNSAFE = {"fixed": (DeriveWorld, {"kinds": ("fixed",)}), "mirror": (MirrorWorld, {})}
KINDS = [*SAFE, *(pytest.param(kind, marks=pytest.mark.xfail(reason=REVIVED, strict=True)) for kind in UNSAFE)]


def lived(world):
    """The item comes and goes, and the function hears of both."""
    put(10)(world)
    deliver(world)
    deleting(world)


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_takes_effect_at_any_later_time_revives_nothing(kind):
    world, more = {**SAFE, **UNSAFE}[kind]
    interferences = 1 if kind == "welcome" else deep(2)
    play_every(race(world, [], [lived], Faults(1, kinds=(late,)), **more), interferences)


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

    def __init__(self, rule, choices):
        self.scheduler = Scheduler(choices, Faults(1, kinds=(late,)), coarse=True)
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
        self.world.delete(US)
        self.carry(1)

    def carry(self, since):
        while "Failed" in self.world.carry(US, since):
            self.scheduler.sleep(1.0)


RULES = {"whole": last_writer("at", "seconds"), "merged": by_attribute("at", "seconds")}


@pytest.mark.parametrize(
    "rule", ["whole", pytest.param("merged", marks=pytest.mark.xfail(reason=REVIVED, strict=True))]
)
def test_a_write_to_a_region_that_takes_effect_later_revives_nothing(rule):
    play_every(lambda seed, choices: Regions(RULES[rule], choices), deep(2))


class VerifiedMirror(MirrorWorld):
    """Once all is quiet, an operator looks."""

    def check(self, when):
        self.verify(repair=True)
        super().check(when)


def test_what_a_late_request_left_in_a_mirror_is_found_and_repaired():
    play_every(race(VerifiedMirror, [], [lived], Faults(1, kinds=(late,))), deep(2))


class VerifiedRegions(Regions):
    """Once all is quiet, an operator looks."""

    def settle(self):
        super().settle()
        self.world.branch(US).reconcile({"id": {"S": "x"}}, FOREVER)
        super().settle()


@pytest.mark.parametrize("rule", RULES)
def test_what_a_late_request_left_in_a_region_is_found_and_repaired(rule):
    play_every(lambda seed, choices: VerifiedRegions(RULES[rule], choices), deep(2))
