"""The ledger beside other writers: what is busy or changed is tried again, what is refused is parked alone."""

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.outcome import APPLIED, IGNORED, Status
from distributary.derive import Aggregate, Entity, Latest, Projection, type_is
from distributary.derive.branch import entries
from distributary.derive.delta import Delta, RecordedContribution
from distributary.derive.transaction_queue import TransactionQueue
from distributary.derive.transactions import BYTES, PendingEntry, lanes
from tests.fakes.answers import refusal
from tests.unit.records import change
from tests.unit.test_ledger import ORDER, SALES, Overtaken, Refusing, World, edit, gone, order

GROUP = "SALES#mon"
BIG = Projection(name="big", of=ORDER, pk="DAY#{day}", sk="{user_id}", keep=("total",))
EXTREMES = Aggregate(
    name="extremes", of=ORDER, pk="E#{day}", sk="T", count="orders", min={"least": "total"}, max={"most": "total"}
)
NEWEST = Latest(name="newest", of=ORDER, pk="NEWEST", sk="{day}", by="total", keep=("total",))


def is_group(action):
    (request,) = action.values()
    return request.get("Item", request.get("Key"))["pk"]["S"] == GROUP if "pk" in str(request) else False


class Whole(Refusing):
    """Refuses whole requests, `times` of them, with a code, before or after they took effect."""

    def __init__(self, service, code, times=1, after=False):
        super().__init__(service, None, times)
        self.code, self.after = code, after

    def transact_write_items(self, **arguments):
        if not self.times:
            return self.service.transact_write_items(**arguments)
        self.times -= 1
        if self.after:
            self.service.transact_write_items(**arguments)
        raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "TransactWriteItems")


def test_an_insert_that_the_view_is_not_about_writes_nothing():
    of = Entity(name="order", keys=("user_id",), attributes=("day",), where=type_is("order"))
    world = World(Aggregate(name="sales", of=of, pk="SALES#{day}", sk="TOTAL", count="orders"))
    assert world.deliver(change(3, user="u", new={"day": {"S": "mon"}, "type": {"S": "visit"}})) == [IGNORED]
    assert (world.service.state["ledger"], world.service.write_units) == ({}, 0)


def test_a_transaction_holds_no_more_bytes_than_the_service_takes():
    world = World(BIG)
    size = BYTES // 10
    statuses = world.statuses(*(order(n, f"u-{n}", total={"S": "x" * size}) for n in range(12)))
    assert set(statuses) == {Status.APPLIED}
    assert world.service.calls["TransactWriteItems"] == 2


def test_letters_beyond_ascii_count_with_all_their_bytes():
    world = World(BIG)
    size = BYTES // 40
    assert set(world.statuses(*(order(n, f"u-{n}", total={"S": "€" * size}) for n in range(12)))) == {Status.APPLIED}
    assert world.service.calls["TransactWriteItems"] == 2


def test_a_group_that_moves_at_every_try_parks_nothing():
    refuses = lambda action: "ConditionalCheckFailed" if is_group(action) else None  # noqa: E731
    world = World(SALES, client=lambda s: Refusing(s, refuses, times=5))
    assert world.statuses(order(1, "a")) == [Status.APPLIED]
    assert len(world.pauses) == 5
    assert World(SALES, client=lambda s: Refusing(s, refuses)).statuses(order(1, "a")) == [Status.FAILED]


@pytest.mark.parametrize(
    "code",
    [
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "TransactionInProgressException",
        "TransactionConflictException",
    ],
)
def test_a_request_that_is_busy_for_a_moment_is_made_again_after_a_pause(code):
    world = World(SALES, client=lambda s: Whole(s, code))
    assert world.statuses(order(1, "a")) == [Status.APPLIED]
    assert len(world.pauses) == 1


def test_a_transaction_without_a_response_fails_and_is_found_done_later():
    world = World(SALES, client=lambda s: Whole(s, "InternalServerError", after=True))
    assert world.statuses(order(1, "a")) == [Status.FAILED]
    assert world.pauses == []
    assert world.statuses(order(1, "a")) == [Status.SUPERSEDED]
    assert world.rows() == {(GROUP, "TOTAL"): {"orders": 1, "revenue": 1}}


