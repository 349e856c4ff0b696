"""What an item contributed is replaced exactly once, in few calls, and what cannot be written stands alone."""

from contextlib import nullcontext
from decimal import Decimal
from itertools import pairwise, permutations

import pytest
from botocore.exceptions import ClientError

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, SUPERSEDED, TIED, Status
from distributary.derive import Aggregate, Entity, Latest, Projection, type_is
from distributary.derive.branch import unchecked
from distributary.derive.contribution import average, shard_of, shards_of
from distributary.derive.delta import Edge, GroupDelta, Shape, fold, member_key, typed_key
from distributary.derive.format import STATE
from distributary.derive.groups import REVISION, Group, NewGroupState, Torn, advance
from distributary.derive.reader import ViewReader
from distributary.derive.transact_items import group_actions
from distributary.stream import version as versions
from distributary.stream.codec import decode_item
from tests.fakes.answers import refusal
from tests.fakes.built import DERIVED, derive
from tests.fakes.kinesis import MICROS
from tests.replaced import replace
from tests.unit.records import change
from tests.world import World as Followed

ORDER = Entity(name="order", keys=("user_id",), attributes=("day", "total", "tags", "when"))
SALES = Aggregate(
    name="sales",
    of=ORDER,
    pk="SALES#{day}",
    sk="TOTAL",
    count="orders",
    sum={"revenue": "total"},
)
TAGS = Projection(name="tags", of=ORDER, pk="TAG#{each}", sk="{user_id}", each="tags")


class World(Followed):
    """A branch on tables that only it has written, with the pauses that it took."""

    schemas = DERIVED

    def __init__(self, *views, client=lambda service: service):
        super().__init__()
        self.pauses = []
        longest = {"sleep": self.pauses.append, "jitter": lambda low, high: high}
        self.branch = replace(derive(views, client(self.service), **longest), check_tables=unchecked)
        self.views = self.branch.views

    def rows(self):
        shown = {}
        for key, row in self.service.state["derived"].items():
            if not key[0].startswith("%"):
                shown[key] = {n: v for n, v in decode_item(row).items() if n[0] != "_" and n not in ("pk", "sk")}
        return shown


class Refusing:
    """Refuses transactions that `refuses` names a code for, action by action."""

    def __init__(self, service, refuses, times=10**9):
        self.service, self.refuses, self.times = service, refuses, times

    def __getattr__(self, operation):
        return getattr(self.service, operation)

    def transact_write_items(self, **arguments):
        codes = [self.refuses(action) for action in arguments["TransactItems"]]
        if any(codes) and self.times:
            self.times -= 1
            reasons = [{"Code": code or "None"} for code in codes]
            raise refusal("TransactWriteItems", "TransactionCanceledException", "no", CancellationReasons=reasons)
        return self.service.transact_write_items(**arguments)


def order(place, user, **attributes):
    return change(place, user=user, new={"day": {"S": "mon"}, "total": {"N": "1"}, **attributes})


def edit(place, user, **attributes):
    return change(place, "MODIFY", user=user, new={"day": {"S": "mon"}, **attributes}, old={"day": {"S": "mon"}})


def gone(place, user):
    return change(place, "REMOVE", user=user, old={"day": {"S": "mon"}})


PROFILE = Projection(
    name="profile", of=ORDER, pk="P", sk="{user_id}", keep=("day",), where=lambda o: o.get("total") != 0
)
EACH_VIEW = [
    SALES,
    TAGS,
    PROFILE,
    Latest(name="last", of=ORDER, pk="LAST", sk="{day}", by="when", keep=("total",)),
    Aggregate(name="some", of=ORDER, pk="SOME", sk="{day}", count="n", each="tags", max={"most": "total"}),
]


@pytest.mark.parametrize("view", EACH_VIEW, ids=lambda view: view.name)
def test_an_update_that_leaves_a_view_alone_makes_no_request(view):
    world = World(view)
    item = {"day": {"S": "mon"}, "total": {"N": "5"}, "tags": {"SS": ["a", "b"]}, "when": {"N": "1"}}
    assert world.statuses(change(1, user="u", new=item)) == [Status.APPLIED]
    rows, calls = world.rows(), dict(world.service.calls)
    again = {**item, "tags": {"SS": ["b", "a"]}, "seen": {"N": "1"}}
    assert world.statuses(change(3, "MODIFY", user="u", new=again, old=item)) == [Status.IGNORED]
    assert (world.rows(), world.service.calls) == (rows, calls)


