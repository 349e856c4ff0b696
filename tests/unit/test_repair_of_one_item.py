"""A repair writes an item's rows on condition of what was looked at, and says what became of it."""

from typing import Any

import pytest

from distributary.consumer.outcome import APPLIED, SUPERSEDED, Status
from distributary.consumer.reconcile import Reconcile
from distributary.derive import Aggregate, Projection
from distributary.derive.verify.expected_rows import Problem
from distributary.derive.verify.group_diff import GroupFinding
from distributary.derive.verify.item_verifier import Comparator, Subject
from distributary.derive.verify.repair import Repair
from distributary.derive.verify.scan import Scan, look_at_groups
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.version import KEPT
from tests.fakes.answers import refusal
from tests.fakes.serial import Serial
from tests.replaced import replace
from tests.unit.test_verify_derived import USER, World, user

SUMS = Aggregate(name="sums", of=USER, pk="SUM", sk="{status}", count="users", on_expiry="keep")
SHOWN = Projection(name="profile", of=USER, pk="USER#{user_id}", sk="PROFILE", keep=("name",), on_expiry="keep")
PAIR = ("USER#u-1", "PROFILE")


class Town(World):
    """A user who was taken by TTL, of which no record has come."""

    def __init__(self) -> None:
        super().__init__([SUMS, SHOWN])
        self.put("u-1", **user("Ada"))
        self.lost = self.expire("u-1", deliver=False)
        self.repair = Repair(self.tables, self.register)

    def found(self, view: str) -> Any:
        """What is known of the user when a change is reconciled that TTL made."""
        keys = {"user_id": {"S": "u-1"}}
        asked = Reconcile(keys, version=self.lost.version, expired=True)
        comparator = Comparator("users", self.branch.views, self.tables, 0, 5.0, lambda _: None)
        found = comparator.compare([Subject(keys, asked=asked)]).findings
        return next(each for each in found if each.want.view.name == view)

    @property
    def kept(self) -> Any:
        """All rows."""
        return {name: dict(self.service.state[name]) for name in ("ledger", "derived")}


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.mark.parametrize("view", ["sums", "profile"])
def test_what_ttl_left_is_marked_once(town: Town, view: str) -> None:
    found = town.found(view)
    assert found.want.outlives == KEPT
    assert town.repair.item(found, {}, town.lost.version) == APPLIED
    assert town.repair.item(found, {}, town.lost.version) == SUPERSEDED
    assert (town.derived["SUM", "a#b"]["users"], town.derived[PAIR]["name"]) == ({"N": "1"}, {"S": "Ada"})


@pytest.mark.parametrize("view", ["sums", "profile"])
def test_a_mark_never_overwrites_what_the_stream_wrote_meanwhile(town: Town, view: str) -> None:
    found = town.found(view)
    town.put("u-1", **user("Grace", "c"))
    before = town.kept
    assert town.repair.item(found, {}, town.lost.version) == SUPERSEDED
    assert town.kept == before


@pytest.mark.parametrize(
    ("code", "status"),
    [("ValidationException", Status.PARKED), ("ProvisionedThroughputExceededException", Status.FAILED)],
)
def test_a_mark_that_the_table_refuses_is_an_outcome_and_no_error(town: Town, code: str, status: Status) -> None:
    def refusing(**_: Any) -> Any:
        raise refusal("PutItem", code, "no")

    found = town.found("sums")
    town.service.put_item = refusing  # type: ignore[method-assign]
    assert town.repair.item(found, {}, town.lost.version).status is status


def test_a_versioned_row_that_the_stream_corrected_meanwhile_is_left(town: Town) -> None:
    town.put("u-1", **user("Grace"))
    town.derived[PAIR] = {**town.derived[PAIR], "name": {"S": "other"}}
    comparator = Comparator("users", town.branch.views, town.tables, 0, 5.0, lambda _: None)
    (found,) = comparator.look([Subject({"user_id": {"S": "u-1"}})]).findings
    town.put("u-1", **user("Hedy"))
    assert town.repair.item(found, town.repair.tombstones([found])) == SUPERSEDED
    assert town.derived[PAIR]["name"] == {"S": "Hedy"}