def is_of_two(action):
    return "user_id=S:u-7" in str(action) or "user_id=S:u-8" in str(action)


@pytest.mark.parametrize(("is_busy", "times", "transactions"), [(is_of_two, 1, 2), (is_group, 3, 1)])
def test_what_is_busy_for_a_moment_is_not_halved(is_busy, times, transactions):
    """Each half would write the group."""
    refuses = lambda action: "TransactionConflict" if is_busy(action) else None  # noqa: E731
    world = World(SALES, client=lambda s: Refusing(s, refuses, times))
    assert set(world.statuses(*(order(n, f"u-{n}") for n in range(20)))) == {Status.APPLIED}
    assert (len(world.pauses), world.service.calls["TransactWriteItems"]) == (times, transactions)


def test_what_overtook_a_change_is_read_from_the_refusal():
    other = World(SALES)
    world = World(SALES, client=lambda s: Overtaken(s, lambda: other.deliver(edit(2, "a", total={"N": "7"})), 1))
    other.service.state = world.service.state
    assert world.statuses(edit(3, "a", total={"N": "4"})) == [Status.APPLIED]
    assert (world.service.calls["BatchGetItem"], world.pauses) == (3, [])
    assert world.rows() == {(GROUP, "TOTAL"): {"orders": 1, "revenue": 4}}


def test_a_group_that_a_lane_empties_is_filled_again_by_its_next_transaction():
    world = World(SALES)
    world.deliver(*(order(n, f"u-{n}") for n in range(99)))
    leave, come = (gone(100 + n, f"u-{n}") for n in range(99)), (order(200 + n, f"v-{n}") for n in range(40))
    assert set(world.statuses(*leave, *come)) == {Status.APPLIED}
    assert world.rows() == {(GROUP, "TOTAL"): {"orders": 40, "revenue": 40}}
    assert (world.pauses, world.service.calls["TransactWriteItems"]) == ([], 3)


def test_a_member_that_a_lane_takes_away_is_counted_anew_by_its_next():
    world = World(EXTREMES)
    world.deliver(*(order(n, f"u-{n}", total={"N": str(n)}) for n in range(40)))
    leave = [gone(100 + n, f"u-{n}") for n in range(40)]
    come = [order(200 + n, f"v-{n}", total={"N": str(n)}) for n in range(40)]
    assert set(world.statuses(*leave, *come)) == {Status.APPLIED}
    assert world.rows() == {("E#mon", "T"): {"orders": 40, "least": 0, "most": 39}}
    assert world.pauses == []


class Silent(Refusing):
    """Takes transactions and does not answer."""

    def transact_write_items(self, **arguments):
        self.service.transact_write_items(**arguments)
        raise ReadTimeoutError(endpoint_url="https://dynamodb")


def test_a_transaction_that_is_not_answered_fails_and_is_found_done_later():
    world = World(SALES, client=lambda s: Silent(s, None))
    assert world.statuses(order(1, "a")) == [Status.FAILED]
    assert world.statuses(order(1, "a")) == [Status.SUPERSEDED]
    assert world.rows() == {(GROUP, "TOTAL"): {"orders": 1, "revenue": 1}}


class Unexplained(Refusing):
    """Cancels transactions without a reason."""

    def transact_write_items(self, **arguments):
        if self.times:
            self.times -= 1
            reasons = self.refuses(arguments["TransactItems"])
            raise refusal("TransactWriteItems", "TransactionCanceledException", "no", CancellationReasons=reasons)
        return self.service.transact_write_items(**arguments)


def test_a_cancellation_without_a_reason_is_tried_again_and_ends():
    nothing = lambda actions: [{"Code": "None"} for _ in actions]  # noqa: E731
    world = World(SALES, client=lambda s: Unexplained(s, nothing, 2))
    assert world.statuses(order(1, "a")) == [Status.APPLIED]
    assert len(world.pauses) == 2


def test_a_cancellation_with_fewer_reasons_than_actions_fails_its_changes():
    world = World(SALES, client=lambda s: Unexplained(s, lambda _: [{"Code": "ConditionalCheckFailed"}], 1))
    assert world.statuses(order(1, "a")) == [Status.FAILED]
    assert world.statuses(order(1, "a")) == [Status.APPLIED]