@pytest.mark.parametrize("view", EACH_VIEW, ids=lambda view: view.name)
@pytest.mark.parametrize("order_", list(permutations(range(4))), ids=str)
def test_updates_that_change_nothing_may_come_in_any_order(view, order_):
    """What the third change leaves alone, the second one brings, late or early; the fourth takes it."""
    world, other = World(view), World(view)
    first = {"day": {"S": "mon"}, "total": {"N": "5"}, "tags": {"SS": ["a"]}, "when": {"N": "1"}}
    second = {"day": {"S": "tue"}, "total": {"N": "7"}, "tags": {"SS": ["b"]}, "when": {"N": "2"}}
    third, fourth = {**second, "seen": {"N": "1"}}, {**second, "total": {"N": "9"}, "seen": {"N": "2"}}
    images = [None, first, second, third, fourth]
    history = [
        change(at, "MODIFY" if old else "INSERT", user="u", new=new, **({"old": old} if old else {}))
        for at, (old, new) in enumerate(pairwise(images), 1)
    ]
    for at in order_:
        world.deliver(history[at])
    other.deliver(change(9, user="u", new=fourth))
    assert world.rows() == other.rows()


def test_an_insert_that_does_not_fit_keeps_the_tombstone_of_its_batchs_delete():
    """It supersedes the delete. The item's own insert comes late, and must not bring back what was deleted."""
    of = Entity(name="order", keys=("user_id",), attributes=("day",), where=type_is("order"))
    world = World(Aggregate(name="sales", of=of, pk="SALES#{day}", sk="TOTAL", count="orders"))
    image = {"day": {"S": "mon"}, "type": {"S": "order"}}
    world.deliver(change(2, "REMOVE", user="u", old=image), change(3, user="u", new={"type": {"S": "visit"}}))
    world.deliver(change(0, user="u", new=image))
    assert world.rows() == {}


def test_a_thousand_changes_of_ten_items_cost_ten_items_writes():
    world = World(SALES)
    changes = [edit(n, f"u-{n % 10}", total={"N": str(n)}) for n in range(1000)]
    assert world.statuses(*changes).count(Status.APPLIED) == 10
    assert world.rows() == {("SALES#mon", "TOTAL"): {"orders": 10, "revenue": sum(range(990, 1000))}}
    assert world.service.calls == {"BatchGetItem": 2, "TransactWriteItems": 1}
    assert world.service.write_units == 2 * 11


def test_a_thousand_items_of_one_group_cost_one_update_of_it_per_transaction():
    world = World(SALES)
    world.deliver(*(order(n, f"u-{n}") for n in range(1000)))
    assert world.rows() == {("SALES#mon", "TOTAL"): {"orders": 1000, "revenue": 1000}}
    assert world.service.calls == {"BatchGetItem": 10 + 1, "TransactWriteItems": 11}
    assert world.service.write_units == 2 * (1000 + 11)


def test_groups_that_share_no_item_share_transactions():
    world = World(SALES)
    world.deliver(*(order(n, f"u-{n}", day={"S": f"d{n}"}) for n in range(100)))
    assert world.service.calls["TransactWriteItems"] == 2


def test_an_edit_that_changes_no_amount_writes_the_ledger_row_and_nothing_else():
    world = World(SALES)
    world.deliver(order(1, "u"))
    before = world.service.write_units
    assert world.statuses(edit(2, "u", total={"N": "1.0"})) == [Status.APPLIED]
    assert world.service.write_units == before + 2


def test_a_row_that_stays_as_it_is_is_not_written_again():
    world = World(TAGS)
    world.deliver(order(1, "u", tags={"SS": ["a", "b", "c"]}))
    before = world.service.write_units
    world.deliver(edit(2, "u", tags={"SS": ["b", "c", "d"]}))
    assert sorted(pk for pk, _ in world.rows()) == ["TAG#b", "TAG#c", "TAG#d"]
    assert world.service.write_units == before + 2 * 3


def test_a_member_that_stays_as_it_is_is_not_written_again():
    world = World(
        Aggregate(name="s", of=ORDER, pk="S", sk="S", count="n", sum={"sum": "total"}, distinct={"times": "when"})
    )
    world.deliver(order(1, "u", when={"N": "7"}))
    before = world.service.write_units
    world.deliver(edit(2, "u", total={"N": "5"}, when={"N": "7"}))
    assert world.rows() == {("S", "S"): {"n": 1, "sum": 5, "times": 1}}
    assert world.service.write_units == before + 2 * 2, "the ledger row and the group's"


@pytest.mark.parametrize("view", [SALES, TAGS], ids=["sum", "rows"])
def test_a_ledger_row_of_nothing_lists_nothing(view):
    world = World(view)
    world.deliver(order(1, "u", tags={"SS": ["a"]}))
    world.deliver(gone(2, "u"))
    (row,) = world.service.state["ledger"].values()
    assert not row.keys() & {"rows", "shares"}