def test_a_lost_groups_row_is_put_where_there_is_still_none(town: Town) -> None:
    at = ("SUM", "a#b")
    row = town.derived.pop(at)
    sums = next(view for view in town.branch.views if view.name == "sums")
    ((found,), _) = look_at_groups(Scan(town.tables, Serial(), 2), [(sums, at)])
    assert [each.kind for each in found.problems] == ["missing"]
    town.derived[at] = {**row, "users": {"N": "7"}}
    assert not town.repair.group(found)
    assert town.derived.pop(at)["users"] == {"N": "7"}
    assert town.repair.group(found)
    assert town.derived[at]["users"] == {"N": "1"}


@pytest.mark.parametrize(
    "problem", [Problem("unfinished", "SUM | a#b"), Problem("stale", "members %msums|name|SUM|a#b")]
)
def test_a_group_that_is_to_be_built_anew_is_not_written_as_it_is(town: Town, problem: Problem) -> None:
    at = ("SUM", "a#b")
    town.derived[at] = {**town.derived[at], "users": {"N": "7"}}
    sums = next(view for view in town.branch.views if view.name == "sums")
    ((found,), _) = look_at_groups(Scan(town.tables, Serial(), 2), [(sums, at)])
    broken: GroupFinding = replace(found, problems=(problem,))
    assert not town.repair.group(broken)
    assert town.derived[at]["users"] == {"N": "7"}
    assert town.repair.group(found)


def looked(world: World, user: str, view: str) -> Any:
    """What a verification finds of one item in one view."""
    comparator = Comparator("users", world.branch.views, world.tables, 0, 5.0, lambda _: None)
    found = comparator.look([Subject({"user_id": {"S": user}})]).findings
    return next(each for each in found if each.want.view.name == view)


def test_an_item_that_was_counted_wrongly_moves_its_group_by_the_difference() -> None:
    """Its name is counted already, and stays so."""
    world = World([replace(SUMS, sum={"total": "total"}, distinct={"names": "name"})])
    for name in ("u-1", "u-2"):
        world.put(name, **user(name, total="3"))
    world.put("u-1", deliver=False, **user("u-1", total="5"))
    assert Repair(world.tables, world.register).item(looked(world, "u-1", "sums"), {}) == APPLIED
    row = world.derived["SUM", "a#b"]
    assert (row["total"], row["users"], row["names"]) == ({"N": "8"}, {"N": "2"}, {"N": "2"})
    assert world.verify().equal


@pytest.mark.parametrize("version", [True, False], ids=["with a version", "without one"])
def test_a_row_of_the_item_under_another_key_goes_and_its_version_stays(version: bool) -> None:
    """As an earlier declaration left it, or another program."""
    world = World([replace(SHOWN, on_expiry="remove")])
    world.put("u-1", **user("Ada"))
    first = world.derived[PAIR]
    world.put("u-1", **user("Grace"))
    newest, other = world.derived[PAIR], ("USER#u-1", "EARLIER")
    world.derived[PAIR] = {**first, "name": {"S": "wrong"}}
    world.derived[other] = {**newest, "sk": {"S": "EARLIER"}}
    if not version:
        del world.derived[other][REPLICA_VERSION]
    comparator = Comparator("users", world.branch.views, world.tables, 0, 5.0, lambda _: None)
    subject = Subject({"user_id": {"S": "u-1"}}, frozenset({("profile", other)}))
    (found,) = comparator.look([subject]).findings
    repair = Repair(world.tables, world.register)
    assert repair.item(found, repair.tombstones([found])) == APPLIED
    assert world.derived[PAIR]["name"] == {"S": "Grace"}
    assert other not in world.derived
    kept = world.derived[PAIR][REPLICA_VERSION]["S"]
    assert versions.from_text(kept) == versions.from_text((newest if version else first)[REPLICA_VERSION]["S"])
