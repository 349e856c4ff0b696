"""Verification of a mirror finds what is wrong and nothing else, and a repair never wins over what is newer."""

import tracemalloc
from itertools import permutations
from typing import Any

import pytest

from distributary.consumer import outcome as outcomes
from distributary.consumer.outcome import SUPERSEDED
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.dynamodb.read_budget import Pace
from distributary.errors import Rejected, Unavailable
from distributary.replicate.verify import recheck_queue as waiting
from distributary.replicate.verify.command import lines
from distributary.replicate.verify.comparison import Comparator
from distributary.replicate.verify.recheck_queue import RecheckQueue
from distributary.replicate.verify.table import Side
from distributary.replicate.verify.verifier import Verify
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from distributary.verify.parked import ParkedItems
from tests.fakes.answers import refusal
from tests.fakes.s3 import S3
from tests.fakes.serial import Serial
from tests.replaced import replace
from tests.unit.records import FIRST_SEQUENCE
from tests.unit.replica_tables import FOREVER, PAUSE, World, differences, name


@pytest.fixture
def world() -> World:
    found = World()
    for each in "abcdefg":
        found.put(each, **name(each))
    return found


def test_a_mirror_that_follows_is_equal(world):
    world.delete("a")
    report = world.verify()
    assert (report.left, report["items"], report["rows"]) == (0, 6, 6)
    assert report.units["source"] > 0


def test_each_kind_of_difference_is_found_and_named(world):
    del world.replica["a",]
    world.tamper("b", **name("other"))
    world.tamper("x", **name("nobody"))
    world.tamper("c", **{REPLICA_VERSION: {"S": "zzz"}})
    world.tamper("d", extra={"N": "1"})
    assert differences(world.verify()) == [
        ("dead", "user_id=S:x"),
        ("frozen", "user_id=S:c"),
        ("missing", "user_id=S:a"),
        ("stale", "user_id=S:b"),
        ("stale", "user_id=S:d"),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"BOOL": True}, {"N": "1"}),
        ({"S": "1"}, {"N": "1"}),
        ({"SS": ["1"]}, {"NS": ["1"]}),
        ({"L": [{"BOOL": False}]}, {"L": [{"N": "0"}]}),
        ({"N": "1.0000000000000000000000000000000000001"}, {"N": "1.0000000000000000000000000000000000002"}),
        ({"B": b"1"}, {"S": "1"}),
        ({"NULL": True}, {"S": ""}),
        ({"M": {"a": {"S": "1"}}}, {"M": {"a": {"S": "1"}, "b": {"NULL": True}}}),
    ],
)
def test_types_are_compared_exactly(world, one, other):
    world.put("a", value=one)
    assert world.verify().left == 0
    world.tamper("a", value=other)
    assert differences(world.verify()) == [("stale", "user_id=S:a")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"N": "100"}, {"N": "1E2"}),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}),
        ({"NS": ["1", "2.0"]}, {"NS": ["2", "1"]}),
    ],
)
def test_what_dynamodb_holds_for_equal_is_equal(world, one, other):
    world.put("a", value=one)
    world.replica["a",]["value"] = other
    assert world.verify().left == 0


def test_what_is_merely_late_is_no_difference(world):
    late = [world.put("a", deliver=False, **name("new")), world.delete("b", deliver=False)]
    report = world.verify(meanwhile=lambda: world.deliver(*late))
    assert report["differences"] == 0


def test_a_difference_counts_only_if_neither_side_moved_between_two_looks(world):
    def busy() -> None:
        world.put("a", deliver=False, **name(str(world.written)))

    busy()
    report = world.verify(meanwhile=busy)
    assert (report["differences"], report["moving"]) == (0, 1)
    assert world.verify()["differences"] == 1


def test_the_first_look_costs_half_and_the_second_sees_what_was_just_written(world):
    world.service.consistent.clear()
    world.verify()
    assert set(world.service.consistent) == {("source", False), ("replica", False)}
    del world.replica["a",]
    world.verify()
    assert [each for each in world.service.consistent if each[1]] == [("replica", True), ("source", True)]


def test_no_look_comes_before_its_pause_is_over(world):
    del world.replica["a",]
    world.verify()
    assert world.clock == PAUSE