def test_a_delete_before_its_insert_leaves_a_tombstone_that_the_insert_meets():
    world = World(SALES)
    assert world.statuses(gone(2, "u")) == [Status.APPLIED]
    (row,) = world.service.state["ledger"].values()
    assert row["expires_at"] == {"N": str(1000 + 7 * 86_400)}
    assert world.statuses(order(1, "u")) == [Status.SUPERSEDED]
    assert world.rows() == {}


def test_a_change_that_comes_again_is_superseded_and_written_nowhere():
    world = World(SALES)
    assert world.statuses(order(1, "u")) == [Status.APPLIED]
    before = world.service.write_units
    assert world.statuses(order(1, "u")) == [Status.SUPERSEDED]
    assert world.service.write_units == before


@pytest.mark.parametrize(
    ("position", "later", "total", "other"),
    [(MICROS, 0, "7", TIED), (MICROS, 1, "7", SUPERSEDED), (MICROS, 0, "1", SUPERSEDED), (10**25, 0, "7", SUPERSEDED)],
)
def test_only_two_contents_of_one_moment_are_a_tie_within_a_batch(position, later, total, other):
    """A stream's position is no moment."""
    world, at = World(SALES), versions.of(0, position)
    changes = [order(1, "a", total={"N": total})._replace(version=at), order(2, "a")._replace(version=at + later)]
    assert set(world.deliver(*changes)) == {APPLIED, other}


def test_an_item_that_comes_again_takes_the_expiry_off_its_ledger_row():
    world = World(SALES)
    world.deliver(gone(2, "u"))
    world.deliver(order(3, "u"))
    (row,) = world.service.state["ledger"].values()
    assert "expires_at" not in row


def test_sums_are_exact_to_38_digits():
    world = World(SALES)
    world.deliver(order(1, "a", total={"N": "12345678901234567890123456789012345678"}))
    world.deliver(order(2, "b", total={"N": "-1"}))
    assert world.rows()["SALES#mon", "TOTAL"]["revenue"] == Decimal("12345678901234567890123456789012345677")


def test_only_the_change_that_overflows_a_sum_is_parked():
    world = World(SALES)
    huge = {"N": "9" * 38}
    ends = world.deliver(*(order(n, f"u-{n}", total=huge if n == 7 else {"N": "1"}) for n in range(20)))
    assert [n for n, end in enumerate(ends) if end.status is Status.PARKED] == [7]
    assert "view 'sales'" in ends[7].cause
    assert "at most 38 digits" in ends[7].cause
    assert world.rows()["SALES#mon", "TOTAL"] == {"orders": 19, "revenue": 19}


def test_a_sum_over_what_is_no_number_is_parked_by_name():
    world = World(SALES)
    (end,) = world.deliver(order(1, "u", total={"S": "much"}))
    assert (end.status, end.cause) == (
        Status.PARKED,
        "view 'sales': sum 'revenue': 'total' is str, and only numbers add up",
    )


def test_a_boolean_is_no_number_to_add_up():
    (end,) = World(SALES).deliver(order(1, "u", total={"BOOL": True}))
    assert (end.status, "'total' is bool, and only numbers add up" in end.cause) == (Status.PARKED, True)


@pytest.mark.parametrize(
    ("figures", "row"),
    [
        ({"count_where": {"large": lambda item: item["total"] > 3}}, {"n": 2, "large": 1}),
        ({"sum_where": {"large": ("total", lambda item: item["total"] > 3)}}, {"n": 2, "large": 5}),
    ],
    ids=["count_where", "sum_where"],
)
def test_a_figure_of_some_items_alone_is_kept(figures, row):
    world = World(Aggregate(name="all", of=ORDER, pk="ALL", sk="ALL", count="n", **figures))
    world.deliver(order(1, "a", total={"N": "2"}), order(2, "b", total={"N": "5"}))
    assert world.rows() == {("ALL", "ALL"): row}


def test_an_item_without_the_attribute_is_in_no_average():
    world = World(Aggregate(name="all", of=ORDER, pk="ALL", sk="ALL", count="n", average={"mean": "total"}))
    world.deliver(order(1, "a", total={"N": "4"}), change(2, user="b", new={"day": {"S": "mon"}}))
    assert world.rows() == {("ALL", "ALL"): {"n": 2, "mean": 4}}


