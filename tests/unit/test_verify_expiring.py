"""Rows that TTL removed are no damage, a closed group is nobody's to repair, an open one is."""

from unittest import mock

import pytest

from distributary.consumer.reconcile import Reconcile
from distributary.derive.factory import reconciler
from distributary.derive.retire import edges_as_counted
from tests.replaced import replace
from tests.unit.test_expiring_groups import DAY, HOUR, PER_DAY, START, at, clock
from tests.unit.test_verify_derived import World as Verified
from tests.world import LONG

TTL = START + 3 * DAY


class World(Verified):
    """Events of some days; `now` is in epoch seconds."""

    def __init__(self, view=PER_DAY):
        self.now = float(START)
        super().__init__([view])
        tables = replace(self.branch.ledger.tables, now=clock(self))
        self.branch = replace(self.branch, ledger=replace(self.branch.ledger, tables=tables))
        self.tables = tables

    def event(self, user, day, total=1, deliver=True):
        return self.put(user, deliver=deliver, at={"S": at(day)}, total={"N": str(total)})

    def take(self, *taken):
        """TTL removes some rows of the derived table."""
        for key in list(self.derived):
            if any(each in str(key) for each in taken):
                del self.derived[key]


@pytest.fixture
def world():
    world = World()
    for user, day in (("u", 0), ("v", 0), ("w", 3)):
        world.event(user, day)
    return world


def days(world):
    return {key[0]: row["events"]["N"] for key, row in world.derived.items() if not key[0].startswith("%")}


@pytest.mark.parametrize("row", [True, False], ids=["row", "no row"])
@pytest.mark.parametrize("members", [True, False], ids=["members", "no members"])
def test_whatever_ttl_took_of_a_closed_group_nothing_differs(world, row, members):
    world.now = TTL
    for key in [key for key in world.derived if "2026-11-01" in key[0]]:
        if not (members if key[0].startswith("%") else row):
            del world.derived[key]
    before = dict(world.derived)
    report = world.verify(repair=True)
    assert report.equal, report.samples
    assert world.derived == before


def test_a_ledger_row_that_ttl_took_is_not_missing(world):
    world.now = TTL + 8 * DAY
    world.take("2026-11-0")
    world.service.state["ledger"].clear()
    assert world.verify(repair=True).equal
    assert world.derived == {}


def test_members_that_ttl_left_of_a_closed_group_are_no_difference(world):
    world.now = TTL + 8 * DAY
    for key in [key for key in world.derived if not key[0].startswith("%")]:
        del world.derived[key]
    world.service.state["ledger"].clear()
    before = dict(world.derived)
    assert before
    assert world.verify(repair=True).equal
    assert world.derived == before


def test_a_change_that_was_lost_is_repaired_in_open_groups_alone(world):
    world.now = TTL - HOUR
    world.event("u", 0, 7, deliver=False)
    world.event("x", 3, deliver=False)
    world.event("v", 3, deliver=False)
    assert world.verify(repair=True)["differences"] > 0
    assert world.verify().equal
    assert days(world) == {"DAY#2026-11-01": "2", "DAY#2026-11-04": "3"}


def test_a_group_written_before_its_view_expired_is_built_anew():
    plain = replace(PER_DAY, expires_after=None, period=None)
    earlier = World(plain)
    world = _over(earlier, PER_DAY)
    earlier.event("u", 0)
    earlier.event("v", 0, 5)
    assert not any("expires_at" in row for row in earlier.derived.values())
    assert not world.verify().equal
    world.verify(repair=True)
    assert world.verify().equal
    assert {row["expires_at"]["N"] for row in world.derived.values()} == {str(TTL)}


def test_an_open_group_whose_row_was_lost_is_missing_and_its_members_are_not(world):
    before = days(world)
    del world.derived["DAY#2026-11-04", "ALL"]
    assert [each["kind"] for each in world.verify().samples["differences"]] == ["missing"]
    world.mended()
    assert days(world) == before


def _over(earlier, view):
    world = World(view)
    world.service = earlier.service
    tables = replace(world.tables, client=earlier.service)
    world.tables = tables
    world.register = earlier.register
    return world


def test_a_reconcile_leaves_closed_groups_alone(world):
    world.now = TTL
    world.take("2026-11-01")
    world.event("u", 0, 7, deliver=False)
    world.event("v", 3, deliver=False)
    asked = [Reconcile({"user_id": {"S": user}}) for user in ("u", "v", "w")]
    for _ in range(2):
        ends = reconciler(world.branch, lambda: "users", 0)(asked, LONG)
        assert {end.status.value for end in ends} <= {"Applied", "Superseded", "Ignored"}, ends
        assert days(world) == {"DAY#2026-11-04": "2"}
    assert world.verify().equal


@pytest.mark.parametrize("guarded", ["group_verifier", "expected_rows"])
def test_without_its_guard_verify_takes_what_ttl_took_for_damage(world, guarded):
    world.now = TTL + 8 * DAY
    world.take("2026-11-01")
    if guarded == "expected_rows":
        world.service.state["ledger"].clear()
        world.take("2026-11-0")
    with mock.patch(f"distributary.derive.verify.{guarded}.VERIFIED", -(10**9)):
        assert not world.verify().equal
    assert world.verify().equal


def test_a_sweep_reads_anew_what_open_groups_show_alone(world):
    key = ("DAY#2026-11-01", "ALL")
    for each in [each for each in world.derived if each[0].startswith("%") and "2026-11-01" in each[0]]:
        del world.derived[each]
    (view,) = world.branch.views
    assert edges_as_counted(world.tables, view, key, world.derived[key]) is not None
    world.now = TTL
    assert edges_as_counted(world.tables, view, key, world.derived[key]) is None