def test_a_filtered_item_has_no_row_and_a_masked_one_is_compared_as_masked(world):
    """Whatever the mirror's plan makes of an item: verification follows."""

    def plan(each: Any) -> Any:
        write = world.branch.plan(each)
        if each.keys["user_id"] == "a":
            return None
        return replace(write, row={"user_id": write.key["user_id"]}) if each.keys["user_id"] == "b" else write

    assert differences(world.verify(plan=plan)) == [("dead", "user_id=S:a"), ("stale", "user_id=S:b")]
    assert world.verify(plan=plan, repair=True).left == 0
    assert world.verify(plan=plan)["differences"] == 0
    assert set(world.replica["b",]) == {"user_id", REPLICA_VERSION}


def test_an_item_that_the_mirror_rejects_is_parked_and_no_difference(world):
    def plan(each: Any) -> Any:
        if each.keys["user_id"] == "a":
            raise Rejected("the mask of 'name' raised ValueError")
        return world.branch.plan(each)

    report = world.verify(plan=plan)
    assert (report.left, report.equal) == (0, False)
    (found,) = report.samples["parked"]
    assert found == {"item": "user_id=S:a", "cause": "the mask of 'name' raised ValueError", "object": None}


def test_an_item_with_a_parked_change_is_parked_neither_missing_nor_equal(world):
    """The replica refused its row, which the declaration alone cannot know."""
    s3, lost = S3("parking"), world.put("x", deliver=False, **name("x"))
    end = outcomes.parked(Rejected("replica PutItem: ValidationException"))
    Parking(s3, "parking", "replicate", Parallel(1)).park([(lost, end)], FOREVER)
    parked = ParkedItems.of(s3, "parking", "replicate", "users")
    report = world.verify(parked=parked)
    (found,) = report.samples["parked"]
    assert (found["item"], found["cause"]) == ("user_id=S:x", "replica PutItem: ValidationException")
    assert found["object"].startswith("s3://parking/parked/replicate/")
    assert (report["differences"], report.equal) == (0, False)
    assert any(found["object"] in line for line in lines(report))
    assert differences(world.verify()) == [("missing", "user_id=S:x")]
    repaired = world.verify(parked=parked, repair=True)
    assert (repaired["differences"], repaired.equal) == (1, True)
    assert world.verify(parked=parked).equal


def test_a_repair_corrects_every_kind_and_the_next_run_finds_nothing(world):
    world.delete("g")
    world.put("g", deliver=False, **name("again"))
    del world.replica["a",]
    world.tamper("b", **name("other"), extra={"L": []})
    world.tamper("x", **name("nobody"))
    world.tamper("y", **{REPLICA_VERSION: {"S": versions.to_text(5)}})
    world.tamper("c", **{REPLICA_VERSION: {"S": "zzz"}})
    world.tamper("d", **{REPLICA_VERSION: None}, **name("old"))
    report = world.verify(repair=True)
    assert (report["differences"], report["repaired"], report.left) == (7, 7, 0)
    assert world.verify()["differences"] == 0
    assert world.names() == {each: {"S": each} for each in "abcdef"} | {"g": {"S": "again"}}


@pytest.mark.parametrize("wrong", ["stale", "missing", "dead", "frozen"])
def test_after_a_repair_the_stream_still_has_the_last_word(world, wrong):
    if wrong == "missing":
        del world.replica["a",]
    else:
        frozen = {REPLICA_VERSION: {"S": "zzz"}} if wrong == "frozen" else {}
        world.tamper("a" if wrong != "dead" else "x", **name("wrong"), **frozen)
    assert world.verify(repair=True)["repaired"] == 1
    user = "x" if wrong == "dead" else "a"
    world.put(user, **name("next"))
    assert world.names()[user] == {"S": "next"}
    world.delete(user)
    assert user not in world.names()
    assert world.verify()["differences"] == 0


def test_a_dead_rows_repair_keeps_what_is_as_old_as_the_row_from_coming_back(world):
    lost = world.put("a", **name("last"))
    world.delete("a", deliver=False)
    assert world.verify(repair=True)["repaired"] == 1
    world.deliver(lost)
    assert "a" not in world.names()