@pytest.mark.parametrize(
    ("view", "says"),
    [
        (Latest(name="last", of=ORDER, pk="ALL", sk="ALL", by="day"), "by: "),
        (Aggregate(name="all", of=ORDER, pk="ALL", sk="ALL", min={"least": "day"}), "'least': "),
    ],
)
def test_a_value_that_is_too_long_to_be_sorted_by_is_named(view, says):
    (end,) = World(view).deliver(order(1, "a", day={"S": "x" * 3000}))
    assert (end.status, says in end.cause) == (Status.PARKED, True), end.cause


def test_a_shard_whose_key_is_too_long_is_parked():
    """The group's key itself may be as long as DynamoDB takes."""
    day = "x" * (2048 - len("WIDE#"))
    alone = Aggregate(name="wide", of=ORDER, pk="WIDE#{day}", sk="TOTAL", count="n")
    for view, status in ((alone, Status.APPLIED), (replace(alone, shards=4), Status.PARKED)):
        (end,) = World(view).deliver(order(1, "a", day={"S": day}))
        assert end.status is status, end.cause
    assert "the shard's key would have 2051 bytes, and may have 2048" in end.cause


def test_a_group_without_shards_is_the_one_row_of_its_key():
    assert shards_of(SALES, ("SALES#mon", "TOTAL")) == [("SALES#mon", "TOTAL")]
    assert [pk for pk, _ in shards_of(replace(SALES, shards=2), ("A", "B"))] == ["A%s0", "A%s1"]


@pytest.mark.parametrize(("more", "status"), [(0, Status.APPLIED), (1, Status.PARKED)])
def test_a_shards_key_may_have_exactly_the_bytes_that_a_key_may_have(more, status):
    view = Aggregate(name="wide", of=ORDER, pk="WIDE#{day}", sk="TOTAL", count="n", shards=4)
    (end,) = World(view).deliver(order(1, "a", day={"S": "x" * (2048 - len("WIDE#%s0") + more)}))
    assert end.status is status, end.cause


@pytest.mark.parametrize(
    ("total", "many", "mean"),
    [("1E-130", 1, "1E-130"), ("-1E-129", 10, "-1E-130"), ("1E-130", 2, "0"), ("1", 3, "0." + "3" * 38)],
)
def test_an_average_that_is_too_small_for_a_table_is_none_but_0(total, many, mean):
    assert average(Decimal(total), Decimal(many)) == Decimal(mean)


def test_a_sum_of_some_items_alone_may_add_up_what_a_function_answers():
    twice = {"twice": (lambda item: item["total"] * 2, lambda item: item["total"] > 3)}
    world = World(Aggregate(name="all", of=ORDER, pk="ALL", sk="ALL", count="n", sum_where=twice))
    world.deliver(order(1, "a", total={"N": "2"}), order(2, "b", total={"N": "5"}))
    assert world.rows() == {("ALL", "ALL"): {"n": 2, "twice": 10}}


def test_a_sum_over_a_function_that_answers_no_number_says_so():
    view = Aggregate(name="all", of=ORDER, pk="ALL", sk="ALL", sum={"total": lambda item: "much"})
    (end,) = World(view).deliver(order(1, "a"))
    assert end.cause == "view 'all': sum 'total': the function's answer is str, and only numbers add up"


def test_an_empty_group_has_no_row_and_leaves_no_member():
    world = World(
        Aggregate(name="all", of=ORDER, pk="ALL", sk="ALL", count="n", min={"least": "total"}, distinct={"days": "day"})
    )
    world.deliver(order(1, "a"), order(2, "b", total={"N": "5"}))
    assert world.rows() == {("ALL", "ALL"): {"n": 2, "least": 1, "days": 1}}
    world.deliver(gone(3, "a"))
    assert world.rows() == {("ALL", "ALL"): {"n": 1, "least": 5, "days": 1}}
    world.deliver(gone(4, "b"))
    assert world.service.state["derived"] == {}


def test_latest_shows_the_next_when_the_newest_goes():
    world = World(Latest(name="latest", of=ORDER, pk="L", sk="L", by="when", rename={"user_id": "user"}))
    world.deliver(*(order(n, f"u-{n}", when={"N": str(n)}) for n in range(5)))
    world.deliver(gone(9, "u-4"), gone(10, "u-3"))
    assert world.rows() == {("L", "L"): {"user": "u-2"}}


def test_latest_counts_an_item_once_whatever_else_of_it_changes():
    world = World(Latest(name="latest", of=ORDER, pk="L", sk="L", by="when", rename={"total": "paid"}))
    world.deliver(order(1, "u", when={"N": "1"}))
    world.deliver(edit(2, "u", when={"N": "1"}, total={"N": "2"}))
    assert world.rows() == {("L", "L"): {"paid": 2}}
    world.deliver(gone(3, "u"))
    assert world.service.state["derived"] == {}


