"""A Top's entries are the first of their group, in order, whatever comes, goes, moves or changes its value."""

from itertools import permutations
from unittest import mock

import pytest

from distributary.consumer.outcome import Status
from distributary.derive import Earliest, Entity, Latest, Top, check, rows_of
from distributary.derive.delta import size_of
from distributary.derive.reader import DerivedTable
from distributary.errors import ConfigError
from tests.replaced import replace
from tests.scheduler.branches import BRANCHES
from tests.scheduler.runs import play
from tests.unit.records import change
from tests.unit.test_ledger import World, edit, gone, order

ORDER = Entity(name="order", keys=("user_id",), attributes=("day", "total", "tags", "when"))
KEYS = {"of": ORDER, "pk": "T", "sk": "{day}", "by": "total"}
BEST = Top(name="best", n=3, **KEYS, rename={"user_id": "user"})
WORST = Top(name="worst", n=3, **{**KEYS, "pk": "W"}, least=True, into="worst", rename={"user_id": "user"})
RANKED = Top(name="ranked", n=2, **KEYS, rows=True, rename={"user_id": "user"})


def sold(place, user, total):
    return order(place, user, total={"N": str(total)})


def page(world, name="best", **asked):
    reader = DerivedTable(world.service, "derived", [view.declared for view in world.views])[name]
    return reader.top(day="mon", **asked)


def shown(world, name="best"):
    return [entry["user"] for entry in page(world, name).rows]


def of(*totals):
    """A world with orders of u-0, u-1 and so on."""
    world = World(BEST, WORST)
    world.deliver(*(sold(n, f"u-{n}", total) for n, total in enumerate(totals)))
    return world


def test_the_first_entries_of_a_group_are_in_its_row_in_order():
    world = of(5, 9, 5, 1, 7)
    assert world.rows() == {
        ("T", "mon"): {"top": [{"user": "u-1"}, {"user": "u-4"}, {"user": "u-2"}]},
        ("W", "mon"): {"worst": [{"user": "u-3"}, {"user": "u-0"}, {"user": "u-2"}]},
    }


@pytest.mark.parametrize("left", list(permutations(range(5), 3)), ids=str)
def test_what_follows_takes_the_place_of_an_entry_that_leaves(left):
    world = of(1, 2, 3, 4, 5)
    stay = [at for at in range(5) if at not in left]
    world.deliver(*(gone(10 + at, f"u-{at}") for at in left))
    assert shown(world) == [f"u-{at}" for at in reversed(stay)]
    assert shown(world, "worst") == [f"u-{at}" for at in stay]


@pytest.mark.parametrize("each", list(permutations(range(5), 2)), ids=str)
def test_an_entry_whose_value_changes_takes_its_new_place(each):
    one, other = each
    world = of(10, 20, 30, 40, 50)
    totals = {f"u-{at}": 10 * (at + 1) for at in range(5)} | {f"u-{one}": 35, f"u-{other}": 5}
    world.deliver(
        edit(10, f"u-{one}", total={"N": "35"}),
        edit(11, f"u-{other}", total={"N": "5"}),
    )
    expected = sorted(totals, key=totals.__getitem__, reverse=True)
    assert (shown(world), shown(world, "worst")) == (expected[:3], expected[:1:-1])


def test_a_group_without_items_has_no_row_and_no_member_is_left():
    world = of(1, 2, 3, 4)
    world.deliver(*(gone(10 + at, f"u-{at}") for at in range(4)))
    assert world.service.state["derived"] == {}


@pytest.mark.parametrize(
    ("totals", "change_", "queries"),
    [
        ((1, 2, 3, 4), lambda: sold(9, "u-9", 5), 0),
        ((1, 2, 3, 4), lambda: edit(9, "u-3", total={"N": "2.5"}), 0),
        ((1, 2, 3, 4), lambda: edit(9, "u-0", total={"N": "0"}), 0),
        ((1, 2, 3), lambda: gone(9, "u-1"), 0),
        ((1, 2, 3, 4), lambda: gone(9, "u-3"), 1),
        ((1, 2, 3, 4), lambda: edit(9, "u-3", total={"N": "0"}), 1),
    ],
    ids=["comes", "moves within", "stays behind", "nothing follows", "leaves", "falls behind"],
)
def test_members_are_queried_only_where_one_may_follow(totals, change_, queries):
    world = World(BEST)
    world.deliver(*(sold(n, f"u-{n}", total) for n, total in enumerate(totals)))
    world.service.calls.clear()
    assert world.statuses(change_()) == [Status.APPLIED]
    assert world.service.calls["Query"] == queries