def test_an_insert_one_position_after_a_dead_row_wins_over_its_repair(world):
    """Sequence numbers may be neighbours: the tombstone is one above the row's version, and a tie is the put's."""
    world.service.state["source"].pop(("g",))
    assert world.verify(repair=True)["repaired"] == 1
    world.put("g", **name("again"))
    assert int(world.replica["g",][REPLICA_VERSION]["S"]) == FIRST_SEQUENCE + world.written
    assert world.names()["g"] == {"S": "again"}


class Interposed:
    """Something happens between a look of the repair and its write, or between two of its looks."""

    def __init__(self, world: World, happenings: Any) -> None:
        self._eye, self._happenings = world.eye(), list(happenings)

    def compare(self, *arguments: Any) -> Any:
        found = self._eye.compare(*arguments)
        if self._happenings:
            self._happenings.pop(0)()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._eye, name)


@pytest.mark.parametrize("wrong", ["stale", "missing", "dead"])
@pytest.mark.parametrize("act", ["put", "delete", "put late", "delete late"])
def test_what_the_stream_writes_beside_a_repair_is_never_overwritten(world, wrong, act):
    """Whether the source changes just before or just after the repair writes, and whether its change is delivered
    before or after: in the end the replica is what the source says."""
    user = "x" if wrong == "dead" else "a"
    if wrong == "missing":
        del world.replica["a",]
    else:
        world.tamper(
            user, **name("wrong"), **({REPLICA_VERSION: {"S": versions.to_text(7)}} if wrong == "dead" else {})
        )
    pending: list[Any] = []

    def happens() -> None:
        late = act.endswith("late")
        if "put" in act:
            made = world.put(user, not late, **name(f"newest {world.written}"))
        else:
            world.put(user, deliver=False, **name("brief"))
            made = world.delete(user, not late)
        pending.append(made) if late else None

    def settles() -> None:
        world.deliver(*pending)

    for steps in permutations([happens, lambda: None]):
        pending.clear()
        world.verify(repair=True, looked=Interposed(world, steps))
        settles()
        assert world.verify()["differences"] == 0, steps
        assert (user in world.names()) is ("put" in act)


def test_two_repairs_at_once_leave_what_the_source_holds_after_the_last(world):
    """The first one's write comes after the source moved on and the second repaired that: it looks again, and sees."""
    world.tamper("a", **name("wrong"))

    def second() -> None:
        world.put("a", deliver=False, **name("newest"))
        world.verify(repair=True)

    world.verify(repair=True, looked=Interposed(world, [second]))
    assert world.names()["a"] == {"S": "newest"}


def test_a_row_that_another_repair_wrote_since_it_was_seen_is_not_overwritten(world):
    """It has the same version as before; its revision tells the two apart."""
    world.tamper("a", **name("wrong"))
    version = int(world.replica["a",][REPLICA_VERSION]["S"])

    def other() -> None:
        world.tamper("a", **name("other"), **{REPLICA_VERSION: {"S": versions.to_text(version, "r")}})

    looked = Interposed(world, [other, lambda: seen.append(world.names()["a"]["S"])])
    seen: list[str] = []
    assert world.verify(repair=True, looked=looked)["repaired"] == 1
    assert seen == ["other"]


@pytest.mark.parametrize(("keeps", "found"), [(False, ["dead"]), (True, [])])
def test_a_row_that_its_mirror_keeps_after_its_items_expiry_is_no_difference(world, keeps, found):
    del world.service.state["source"]["g",]
    sides = Side(world.service, "source"), Side(world.service, "replica")
    comparator = Comparator(*sides, ("user_id",), world.branch.plan, keeps_expired=keeps)
    assert [each.kind for each in comparator.again([{"user_id": {"S": "g"}}]).findings] == found


@pytest.mark.parametrize(("versioned", "found"), [(True, ["frozen"]), (False, [])])
def test_a_version_of_a_later_generation_is_frozen_where_rows_have_versions(world, versioned, found):
    world.tamper("a", **{REPLICA_VERSION: {"S": versions.to_text(versions.of(2, 5))}})
    sides = Side(world.service, "source"), Side(world.service, "replica")
    comparator = Comparator(*sides, ("user_id",), world.branch.plan, versioned=versioned)
    assert [each.kind for each in comparator.again([{"user_id": {"S": "a"}}]).findings] == found