def test_latest_by_a_function_shows_the_item_for_which_it_is_greatest():
    def least(item):
        return -item["when"] if "when" in item else None

    world = World(Latest(name="first", of=ORDER, pk="F", sk="F", by=least, rename={"user_id": "user"}))
    world.deliver(*(order(n, f"u-{n}", when={"N": str(n)}) for n in (2, 1, 3)), order(4, "u-4"))
    assert world.rows() == {("F", "F"): {"user": "u-1"}}


def test_latest_by_a_function_that_fails_is_parked():
    world = World(Latest(name="first", of=ORDER, pk="F", sk="F", by=lambda item: item["when"]))
    (end,) = world.deliver(order(1, "u"))
    assert (end.status, end.cause) == (Status.PARKED, "view 'first': 'by' raised KeyError")


def test_more_rows_than_an_item_may_have_are_parked():
    world = World(TAGS)
    (end,) = world.deliver(order(1, "u", tags={"SS": [f"t{n}" for n in range(1001)]}))
    assert end.status is Status.PARKED
    assert end.cause == "view 'tags': the item would have 1001 rows or groups, and may have 1000"


MANY = Aggregate(name="many", of=ORDER, pk="MANY#{each}", sk="N", each="tags", count="n", max={"most": "total"})


def tagged(letter, many):
    return {"day": {"S": "mon"}, "total": {"N": "5"}, "tags": {"SS": [f"{letter}{n}" for n in range(many)]}}


@pytest.mark.parametrize("view", [TAGS, MANY], ids=["rows", "groups"])
def test_more_than_a_transaction_holds_is_written_in_steps(view):
    world = World(view)
    before, after = (tagged(letter, 130) for letter in "ts")
    assert world.statuses(change(1, user="u", new=before)) == [Status.APPLIED]
    assert len(world.rows()) == 130
    world.service.calls.clear()
    assert world.statuses(change(2, "MODIFY", user="u", new=after, old=before)) == [Status.APPLIED]
    assert {pk.partition("#")[2][0] for pk, _ in world.rows()} == {"s"}
    assert world.service.calls["TransactWriteItems"] == (3 if view is TAGS else 6)
    assert world.statuses(change(3, "REMOVE", user="u", old=after)) == [Status.APPLIED]
    assert not world.service.state["derived"]
    (row,) = (row for (id,), row in world.service.state["ledger"].items() if id.startswith(view.name))
    assert set(row) == {"id", "version", "format", "expires_at"}


class CrashAfter(Refusing):
    """Dies after so many transactions."""

    def __init__(self, service, transactions):
        self.service, self.left = service, transactions

    def transact_write_items(self, **arguments):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return self.service.transact_write_items(**arguments)


class Meanwhile(Refusing):
    """Something else happens before the first transaction."""

    def __init__(self, service, does):
        self.service, self.does = service, [does]

    def transact_write_items(self, **arguments):
        while self.does:
            self.does.pop()()
        return self.service.transact_write_items(**arguments)


def test_two_invocations_that_go_on_from_one_step_count_once():
    """Both have read what the first step left; the ledger's row has the same version after each step."""
    first, second = tagged("a", 70), tagged("b", 120)
    changed = change(2, "MODIFY", user="u", new=second, old=first)
    world, right = World(MANY), World(MANY)
    world.deliver(change(1, user="u", new=first))
    crashing, other = World(MANY, client=lambda service: CrashAfter(service, 1)), World(MANY)
    late = World(MANY, client=lambda service: Meanwhile(service, lambda: other.deliver(changed)))
    for each in (crashing, other, late):
        each.service.state = world.service.state
    with pytest.raises(KeyboardInterrupt):
        crashing.deliver(changed)
    assert late.statuses(changed) == [Status.SUPERSEDED]
    right.deliver(change(2, user="u", new=second))
    assert world.rows() == right.rows()


def test_a_step_that_has_grown_is_planned_again(monkeypatch):
    """As a group does whose new incarnation another program begins to build after the step was planned."""

    def grows():
        monkeypatch.setattr("distributary.derive.transaction_queue.ACTIONS", 50)
        raise refusal("TransactWriteItems", "TransactionInProgressException", "busy")

    world = World(MANY, client=lambda service: Meanwhile(service, grows))
    assert world.statuses(change(1, user="u", new=tagged("a", 120))) == [Status.APPLIED]
    assert len(world.rows()) == 120