def test_lines_of_an_order_with_an_equal_value_are_entries_each():
    view = Top(name="lines", n=9, of=ORDER, pk="T", sk="{day}", by="total", each="tags", compute={"tag": _tag})
    world = World(view)
    world.deliver(order(1, "u", tags={"L": [{"S": "a"}, {"S": "b"}, {"S": "a"}]}))
    assert [entry["tag"] for entry in page(world, "lines").rows] == ["a", "b", "a"]
    world.deliver(edit(2, "u", total={"N": "1"}, tags={"L": [{"S": "b"}]}))
    assert [entry["tag"] for entry in page(world, "lines").rows] == ["b"]
    world.deliver(gone(3, "u"))
    assert world.service.state["derived"] == {}


def _tag(item):
    return item["each"]


def test_entries_that_are_rows_are_read_page_by_page():
    world = World(RANKED)
    world.deliver(*(sold(n, f"u-{n}", n) for n in range(5)))
    assert world.rows() == {("T", "mon"): {}}
    first = page(world, "ranked")
    assert [entry["user"] for entry in first.rows] == ["u-4", "u-3"]
    second = page(world, "ranked", start=first.next, limit=10, consistent=True)
    assert ([entry["user"] for entry in second.rows], second.next) == (["u-2", "u-1", "u-0"], None)


def test_a_group_that_is_not_there_has_no_entries():
    for view in (BEST, RANKED):
        assert page(World(view), view.name) == page(of(), "best")


@pytest.mark.parametrize(
    ("view", "asked", "message"),
    [
        (Latest(name="v", of=ORDER, pk="T", sk="{day}", by="when"), {}, "view 'v' is no Top: read it with get"),
        (BEST, {"start": "x"}, "view 'best' shows a list, which has one page: leave out start"),
        (BEST, {"limit": 0}, "limit is 0: give at least 1"),
        (RANKED, {"start": "?"}, "start is not of this query: give the 'next' of its page before"),
    ],
)
def test_what_cannot_be_read_is_said(view, asked, message):
    world = World(view)
    world.deliver(sold(1, "u", 1))
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        page(world, view.name, **asked)


def test_earliest_shows_the_next_when_the_first_goes():
    world = World(Earliest(name="first", of=ORDER, pk="F", sk="F", by="when", rename={"user_id": "user"}))
    world.deliver(*(order(n, f"u-{n}", when={"N": str(n)}) for n in range(5)))
    world.deliver(gone(9, "u-0"), gone(10, "u-1"))
    assert world.rows() == {("F", "F"): {"user": "u-2"}}


def test_an_entry_of_which_n_do_not_fit_into_a_row_is_parked():
    world = World(Top(name="best", n=100, of=ORDER, pk="T", sk="{day}", by="total", keep=("tags",)))
    large, fits = world.deliver(order(1, "u-1", tags={"SS": ["x" * 4000]}), order(2, "u-2", tags={"SS": ["x" * 2000]}))
    assert (large.status, fits.status) == (Status.PARKED, Status.APPLIED)
    assert large.cause == (
        "view 'best': an entry of 'top' would have about 4016 bytes, and 100 fit into a row with 2968 each: "
        "keep less, lower n, or set rows=True"
    )


@pytest.mark.parametrize(("more", "status"), [(0, Status.APPLIED), (1, Status.PARKED)])
def test_an_entry_may_have_exactly_the_bytes_that_fit(more, status):
    most = 2968 - size_of({"day": {"S": ""}})
    world = World(Top(name="best", n=100, of=ORDER, pk="T", sk="ALL", by="total", keep=("day",)))
    (end,) = world.deliver(order(1, "u-1", day={"S": "x" * (most + more)}))
    assert end.status is status, end.cause


