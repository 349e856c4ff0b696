"""A broken group is built anew beside the stream: it ends right, goes on, and leaves nothing of what it was before."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from distributary.derive import Aggregate, Top, check
from distributary.derive.delta import is_member
from distributary.derive.format import STATE
from distributary.derive.verify.group_diff import edges_in, edges_of, sets_of
from distributary.errors import Unavailable
from distributary.stream.codec import decode_item
from distributary.stream.format import FORMAT_ATTRIBUTE
from tests.unit.test_verify_derived import DECLARED, USER, World, kinds, user


@pytest.fixture
def world() -> World:
    world = World()
    for n in range(7):
        world.put(f"u-{n}", **user("ab"[n % 2], ("a#b", "c")[n % 2], str(n)))
    world.put("u-1", **user("z", "a#b", "2.50", ("y",)))
    world.delete("u-2")
    return world


def shown(world: World) -> Any:
    """What readers see, but for what a view keeps."""
    rows = {key: decode_item(row) for key, row in world.derived.items() if not is_member(row) and key[0] != "KEPT"}
    return {key: {n: v for n, v in row.items() if n[0] != "_" and n not in ("pk", "sk")} for key, row in rows.items()}


def members_of(world: World, view: str, of: str) -> list[Any]:
    """Of a set of members, of any incarnation."""
    return sorted(key for key in world.derived if key[0].startswith(f"%m{view}|") and f"|{of}|" in key[0])


@pytest.mark.parametrize(("view", "of"), [("sums", "name"), ("sums", "total"), ("newest", "rank")])
@pytest.mark.parametrize("damage", ["lost", "more", "foreign"])
def test_members_that_disagree_are_built_anew_and_go_on(world: World, view: str, of: str, damage: str) -> None:
    right = shown(world)
    for place in range(len(members_of(world, view, of))):
        member = members_of(world, view, of)[place]
        row = world.derived.pop(member)
        if damage == "more":
            world.derived[member] = {**row, "items": {"N": "7"}}
        elif damage == "foreign":
            world.derived[member] = row
            world.derived[member[0], "0"] = {**row, "sk": {"S": "0"}}
        assert kinds(world.verify(), view) >= {"stale"}
        world.mended()
        assert shown(world) == right
    world.put("u-0", **user("after", "c", "12"))
    world.put("u-9", **user("after", "a#b", "13"))
    world.delete("u-3")
    assert world.verify().equal, world.verify().samples
    for name in [key[0] for key in world.service.state["users"]]:
        world.delete(name)
    assert {key for key in world.derived if key[0] != "KEPT"} == set()


@pytest.mark.parametrize("key", [("SUM", "a#b"), ("NEWEST", "c")])
def test_a_lost_group_is_built_anew_with_its_members(world: World, key: Any) -> None:
    right = shown(world)
    of = ("sums", "name") if key[0] == "SUM" else ("newest", "rank")
    world.derived.pop(key)
    world.derived.pop(next(each for each in members_of(world, *of) if each[0].endswith("|".join(key))))
    world.mended()
    assert shown(world) == right


def test_members_of_a_group_that_is_gone_are_removed(world: World) -> None:
    member = members_of(world, "sums", "name")[0]
    row = world.derived[member]
    for incarnation in ("", "%0123abcd|"):
        gone = f"%msums|{incarnation}name|SUM|gone", member[1]
        world.derived[gone] = {**row, "pk": {"S": gone[0]}}
    assert kinds(world.verify(), "sums") == {"dead"}
    world.mended()
    assert not [key for key in world.derived if "gone" in str(key)]


def test_members_of_an_incarnation_that_its_group_has_forgotten_are_removed(world: World) -> None:
    member = members_of(world, "sums", "name")[0]
    forgotten = member[0].replace("%msums|", "%msums|%0123abcd|"), member[1]
    world.derived[forgotten] = {**world.derived[member], "pk": {"S": forgotten[0]}}
    right = shown(world)
    assert kinds(world.verify(), "sums") == {"dead"}
    world.mended()
    assert (shown(world), forgotten in world.derived) == (right, False)


def test_what_ttl_left_is_counted_as_the_ledger_and_its_members_say() -> None:
    """The item is gone, and its values are in the members alone: one whose row is lost is counted no more."""
    kept = [replace(each, on_expiry="keep") for each in DECLARED if each.name in ("sums", "newest")]
    world = World(kept)
    for name in ("u-0", "u-1"):
        world.put(name, **user(name, total=name[-1]))
    world.expire("u-1")
    world.derived.pop(next(key for key in members_of(world, "sums", "name") if "u-0" in key[1]))
    world.mended()
    assert shown(world)["SUM", "a#b"] == {"users": 2, "total": 1, "least": 0, "most": 1, "names": 2}
    world.derived.pop(next(key for key in members_of(world, "sums", "name") if "u-1" in key[1]))
    world.mended()
    assert shown(world)["SUM", "a#b"]["names"] == 1


def test_a_group_that_was_built_anew_needs_no_second_look(world: World) -> None:
    """Its least and its greatest are found among the members of the incarnation that it shows."""
    world.derived.pop(members_of(world, "sums", "total")[0])
    world.mended()
    world.pauses.clear()
    assert (world.verify().equal, world.pauses) == (True, [])


def test_members_behind_rows_of_their_own_are_built_anew() -> None:
    """The group's row shows none of them."""
    ranked = Top(name="ranked", n=2, of=USER, pk="R", sk="{status}#", by="total", rows=True, keep=("name",))
    world = World([ranked])
    for n in range(5):
        world.put(f"u-{n}", **user("ab"[n % 2], total=str(n)))
    right = shown(world)
    world.derived.pop(members_of(world, "ranked", "rank")[-1])
    assert kinds(world.verify(), "ranked") == {"stale", "missing"}
    world.mended()
    assert shown(world) == right