def test_an_item_whose_members_of_one_group_fill_a_transaction_is_parked():
    kinds = Aggregate(name="kinds", of=ORDER, pk="ALL", sk="ALL", each="tags", distinct={"kinds": "each"})
    world = World(kinds)
    large, small = world.deliver(change(1, user="u", new=tagged("a", 120)), change(2, user="v", new=tagged("a", 9)))
    assert (large.status, small.status) == (Status.PARKED, Status.APPLIED)
    assert large.cause == "view 'kinds': the change would take 122 actions, and a transaction holds 100"
    assert world.rows() == {("ALL", "ALL"): {"kinds": 9}}


def test_a_transaction_of_several_changes_that_has_grown_is_divided(monkeypatch):
    def grows():
        monkeypatch.setattr("distributary.derive.transaction_queue.ACTIONS", 50)
        raise refusal("TransactWriteItems", "TransactionInProgressException", "busy")

    world = World(SALES, client=lambda service: Meanwhile(service, grows))
    assert set(world.statuses(*(order(n, f"u-{n}") for n in range(60)))) == {Status.APPLIED}
    assert world.rows() == {("SALES#mon", "TOTAL"): {"orders": 60, "revenue": 60}}
    assert world.service.calls["TransactWriteItems"] == 2


@pytest.mark.parametrize("done", range(6))
@pytest.mark.parametrize("then", ["again", "newer", "older", "gone"])
def test_steps_that_a_crash_broke_off_are_gone_on_with(done, then):
    """By the same change, by a newer one, or after one that came late; an older one waits for it."""
    other = World(MANY)
    first, second, third = tagged("a", 70), tagged("b", 120), tagged("c", 90)
    history = [
        change(1, user="u", new=first),
        change(2, "MODIFY", user="u", new=second, old=first),
        change(3, "MODIFY", user="u", new=third, old=second),
        change(4, "REMOVE", user="u", old=third),
    ]
    world = World(MANY)
    world.deliver(history[0])
    crashing = World(MANY, client=lambda service: CrashAfter(service, done))
    crashing.service.state = world.service.state
    with pytest.raises(KeyboardInterrupt) if done < 4 else nullcontext():
        crashing.deliver(history[1])
    if then == "older":
        assert world.statuses(history[0]) == [Status.SUPERSEDED]
    rest = {"again": history[1:2], "newer": history[2:3], "older": history[1:2], "gone": history[3:]}[then]
    world.deliver(*rest)
    other.deliver(*rest)
    assert world.rows() == other.rows()
    assert world.statuses(history[1]) == [Status.SUPERSEDED]
    assert world.rows() == other.rows()


def read_group(world, **group):
    return ViewReader(world.service, "derived", world.views[0]).get(group)


def test_the_shards_of_a_group_add_up():
    views = Aggregate(
        name="hot", of=ORDER, pk="HOT", sk="{day}", count="n", sum={"s": "total"}, max={"m": "total"}, shards=4
    )
    world = World(views)
    world.deliver(*(order(n, f"u-{n}", total={"N": str(n)}) for n in range(100)))
    assert len(world.rows()) == 4
    assert read_group(world, day="mon") == {"day": "mon", "n": 100, "s": 4950, "m": 99}
    assert read_group(world, day="tue") is None


def test_shards_without_a_figure_add_nothing_to_it():
    """An item without the attribute has its shard to itself."""
    view = Aggregate(name="hot", of=ORDER, pk="HOT", sk="{day}", count="n", min={"first": "when"}, shards=4)
    world = World(view)
    users = {shard_of(view, ("HOT", "mon"), f"user_id=S:{user}"): user for user in map(str, range(40))}
    (bare, *timed) = sorted(users.values())
    world.deliver(order(1, bare))
    assert read_group(world, day="mon") == {"day": "mon", "n": 1}
    world.deliver(*(order(n, each, when={"N": str(n)}) for n, each in enumerate(timed, 2)))
    assert read_group(world, day="mon") == {"day": "mon", "n": 4, "first": 2}


FIRST, LAST = Edge("a", False, "first"), Edge("b", True, "last")


def counted(edges, **members):
    """A group of two items, as it was read, with these members of the set `a`."""
    state = {"amounts": {"M": {"items": {"N": "2"}}}, "edges": {"M": {name: {"S": at} for name, at in edges.items()}}}
    row = {STATE: {"M": state}, REVISION: {"S": "r"}, "first": {"N": "1"}, "last": {"N": "1"}}
    return Group(row, {("a", at): {"items": {"N": many}, "value": {"N": at}} for at, many in members.items()})


def advanced(group, members, neighbours=()):
    shape = Shape(lambda amounts, different: {}, (FIRST, LAST))
    delta = GroupDelta({"sum:total": Decimal()}, members)
    return advance("v", ("G", "G"), shape, group, delta, {FIRST: neighbours}, "s").row