def test_entries_that_are_rows_need_not_fit_into_one():
    world = World(replace(RANKED, n=50, rename={"tags": "note"}))
    (end,) = world.deliver(order(1, "a", tags={"S": "x" * 20_000}))
    assert end.status is Status.APPLIED, end.cause
    assert [len(entry["note"]) for entry in page(world, "ranked").rows] == [20_000]


def test_an_item_without_a_value_to_be_ranked_by_is_no_entry():
    world = World(BEST)
    ends = world.statuses(sold(1, "u-1", 5), change(2, user="u-2", new={"day": {"S": "mon"}}))
    assert (shown(world), Status.PARKED in ends) == (["u-1"], False)


def test_a_list_with_another_n_is_right_after_the_next_write_of_its_group():
    world = of(1, 2, 3, 4, 5)
    for n in (5, 2):
        wider = Top(name="best", n=n, **KEYS, rename={"user_id": "user"})
        later = World(wider)
        later.service.state.update(world.service.state)
        later.deliver(edit(20 + n, "u-4", total={"N": str(6 + n)}))
        assert shown(later) == ["u-4", "u-3", "u-2", "u-1", "u-0"][:n]


@pytest.mark.parametrize("before", [Latest, Earliest])
def test_a_latest_that_becomes_a_top_shows_its_list_with_the_next_write(before):
    world = World(before(name="best", **KEYS, rename={"user_id": "user"}))
    world.deliver(*(sold(n, f"u-{n}", n) for n in range(5)))
    later = World(BEST)
    later.service.state.update(world.service.state)
    later.deliver(gone(9, "u-2"))
    assert later.rows() == {("T", "mon"): {"top": [{"user": "u-4"}, {"user": "u-3"}, {"user": "u-1"}]}}


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"n": 0}, "n is 0: give 1 to 100"),
        ({"n": 101}, "n is 101: give 1 to 100"),
        ({"rename": {}}, "its entries would show nothing: give it keep, rename or compute"),
        ({"into": "sk"}, "into is 'sk': give a name that is none of"),
        ({"keep": ("day",), "rename": {"total": "day"}}, "writes 'day' twice"),
        ({"by": "totl"}, "names 'totl', which entity 'order' does not declare"),
    ],
)
def test_a_top_that_is_wrong_is_refused_at_load(options, fault):
    with pytest.raises(ConfigError, match=f"view 'best': {fault}"):
        check([Top(**{"name": "best", "n": 3, **KEYS, "rename": {"user_id": "user"}, **options})])


def test_views_over_a_top_read_its_list():
    assert rows_of(BEST).attributes == ("top", "expires_at")
    with pytest.raises(ConfigError, match="view 'ranked' has rows=True"):
        rows_of(RANKED)


@pytest.mark.parametrize(
    ("change_", "writes"),
    [
        (lambda: sold(9, "u-9", 5), 6),
        (lambda: edit(9, "u-1", total={"N": "7"}), 8),
        (lambda: order(9, "u-1", total={"N": "2"}, day={"S": "tue"}), 10),
        (lambda: gone(9, "u-3"), 6),
    ],
    ids=["insert", "by changes", "moves", "delete"],
)
@pytest.mark.parametrize("view", [BEST, RANKED], ids=["list", "rows"])
def test_a_change_costs_the_write_units_that_the_docs_say(view, change_, writes):
    world = World(view)
    world.deliver(*(sold(n, f"u-{n}", n) for n in range(5)))
    world.service.write_units = 0
    assert world.statuses(change_()) == [Status.APPLIED]
    assert world.service.write_units == writes


def test_a_list_that_does_not_look_for_what_follows_is_seen_to_be_wrong():
    """The schedules of views find it."""
    blind = mock.patch("distributary.derive.groups._may_follow", return_value=False)
    with blind, pytest.raises(AssertionError):
        play(BRANCHES["derive-top"], range(50))