def test_a_delete_between_a_repairs_look_and_its_write_takes_the_row_back(world, monkeypatch):
    """Its tombstone is newer than the look: read after it, it would carry the row."""
    monkeypatch.setattr("distributary.replicate.reconcile.LOOKS", 1)
    del world.replica["a",]
    world.reconcile("a", Interposed(world, [lambda: world.delete("a")]))
    assert "a" not in world.names()


@pytest.mark.parametrize("user", ["a", "x"])
def test_a_repair_of_what_the_stream_has_written_since_does_nothing(world, user):
    """A stale row, and a dead one whose item comes back."""
    world.tamper(user, **name("wrong"), **{REPLICA_VERSION: {"S": versions.to_text(7)}})
    before: list[Any] = []

    def happens() -> None:
        world.put(user, **name("newest"))
        before.append(dict(world.replica[user,]))

    assert world.reconcile(user, Interposed(world, [happens])) == SUPERSEDED
    assert [world.replica[user,]] == before


def test_a_row_that_the_stream_has_given_a_version_is_not_overwritten(world):
    """Even if nothing else of it changed: at a snapshot's version, older changes would win over it again."""
    old = world.put("a", deliver=False, **name("old"))
    world.put("a", deliver=False, **name("new"))
    world.tamper("a", **name("old"), **{REPLICA_VERSION: None})
    seen: list[Any] = []

    def happens() -> None:
        world.deliver(old)

    world.reconcile("a", Interposed(world, [happens, lambda: seen.append(world.replica["a",][REPLICA_VERSION]["S"])]))
    assert seen == [versions.to_text(old.version)]


def test_a_row_of_a_later_generation_is_left_alone(world):
    world.tamper("a", **name("wrong"), **{REPLICA_VERSION: {"S": versions.to_text(versions.of(2, 5))}})
    report = world.verify(repair=True)
    assert (report["repaired"], report.left) == (0, 1)
    assert world.names()["a"] == {"S": "wrong"}
    assert world.verify(repair=True, generation=2).left == 0


def test_a_row_with_more_attributes_than_an_expression_takes_is_repaired(world):
    many = {f"a{i}": {"N": "1"} for i in range(600)}
    world.put("a", **many)
    world.tamper("a", a7={"N": "2"})
    assert world.verify(repair=True).left == 0
    assert world.verify()["differences"] == 0


def test_keys_left_unprocessed_are_asked_for_again(world):
    world.service.unprocessed = 5
    assert world.verify().left == 0
    assert world.service.unprocessed == 0


def test_so_many_suspects_wait_at_most(world, monkeypatch):
    monkeypatch.setattr("distributary.replicate.verify.verifier.MOST", 3)
    world.replica.clear()
    most = 0

    def watched(*_: Any) -> None:
        nonlocal most
        most = max(most, len(run.queue))

    eye = Comparator(Side(world.service, "source"), Side(world.service, "replica"), ("user_id",), world.branch.plan)

    def sleep(seconds: float) -> None:
        world.clock += seconds

    run = Verify(eye, RecheckQueue(PAUSE, lambda: world.clock), Serial(), progress=watched, sleep=sleep)
    assert run.scan(range(1), 1)["differences"] == 7
    assert most <= 3 + 3
    assert waiting.MOST == 20_000


class Endless:
    """A client of a table of so many pages, made as they are asked for; one in `wrong` rows is missing by key."""

    def __init__(self, pages: int, wrong: int) -> None:
        self._pages, self._wrong = pages, wrong

    def scan(self, *, ExclusiveStartKey: Any = None, **_: Any) -> Any:
        at = (ExclusiveStartKey or {"at": 0})["at"]
        items = [_sized(f"u{at}-{each}") for each in range(100)]
        more = {"LastEvaluatedKey": {"at": at + 1}} if at + 1 < self._pages else {}
        return {"Items": items, "ConsumedCapacity": {"CapacityUnits": 1.0}, **more}

    def batch_get_item(self, *, RequestItems: Any, **_: Any) -> Any:
        ((table, request),) = RequestItems.items()
        names = [key["user_id"]["S"] for key in request["Keys"]]
        rows = [_sized(each) for at, each in enumerate(names) if not self._wrong or at % self._wrong]
        return {"Responses": {table: rows}}