def test_a_member_that_goes_takes_no_edge_of_another_set_along():
    group = counted({"a:first": "1", "b:last": "1"}, **{"1": "1"})
    row = advanced(group, {("a", "1"): (-1, None)}, [("1", {"N": "1"}), ("2", {"N": "2"})])
    assert (row["first"], row["last"]) == ({"N": "2"}, {"N": "1"})
    assert row[STATE]["M"]["edges"] == {"M": {"a:first": {"S": "2"}, "b:last": {"S": "1"}}}


def test_a_figure_of_nothing_is_not_kept():
    row = advanced(counted({"a:first": "1"}), {})
    assert row[STATE]["M"]["amounts"] == {"M": {"items": {"N": "2"}}}


def test_a_member_that_is_counted_too_seldom_is_never_counted_below_none():
    with pytest.raises(Torn, match="counts a member less often"):
        advanced(counted({}, **{"1": "1"}), {("a", "1"): (-2, None)})


def test_of_many_changes_of_a_member_its_value_is_the_last_that_is_known():
    member = "totals", "1"
    one, two = {"N": "1"}, {"N": "2"}
    deltas = [GroupDelta({}, {member: each}) for each in ((1, one), (1, two), (-1, None))]
    assert fold(deltas).members == {member: (1, two)}


def user_7(action):
    return "sales|users/user_id=S:u-7" in repr(action)


def test_what_the_service_will_never_accept_is_parked_alone():
    world = World(SALES, client=lambda s: Refusing(s, lambda a: "ValidationError" if user_7(a) else None))
    statuses = world.statuses(*(order(n, f"u-{n}") for n in range(20)))
    assert [n for n, status in enumerate(statuses) if status is Status.PARKED] == [7]
    assert world.rows()["SALES#mon", "TOTAL"]["orders"] == 19


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_busy_row_is_tried_again_and_keeps_nobody_else_waiting(code):
    world = World(SALES, client=lambda s: Refusing(s, lambda a: code if user_7(a) else None))
    statuses = world.statuses(*(order(n, f"u-{n}") for n in range(20)))
    assert [n for n, status in enumerate(statuses) if status is Status.FAILED] == [7]
    assert world.rows()["SALES#mon", "TOTAL"]["orders"] == 19
    assert max(world.pauses) <= 2.0


def test_a_row_that_is_busy_for_a_moment_is_written_in_the_end():
    world = World(SALES, client=lambda s: Refusing(s, lambda a: "TransactionConflict" if user_7(a) else None, times=3))
    assert set(world.statuses(*(order(n, f"u-{n}") for n in range(20)))) == {Status.APPLIED}


class Refused(Refusing):
    """Refuses whole requests with an error of its own."""

    def transact_write_items(self, **arguments):
        if any(map(self.refuses, arguments["TransactItems"])):
            raise ClientError({"Error": {"Code": self.times, "Message": "no"}}, "TransactWriteItems")
        return self.service.transact_write_items(**arguments)


@pytest.mark.parametrize(
    ("code", "status"),
    [("ValidationException", Status.PARKED), ("ThrottlingException", Status.FAILED)],
)
def test_a_request_that_is_refused_whole_is_divided_to_find_the_culprit(code, status):
    world = World(SALES, client=lambda s: Refused(s, user_7, code))
    statuses = world.statuses(*(order(n, f"u-{n}") for n in range(20)))
    assert [n for n, each in enumerate(statuses) if each is status] == [7]
    assert world.rows()["SALES#mon", "TOTAL"]["orders"] == 19


def test_a_missing_permission_fails_at_once():
    world = World(SALES, client=lambda s: Refused(s, user_7, "AccessDeniedException"))
    (end,) = world.deliver(order(1, "u-7"))
    assert end.status is Status.FAILED
    assert "grant the function's role" in end.cause
    assert world.pauses == []


def test_nothing_begins_after_the_deadline():
    world = World(SALES)
    (end,) = world.branch.apply([order(1, "u")], Deadline(0.0))
    assert end.status is Status.FAILED
    assert world.service.calls == {}


def test_a_row_that_is_no_groups_is_never_overwritten():
    world = World(SALES)
    foreign = {"pk": {"S": "SALES#mon"}, "sk": {"S": "TOTAL"}, "mine": {"S": "yes"}}
    world.service.put_item(TableName="derived", Item=foreign)
    (end,) = world.deliver(order(1, "u"))
    assert (end.status, "belongs to no group" in end.cause) == (Status.PARKED, True)
    assert world.rows() == {("SALES#mon", "TOTAL"): {"mine": "yes"}}