def test_changes_that_did_not_cause_a_cancellation_go_on_without_a_pause():
    refuses = lambda action: "ValidationError" if "u-7" in str(action) else None  # noqa: E731
    world = World(SALES, client=lambda s: Refusing(s, refuses))
    statuses = world.statuses(*(order(n, f"u-{n}") for n in range(20)))
    assert (statuses.count(Status.APPLIED), world.pauses) == (19, [])


def test_a_refused_row_names_its_view():
    world = World(SALES, client=lambda s: Refusing(s, lambda action: "ValidationError"))
    (end,) = world.deliver(order(1, "a"))
    assert end.cause.startswith("view 'sales': ledger TransactWriteItems: ValidationError")


def test_a_group_that_is_refused_parks_its_own_changes_alone():
    refuses = lambda action: "ItemCollectionSizeLimitExceeded" if is_group(action) else None  # noqa: E731
    world = World(SALES, client=lambda s: Refusing(s, refuses))
    parked, applied = world.deliver(order(1, "a"), order(2, "b", day={"S": "tue"}))
    assert (parked.status, applied) == (Status.PARKED, APPLIED)
    assert parked.cause == "view 'sales': ledger TransactWriteItems: ItemCollectionSizeLimitExceeded"
    assert (world.rows(), world.pauses) == ({("SALES#tue", "TOTAL"): {"orders": 1, "revenue": 1}}, [])


def test_a_lane_stops_at_the_deadline_and_what_it_wrote_stays():
    world = World(SALES)
    calls = world.service.calls
    deadline = Deadline(1, clock=lambda: calls["TransactWriteItems"])
    statuses = [end.status for end in world.branch.apply([order(n, f"u-{n}") for n in range(150)], deadline)]
    assert statuses.count(Status.APPLIED) == world.rows()[GROUP, "TOTAL"]["orders"] == 99
    assert statuses.count(Status.FAILED) == 51


def test_a_member_that_two_transactions_of_a_lane_count_costs_no_second_try():
    world = World(EXTREMES)
    assert set(world.statuses(*(order(n, f"u-{n}") for n in range(150)))) == {Status.APPLIED}
    assert (world.pauses, world.service.calls["TransactWriteItems"]) == ([], 2)


def test_several_members_that_go_at_once_leave_the_next_one_at_the_edge():
    world = World(EXTREMES)
    world.deliver(*(order(n, f"u-{n}", total={"N": str(n)}) for n in range(6)))
    world.deliver(*(gone(10 + n, f"u-{n}") for n in (0, 1, 4, 5)))
    assert world.rows() == {("E#mon", "T"): {"orders": 2, "least": 2, "most": 3}}


def test_an_edge_shows_the_greatest_of_those_that_stay_and_those_that_come():
    world = World(NEWEST)
    world.deliver(order(1, "a", total={"N": "5"}), order(2, "b", total={"N": "3"}))
    world.deliver(edit(3, "a", total={"N": "1"}), order(4, "c", total={"N": "2"}))
    assert world.rows() == {("NEWEST", "mon"): {"total": 3}}
    world.deliver(edit(5, "b", total={"N": "4"}))
    assert world.rows() == {("NEWEST", "mon"): {"total": 4}}


def test_a_shown_attribute_that_an_item_loses_goes_out_of_its_groups_row():
    view = Latest(name="newest", of=ORDER, pk="NEWEST", sk="{day}", by="total", keep=("when",))
    world = World(view)
    world.deliver(order(1, "a", total={"N": "5"}, when={"N": "9"}))
    world.deliver(edit(2, "a", total={"N": "5"}))
    assert world.rows() == {("NEWEST", "mon"): {}}
    assert world.statuses(edit(3, "a", total={"N": "5"}, when={"N": "8"})) == [Status.APPLIED]
    assert world.rows() == {("NEWEST", "mon"): {"when": 8}}


def test_changes_of_one_group_are_side_by_side_where_one_change_joins_two():
    world = World(SALES)
    days = [({"S": "mon"}, {"S": "tue"})[n % 2] for n in range(120)]
    planned = [entries(world.views, order(n, f"u-{n}", day=day))[0] for n, day in enumerate(days)]
    cases = [PendingEntry.of(entry, {}, 0) for each in planned for entry in each]
    (joined,), (moved,) = (entries(world.views, order(n, "joins", day=days[n]))[0] for n in (0, 1))
    cases.append(PendingEntry.of(moved, world.branch.ledger.tables.row(joined, {}), 0))
    (lane,) = lanes(cases)
    assert sum(len(set().union(*(case.delta.groups for case in each))) for each in lane) == 3


