"""Groups that expire: exact until they are closed, and never made again in part, whatever comes late."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from unittest import mock

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.derive import Aggregate, Entity, check, date_trunc, expiry
from distributary.derive.branch import unchecked
from distributary.derive.delta import RecordedContribution, is_member
from distributary.derive.described import described
from distributary.errors import ConfigError, Rejected
from distributary.stream.codec import decode_item
from distributary.stream.described import differing
from tests.fakes.built import DERIVED, derive
from tests.replaced import replace
from tests.unit.records import change
from tests.world import LONG
from tests.world import World as Followed

HOUR, DAY = 3600, 86_400
START = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
EVENT = Entity(name="event", keys=("user_id",), attributes=("at", "total"))
PER_DAY = Aggregate(
    name="per-day",
    of=EVENT,
    pk="DAY#{day}",
    sk="ALL",
    compute={"day": date_trunc("at", "day")},
    count="events",
    sum={"total": "total"},
    max={"most": "total"},
    expires_after=timedelta(days=2),
    period="day",
)


def clock(world):
    return lambda: world.now


class World(Followed):
    """A branch whose clock is `now`, in epoch seconds; `late` is another function's, whose clock is behind."""

    schemas = DERIVED

    def __init__(self, view=PER_DAY):
        super().__init__()
        self.now, self.removed = float(START), set()
        self.branch = self._branch(view, 0)
        self.late = self._branch(view, 20 * 60)

    def _branch(self, view, behind):
        return replace(derive([view], self.service, now=lambda: self.now - behind), check_tables=unchecked)

    def days(self):
        return {
            key[0].removeprefix("DAY#"): {n: v for n, v in decode_item(row).items() if n in ("events", "total", "most")}
            for key, row in self.service.state["derived"].items()
            if not is_member(row)
        }

    def sweep(self, random=None):
        """DynamoDB's TTL: removes expired rows, all of them or some."""
        for table in ("derived", "ledger"):
            rows = self.service.state[table]
            for key, row in list(rows.items()):
                due = "expires_at" in row and int(row["expires_at"]["N"]) <= self.now
                if due and (random is None or random.random() < 0.5):
                    del rows[key]
                    self.removed |= {key} if table == "derived" else set()


def at(day, hour=0):
    return datetime.fromtimestamp(START + day * DAY + hour * HOUR, UTC).isoformat()


def event(place, user, day, total=1, **more):
    return change(place, user=user, new={"at": {"S": at(day)}, "total": {"N": str(total)}}, **more)


def moved(place, user, before, day, total=1):
    old = {"at": {"S": at(before)}, "total": {"N": "0"}}
    return change(place, "MODIFY", user=user, new={"at": {"S": at(day)}, "total": {"N": str(total)}}, old=old)


def gone(place, user, day):
    return change(place, "REMOVE", user=user, old={"at": {"S": at(day)}, "total": {"N": "1"}})


def test_every_row_of_a_group_has_the_expiry_that_its_key_says():
    world = World()
    world.deliver(event(1, "u", 0), event(2, "v", 0, 5))
    ends = {row["expires_at"]["N"] for row in world.service.state["derived"].values()}
    assert ends == {str(START + 3 * DAY)}
    assert len(world.service.state["derived"]) == 3


def test_a_ledger_row_expires_behind_the_group_that_it_counts_in():
    world = World()
    world.deliver(event(1, "u", 0))
    (row,) = world.service.state["ledger"].values()
    assert int(row["expires_at"]["N"]) == START + 3 * DAY + world.branch.ledger.tables.days * DAY


def test_late_changes_are_exact_until_the_group_is_closed():
    world = World()
    world.deliver(event(1, "u", 0), event(2, "v", 0))
    world.now = START + 3 * DAY - HOUR - 1
    world.deliver(event(3, "w", 0, 7), gone(4, "u", 0))
    assert world.days() == {"2026-11-01": {"events": 2, "total": 8, "most": 7}}