class Overtaken(Refusing):
    """Somebody else writes just before the first transaction of ours."""

    def transact_write_items(self, **arguments):
        if self.times:
            self.times = 0
            self.refuses()
        return self.service.transact_write_items(**arguments)


def test_a_group_that_moved_meanwhile_is_read_anew_and_added_to():
    other = World(SALES)
    world = World(SALES, client=lambda s: Overtaken(s, lambda: other.deliver(order(1, "b", total={"N": "2"})), 1))
    other.service.state = world.service.state
    other.deliver(order(1, "a"))
    assert world.statuses(order(2, "c"), order(3, "d")) == [Status.APPLIED] * 2
    assert world.rows() == {("SALES#mon", "TOTAL"): {"orders": 4, "revenue": 5}}


def test_a_group_that_came_meanwhile_is_read_anew_and_added_to():
    other = World(SALES)
    world = World(SALES, client=lambda s: Overtaken(s, lambda: other.deliver(order(1, "a", total={"N": "2"})), 1))
    other.service.state = world.service.state
    assert world.statuses(order(2, "b")) == [Status.APPLIED]
    assert world.rows() == {("SALES#mon", "TOTAL"): {"orders": 2, "revenue": 3}}


@pytest.mark.parametrize("before", [{}, {"items": {"N": "1"}, REVISION: {"S": "before"}}], ids=["absent", "there"])
@pytest.mark.parametrize("moved", ["TOTAL", "x"])
def test_a_group_and_each_member_are_written_only_as_they_were_read(before, moved):
    member = "tags", "x"
    keys = {"TOTAL": ("SALES#mon", "TOTAL"), "x": member_key("sales", ("SALES#mon", "TOTAL"), member)}
    service = World(SALES).service
    for name, key in keys.items():
        row = {"items": {"N": "2"}, REVISION: {"S": "moved"}} if name == moved else before
        if row:
            service.put_item(TableName="derived", Item={**typed_key(key), **row})
    read = Group(before, {member: before})
    actions = group_actions("sales", keys["TOTAL"], read, NewGroupState(None, {member: None}), "derived")
    with pytest.raises(ClientError, match="TransactionCanceledException"):
        service.transact_write_items(TransactItems=[dict(action.request) for action in actions])


def test_an_item_that_moved_meanwhile_is_decided_again():
    other = World(SALES)
    world = World(SALES, client=lambda s: Overtaken(s, lambda: other.deliver(edit(2, "a", total={"N": "7"})), 1))
    other.service.state = world.service.state
    assert world.statuses(order(1, "a"), order(3, "b")) == [Status.SUPERSEDED, Status.APPLIED]
    assert world.rows() == {("SALES#mon", "TOTAL"): {"orders": 2, "revenue": 8}}


class Between(Refusing):
    """Somebody else writes between our reading of the ledger and of the group."""

    def batch_get_item(self, **arguments):
        if "derived" in arguments["RequestItems"] and self.times:
            self.times = 0
            self.refuses()
        return self.service.batch_get_item(**arguments)

    def transact_write_items(self, **arguments):
        return self.service.transact_write_items(**arguments)


def test_a_change_is_never_parked_for_what_somebody_else_wrote_meanwhile():
    other = World(SALES)
    world = World(SALES, client=lambda s: Between(s, lambda: other.deliver(edit(2, "a", day={"S": "tue"})), 0))
    other.service.state = world.service.state
    world.deliver(order(1, "a"))
    world.branch.ledger.tables.client.times = 1
    assert world.statuses(edit(3, "a", day={"S": "wed"}, total={"N": "4"})) == [Status.APPLIED]
    assert world.rows() == {("SALES#wed", "TOTAL"): {"orders": 1, "revenue": 4}}


def test_a_sum_of_shards_beyond_38_digits_is_read_exactly():
    """Each shard holds a number of DynamoDB; their sum is none."""
    most = Decimal("9" * 38)
    view = Aggregate(
        name="wide",
        of=ORDER,
        pk="WIDE#{day}",
        sk="TOTAL",
        count="orders",
        sum={"revenue": "total"},
        average={"mean": "total"},
        shards=8,
    )
    world = World(view)
    shards = {}
    for user in map(str, range(40)):
        shards.setdefault(shard_of(view, ("WIDE#mon", "TOTAL"), f"user_id=S:{user}"), user)
    assert len(shards) == 8
    ends = world.deliver(*(order(n, each, total={"N": str(most)}) for n, each in enumerate(shards.values())))
    assert {end.status for end in ends} == {Status.APPLIED}
    shown = read_group(world, day="mon")
    assert shown == {"day": "mon", "orders": 8, "revenue": 8 * int(most), "mean": most}