class After(Refusing):
    """Somebody else writes right behind the first transaction of ours."""

    def transact_write_items(self, **arguments):
        answer = self.service.transact_write_items(**arguments)
        if self.times:
            self.times = 0
            self.refuses()
        return answer


def test_a_sum_overflows_only_against_rows_that_are_read_again():
    """The second transaction of a lane knows the group as the first one left it, not what was taken away since."""
    other = World(SALES)
    most = {"N": str(10**38 - 100)}
    none, before = ({"day": {"S": "mon"}, "total": total} for total in ({"N": "0"}, most))
    taken = change(500, "MODIFY", user="u-0", new=none, old=before)
    world = World(SALES, client=lambda s: After(s, lambda: other.deliver(taken), 1))
    other.service.state = world.service.state
    statuses = world.statuses(order(0, "u-0", total=most), *(order(n, f"u-{n}") for n in range(1, 120)))
    assert set(statuses) == {Status.APPLIED}
    assert world.rows() == {(GROUP, "TOTAL"): {"orders": 120, "revenue": 119}}


class TornReads(Refusing):
    """Shows groups that count no items, so often."""

    def batch_get_item(self, **arguments):
        answer = self.service.batch_get_item(**arguments)
        for row in answer["Responses"].get("derived", ()) if self.times else ():
            row["_distributary_group"]["M"]["amounts"]["M"].pop("items")
            self.times -= 1
        return answer

    def transact_write_items(self, **arguments):
        return self.service.transact_write_items(**arguments)


@pytest.mark.parametrize(("times", "status"), [(4, Status.APPLIED), (10**9, Status.PARKED)])
def test_rows_that_do_not_agree_are_read_again_before_a_change_is_parked(times, status):
    world = World(SALES, client=lambda s: TornReads(s, None, 0))
    world.deliver(order(1, "a"), order(2, "b"))
    world.branch.ledger.tables.client.times = times
    (end,) = world.deliver(gone(3, "a"))
    assert (end.status, "verify derive TABLE ... --repair" in end.cause) == (status, status is Status.PARKED)
    assert len(world.pauses) == min(times, 11)


class TornBehind(TornReads):
    """Somebody else writes while a group is read that does not agree; every request is counted."""

    def __init__(self, service, does):
        super().__init__(service, None, 0)
        self.does, self.requests = does, 0

    def batch_get_item(self, **arguments):
        if self.times and "derived" in arguments["RequestItems"]:
            self.does()
        return super().batch_get_item(**arguments)

    def transact_write_items(self, **arguments):
        self.requests += 1
        return self.service.transact_write_items(**arguments)


def test_a_change_that_is_overtaken_while_rows_disagree_asks_no_more():
    other = World(SALES)
    world = World(SALES, client=lambda s: TornBehind(s, lambda: other.deliver(gone(9, "a"))))
    world.deliver(order(1, "a"), order(2, "b"))
    other.service.state, client = world.service.state, world.branch.ledger.tables.client
    client.times, client.requests = 1, 0
    assert world.statuses(gone(3, "a")) == [Status.SUPERSEDED]
    assert client.requests == 0
    assert world.rows() == {(GROUP, "TOTAL"): {"orders": 1, "revenue": 1}}


def test_a_repair_of_more_rows_than_a_transaction_holds_is_made_in_steps():
    """No declaration asks for so many; rows that another program left may."""
    world = World(SALES)
    (entry,), _ = entries(world.views, order(1, "a"))
    dead = frozenset(("TAG", str(n)) for n in range(120))
    for pk, sk in dead:
        world.service.put_item(TableName="derived", Item={"pk": {"S": pk}, "sk": {"S": sk}})
    queue = TransactionQueue(world.branch.ledger.tables, FOREVER)
    (end,) = queue.run([[PendingEntry(entry, None, Delta({}, dead, {}), RecordedContribution())]]).values()
    assert end == APPLIED
    assert world.service.calls["TransactWriteItems"] == 2
    assert not world.service.state["derived"]