@pytest.mark.parametrize("taken", [False, True], ids=["before TTL", "after TTL"])
def test_a_late_change_makes_no_part_of_a_closed_group(taken):
    world = World()
    world.deliver(event(1, "u", 0), event(2, "v", 0))
    world.now = START + 3 * DAY if taken else START + 3 * DAY - HOUR
    if taken:
        world.sweep()
    before = world.days()
    ends = world.statuses(event(3, "w", 0, 7), gone(4, "u", 0), moved(5, "v", 0, 0, 9))
    assert not {Status.PARKED, Status.FAILED} & set(ends)
    assert world.days() == before == ({} if taken else {"2026-11-01": {"events": 2, "total": 2, "most": 1}})


def test_an_item_that_leaves_a_closed_group_counts_once_in_the_other():
    world = World()
    world.deliver(event(1, "u", 0))
    world.now = START + 3 * DAY
    world.sweep()
    again = moved(2, "u", 0, 3)
    assert world.statuses(again) == [Status.APPLIED]
    assert world.statuses(again) == [Status.SUPERSEDED]
    world.deliver(moved(3, "u", 3, 0), moved(4, "u", 0, 3, 5))
    assert world.days() == {"2026-11-04": {"events": 1, "total": 5, "most": 5}}


def test_an_insert_into_a_closed_group_writes_nothing():
    world = World()
    world.now = START + 9 * DAY
    assert world.statuses(event(1, "u", 0)) == [Status.IGNORED]
    assert world.service.write_units == 0


def test_a_delete_comes_again_with_the_insert_into_a_closed_group_that_failed():
    """Alone, the insert writes nothing, and the delete's version would be lost."""
    world, batch = World(), [gone(2, "u", 3), event(3, "u", -9)]
    failed = world.branch.apply(batch, Deadline(0.0))
    assert [end.status for end in failed] == [Status.FAILED, Status.FAILED]
    world.deliver(*[each for each, end in zip(batch, failed, strict=True) if end.status is Status.FAILED])
    world.deliver(event(1, "u", 3))
    assert world.days() == {}


def test_a_function_whose_clock_is_behind_counts_nothing_twice():
    world = World()
    world.deliver(event(1, "u", 0))
    world.now = START + 3 * DAY - HOUR
    world.deliver(moved(2, "u", 0, 0, 5))
    world.late.apply([moved(3, "u", 0, 0, 6)], LONG)
    assert world.days() == {"2026-11-01": {"events": 1, "total": 6, "most": 6}}