def test_members_whose_group_cannot_be_told_are_reported_and_stay(world: World) -> None:
    member = members_of(world, "sums", "name")[0]
    strange = "%msums|name|no such group", member[1]
    world.derived[strange] = {**world.derived[member], "pk": {"S": strange[0]}}
    for repair in (False, True):
        report = world.verify(repair=repair)
        assert [each["where"] for each in report.samples["differences"]] == [f"members {strange[0]}"]
    assert strange in world.derived


FREE = Aggregate(
    name="free", of=USER, pk="{name}", sk="{status}", count="users", min={"least": "total"}, distinct={"tags": "name"}
)


@pytest.mark.parametrize(
    ("declared", "group", "told"),
    [
        (FREE, "gone|b", True),
        (FREE, "gone|a|b", False),
        (DECLARED[3], "SUM|a|b", True),
    ],
    ids=["one group", "two groups", "one group of the view"],
)
@pytest.mark.parametrize("incarnation", ["", "%0123abcd|"], ids=["first", "named"])
def test_left_members_are_removed_where_their_key_tells_one_group_alone(
    declared: Any, group: str, told: bool, incarnation: str
) -> None:
    world = World([declared])
    world.put("u-0", **user("a", "c", "1"))
    (member,) = members_of(world, declared.name, "name")
    left = f"%m{declared.name}|{incarnation}name|{group}", member[1]
    world.derived[left] = {**world.derived[member], "pk": {"S": left[0]}}
    report = world.verify(repair=True)
    assert [each["where"] for each in report.samples["differences"]] == [f"members {left[0]}"]
    assert (left in world.derived, report.equal) == (not told, told)


def broken_off(world: World, calls: int) -> Any:
    """What a repair leaves that dies before its write of this number; the group's state."""
    write, left = world.service.transact_write_items, iter(range(calls))

    def once(**arguments: Any) -> Any:
        if next(left, None) is None:
            raise Unavailable("crashed")
        return write(**arguments)

    world.service.transact_write_items = once  # type: ignore[method-assign]
    with suppress(Unavailable):
        world.verify(repair=True)
    world.service.transact_write_items = write  # type: ignore[method-assign]
    return world.derived["SUM", "c"][STATE]["M"]


def test_a_group_whose_repair_died_is_unfinished_until_the_next_one() -> None:
    seen = set()
    for calls in range(1, 12):
        world = World([DECLARED[3]])
        for n in range(3):
            world.put(f"u-{n}", **user("ab"[n % 2], "c", str(n)))
        right = shown(world)
        world.derived.pop(members_of(world, "sums", "total")[0])
        state = broken_off(world, calls)
        underway = frozenset(state.keys() & {"building", "dropping"})
        assert kinds(world.verify(), "sums") == ({"unfinished"} if underway else set())
        seen.add(underway)
        assert world.verify(repair=True).equal
        assert (shown(world), world.verify().equal) == (right, True)
    assert seen == {frozenset({"building"}), frozenset({"dropping"}), frozenset()}


def test_only_sets_whose_members_a_row_shows_are_held_at_their_edges() -> None:
    sums, spread = (view for view in check(DECLARED) if view.name in ("sums", "spread"))
    assert {edge.output for edge in edges_of(sums, "total")} == {"least", "most"}
    assert edges_of(sums, "name") == ()
    for incarnation in ("", "%0123abcd|"):
        assert edges_in(sums, f"%msums|{incarnation}total|SUM|c") == edges_of(sums, "total")
        assert edges_in(sums, f"%msums|{incarnation}name|SUM|c") == ()
    loud = check([Aggregate(name="l", of=USER, pk="L", sk="L", distinct={"loud": lambda item: item["name"].upper()})])
    assert [sets_of(view) for view in (sums, spread, *loud)] == [["total", "name"], [], ["loud()"]]


def test_a_group_of_an_earlier_format_is_no_difference(world: World) -> None:
    del world.derived["SUM", "c"][STATE]["M"][FORMAT_ATTRIBUTE]
    assert world.verify().equal


def test_a_group_whose_amounts_cancel_out_is_no_difference() -> None:
    world = World(DECLARED[3:5])
    for name, total in (("u-0", "5"), ("u-1", "-5")):
        world.put(name, **user(name, "c", total))
    world.put("u-2", **{name: typed for name, typed in user("x", "only").items() if name == "status"})
    assert world.derived["SUM", "c"]["total"] == {"N": "0"}
    assert world.verify().equal
    world.derived.pop(("SUM", "c"))
    world.mended()
    assert world.derived["SUM", "c"]["total"] == {"N": "0"}