def _sized(user: str) -> Any:
    return {"user_id": {"S": user}, "text": {"S": user * 100}}


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [0, 2])
def test_memory_does_not_grow_with_the_table(world, monkeypatch, wrong):
    """Neither with its items nor with its differences."""
    monkeypatch.setattr("distributary.replicate.verify.verifier.MOST", 200)
    monkeypatch.setattr("distributary.verify.report.SAMPLES", 50)

    def peak(pages: int) -> int:
        def sleep(seconds: float) -> None:
            world.clock += seconds

        source, replica = Side(Endless(pages, 0), "source"), Side(Endless(pages, wrong), "replica")
        eye, suspects = (
            Comparator(source, replica, ("user_id",), world.branch.plan),
            RecheckQueue(PAUSE, lambda: world.clock),
        )
        tracemalloc.start()
        report = Verify(eye, suspects, Serial(), sleep=sleep).scan(range(1), 1)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert report["items"] == 100 * pages
        assert (report["differences"] > 20 * pages) is bool(wrong)
        return most

    peak(5)
    least = min(peak(80) for _ in range(3))
    assert least < 1.2 * max(peak(8) for _ in range(3)), "what other threads of this process take comes and goes"


def test_an_error_in_one_segment_ends_the_run(world):
    def fails(**_: Any) -> Any:
        raise refusal("Scan", "InternalServerError", "oops", 500)

    world.service.scan = fails
    with pytest.raises(Unavailable, match="table source: scan: InternalServerError"):
        world.verify()


@pytest.mark.parametrize("wrong", ["stale", "missing", "dead"])
def test_a_refused_repair_ends_the_run_and_one_that_is_never_taken_is_named(world, wrong):
    if wrong == "missing":
        del world.replica["a",]
    else:
        world.tamper("a" if wrong == "stale" else "x", **name("wrong"))
    for code in ("InternalServerError", "ValidationException"):

        def fails(code=code, **_: Any) -> Any:
            raise refusal("PutItem", code, "no", 500)

        world.service.put_item = world.service.delete_item = fails
        if code == "InternalServerError":
            with pytest.raises(Unavailable, match=code):
                world.verify(repair=True)
        else:
            report = world.verify(repair=True)
            assert (report.left, report["parked"], report["repaired"]) == (0, 1, 0)
            assert code in report.samples["parked"][0]["cause"]


def test_named_items_alone_are_looked_at(world):
    del world.replica["a",]
    del world.replica["b",]
    eye = Comparator(Side(world.service, "source"), Side(world.service, "replica"), ("user_id",), world.branch.plan)
    run = Verify(eye, RecheckQueue(0, lambda: 0.0), Serial(), sleep=lambda _: None)
    report = run.named([[{"user_id": {"S": "a"}}, {"user_id": {"S": "c"}}]])
    assert differences(report) == [("missing", "user_id=S:a")]
    assert report["items"] == 2


class Clock:
    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_reads_keep_to_their_units_a_second_over_any_time():
    clock = Clock()
    pace = Pace(10, lambda: clock.now, clock.sleep)
    for _ in range(20):
        pace.wait()
        pace.paid({"ConsumedCapacity": {"CapacityUnits": 25.0}})
    assert pace.units == 500
    assert 500 / 10 - 25 / 10 - 1.1 <= clock.now <= 500 / 10


def test_without_a_limit_nothing_waits():
    clock = Clock()
    pace = Pace(None, lambda: clock.now, clock.sleep)
    for _ in range(20):
        pace.wait()
        pace.paid({"ConsumedCapacity": [{"CapacityUnits": 1000.0}]})
    assert (clock.now, pace.units) == (0, 20_000)


def test_an_answer_that_says_nothing_counts_for_one_unit():
    pace = Pace(5)
    pace.paid({})
    assert pace.units == 1