def play(seed):
    """Changes of few items, shuffled, repeated, by two functions, while time goes on and TTL removes what it may. A
    change comes again for a week, as long as tombstones are kept."""
    random, world = Random(seed), World()
    history, items = [], {}
    for place in range(1, random.randint(10, 30)):
        user, day = random.choice("abcd"), max(0, int((world.now - START) // DAY) - random.choice((0, 0, 1, 2, 3)))
        history.append((world.now, written(random, place, user, day, items)))
        recent = [each for when, each in history if when > world.now - 7 * DAY]
        batch = random.sample(recent, min(len(recent), random.randint(0, 5)))
        random.choice((world.branch, world.late)).apply(batch, LONG)
        if random.random() < 0.4:
            world.now += random.choice((HOUR, HOUR // 3, DAY))
        world.sweep(random)
        check_part(world)
        if random.random() < 0.2:
            recent = [each for when, each in history if when > world.now - 7 * DAY]
            ends = world.branch.apply(random.sample(recent, len(recent)), LONG)
            assert not {end.status for end in ends} & {Status.PARKED, Status.FAILED}, ends
            check_open(world, items)


def written(random, place, user, day, items):
    """The user's item made, changed or deleted."""
    total, before = random.randint(1, 4), items.get(user)
    if before is not None and random.random() < 0.3:
        del items[user]
        return gone(place, user, before[0])
    items[user] = day, total
    return event(place, user, day, total) if before is None else moved(place, user, before[0], day, total)


def check_part(world):
    """A row that TTL removed is never made again."""
    assert not world.removed & world.service.state["derived"].keys()


def check_open(world, items):
    """What is open says exactly what a plain recomputation says."""
    groups = defaultdict(list)
    for day, total in items.values():
        groups[day].append(total)
    still = {day for day in range(100) if START + (day + 3) * DAY - HOUR > world.now}
    right = {
        at(day)[:10]: {"events": Decimal(len(each)), "total": Decimal(sum(each)), "most": Decimal(max(each))}
        for day, each in groups.items()
        if day in still
    }
    names = {at(day)[:10] for day in still}
    assert {day: row for day, row in world.days().items() if day in names} == right


@pytest.mark.parametrize("part", range(4))
def test_no_schedule_leaves_an_open_group_wrong_or_makes_a_part_of_one(part):
    play_all(range(part * 25, part * 25 + 25))


def test_without_closing_a_late_change_makes_a_part_of_a_group():
    open_for_ever = mock.patch("distributary.derive.expiry.MARGIN", -(10**9))
    with open_for_ever, pytest.raises(AssertionError):
        play_all(range(100))


def play_all(seeds):
    for seed in seeds:
        play(seed)


def test_without_what_stays_recorded_a_late_clock_counts_twice():
    forgotten = mock.patch.object(RecordedContribution, "only", return_value=RecordedContribution())
    with forgotten, pytest.raises(AssertionError):
        test_a_function_whose_clock_is_behind_counts_nothing_twice()


@pytest.mark.parametrize(
    ("period", "end"),
    [
        ("2026", "2027-01-01"),
        ("2026-12", "2027-01-01"),
        ("2026-02", "2026-03-01"),
        ("2026-11-30", "2026-12-01"),
        ("2026-W53", "2027-01-04"),
        ("2026-11-20T23", "2026-11-21"),
        ("2026-11-20T14+0200", "2026-11-20T13:00"),
        ("2026-11-20T14:30:00Z", "2026-11-20T14:30"),
        (Decimal(START), "2026-11-01"),
    ],
)
def test_a_period_ends_where_the_next_begins(period, end):
    assert expiry.end_of(period) == datetime.fromisoformat(end).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize("period", ["", "soon", "2026-13", Decimal("1e13"), True, b"x"])
def test_a_period_that_is_no_time_is_rejected(period):
    with pytest.raises(Rejected, match="is no time; give a time"):
        expiry.end_of(period)


def test_an_item_whose_period_is_no_time_is_parked_alone():
    world = World(replaced(compute={"day": lambda item: "soon" if item["total"] == 9 else at(0)[:10]}))
    odd, fine = world.deliver(event(1, "u", 0, 9), event(2, "v", 0))
    assert (odd.status, fine.status) == (Status.PARKED, Status.APPLIED)
    assert odd.cause.startswith("view 'per-day': period: 'soon' is no time")


def replaced(**options):
    return Aggregate(**{**{name: getattr(PER_DAY, name) for name in PER_DAY.__dataclass_fields__}, **options})


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"period": None}, "expires_after and period go together"),
        ({"expires_after": None}, "expires_after and period go together"),
        ({"expires_after": timedelta(hours=2)}, "expires_after is 2:00:00: give at least a day"),
        ({"period": "total"}, "period is 'total', which neither pk nor sk names"),
    ],
)
def test_an_expiry_that_is_wrong_is_refused_at_load(options, fault):
    with pytest.raises(ConfigError, match=fault):
        check([replaced(**options)])


def test_another_expiry_is_another_declaration():
    plain, short, long = (
        described(check([view])[0])
        for view in (replaced(expires_after=None, period=None), PER_DAY, replaced(expires_after=timedelta(days=9)))
    )
    assert differing(short, long) == ["expires_after"]
    assert differing(plain, short) == ["expires_after", "period"]
    assert not {"expires_after", "period"} & plain.keys()
