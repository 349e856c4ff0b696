"""Each branch of the trunk has its own outcomes, and one that keeps failing holds up no other."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import governing
from distributary.consumer.outcome import APPLIED, IGNORED, Status
from distributary.consumer.streams import Streams
from distributary.errors import ConfigError, ForeignStream, Rejected, Unavailable
from distributary.stream import records as stream_records
from distributary.stream.change import Kind
from distributary.trunk.breaker import CLOSED, READ_SECONDS, Breakers, Row, Seen, State, following
from distributary.trunk.trunk import Always, distribute
from tests.fakes import dynamodb
from tests.fakes.answers import refusal
from tests.fakes.streaming import CREATED
from tests.unit.branches import Bucket, Context, Ledger
from tests.unit.records import ARN, event, sequence, stream_record
from tests.unit.trunks import AFTER, Bench, counts

FAILED = outcomes.failed(Unavailable("no answer"))
PARKED = outcomes.parked(Rejected("never"))
NOTHING = {"batchItemFailures": []}


def failed_at(place):
    return {"batchItemFailures": [{"itemIdentifier": sequence(place)}]}


def batch(*places, **more):
    return event(*(stream_record(place, user=f"u-{place}", new={"name": {"S": "x"}}, **more) for place in places))


def deliver(bench, *places, trunk=None):
    return distribute(batch(*places), Context(), trunk or bench.trunk())


class Raises:
    """A bug of a branch, at a user."""

    def __init__(self, user):
        self.user, self.seen = user, []

    def apply(self, changes, deadline):
        if any(change.keys["user_id"] == self.user for change in changes):
            raise KeyError("secret@example.com")
        self.seen += changes
        return [APPLIED] * len(changes)


class Hangs:
    """A branch whose sink does not answer in time."""

    def apply(self, changes, deadline):
        time.sleep(deadline.left() + 0.01)
        return [FAILED] * len(changes)


def test_each_branch_has_an_outcome_for_each_change_and_counts_of_its_own(capsys):
    bench = Bench({"derive": Ledger(APPLIED, **{"u-1": PARKED}), "index": Ledger(IGNORED)})
    assert deliver(bench, 0, 1) == NOTHING
    (parked,) = bench.parking.objects
    assert parked.startswith("parked/derive/")
    found = counts(capsys)
    assert {key: found["derive"][key] for key in ("Received", "Applied", "Parked")} == {
        "Received": 2,
        "Applied": 1,
        "Parked": 1,
    }
    assert {key: found["index"][key] for key in ("Received", "Ignored")} == {"Received": 2, "Ignored": 2}


def test_a_batch_is_decoded_once(monkeypatch):
    calls, decode = [], stream_records.decode
    monkeypatch.setattr(stream_records, "decode", lambda *given: calls.append(given) or decode(*given))
    deliver(Bench({"derive": Ledger(APPLIED), "index": Ledger(APPLIED), "archive": Ledger(APPLIED)}), 0, 1)
    assert len(calls) == 1


def test_the_first_record_that_failed_in_any_branch_is_answered():
    bench = Bench({"derive": Ledger(APPLIED, **{"u-2": FAILED}), "index": Ledger(APPLIED, **{"u-1": FAILED})})
    assert deliver(bench, 0, 1, 2) == failed_at(1)
    assert bench.s3.state == {}


def test_a_failed_change_that_has_waited_long_is_deferred_alone(capsys):
    bench = Bench({"derive": Ledger(APPLIED), "index": Ledger(APPLIED, **{"u-1": FAILED})})
    bench.clock.now = CREATED + AFTER + 1
    assert deliver(bench, 0, 1, 2) == NOTHING
    (change,) = bench.deferred("index")
    assert (change.table, change.key, change.version) == (
        "users",
        {"user_id": {"S": "u-1"}},
        f"{int(sequence(1)):046d}",
    )
    assert bench.deferred("derive") == []
    found = counts(capsys)["index"]
    assert (found["Received"], found["Applied"], found["Deferred"], found["Failed"]) == (3, 2, 1, 0)
    assert bench.state("index") == "closed"


def test_received_is_the_sum_of_six_outcomes(capsys):
    ends = {"u-0": IGNORED, "u-1": PARKED, "u-2": FAILED, "u-3": outcomes.SUPERSEDED}
    bench = Bench({"derive": Ledger(APPLIED, **ends)})
    bench.clock.now = CREATED + AFTER + 1
    deliver(bench, *range(5))
    found = counts(capsys)["derive"]
    assert found["Received"] == 5 == sum(found.get(status.value, 0) for status in Status)
    assert found["Deferred"] == 1


def test_a_branch_that_fails_too_long_is_called_no_more_and_the_others_go_on():
    down, up = Ledger(FAILED), Ledger(APPLIED)
    bench = Bench({"derive": up, "index": down})
    assert deliver(bench, 0, 1) == failed_at(0)
    assert bench.state("index") == "failing"
    bench.clock.now += AFTER + 1
    assert deliver(bench, 0, 1) == NOTHING
    assert bench.state("index") == "open"
    called = len(down.seen)
    assert deliver(bench, 2, 3) == NOTHING
    assert len(down.seen) == called
    assert [change.item for change in bench.deferred("index")] == [f"user_id=S:u-{at}" for at in range(4)]
    assert len(up.seen) == 6


class Folds:
    """A branch that asks its sink for the newest change of each item alone; the sink takes these users."""

    def __init__(self, *taken):
        self.taken = taken

    def apply(self, changes, deadline):
        newest = {change.keys["user_id"]: change for change in changes}
        ends = {True: APPLIED, False: FAILED}
        return [
            ends[user in self.taken] if newest[user] is change else outcomes.SUPERSEDED
            for change in changes
            for user in [change.keys["user_id"]]
        ]


def bursts(*users):
    """Two changes of each."""
    return event(*(stream_record(at, user=user, new={"name": {"S": "x"}}) for at, user in enumerate([*users] * 2)))


def test_a_superseded_change_does_not_show_that_the_sink_answers():
    bench = Bench({"derive": Ledger(APPLIED), "index": Folds()})
    assert distribute(bursts("a", "b"), Context(), bench.trunk()) == failed_at(2)
    assert bench.state("index") == "failing"
    bench.clock.now += AFTER + 1
    assert distribute(bursts("a", "b"), Context(), bench.trunk()) == NOTHING
    assert bench.state("index") == "open"


def test_a_branch_that_takes_another_item_of_the_batch_works():
    bench = Bench({"index": Folds("c")})
    distribute(bursts("a", "b", "c"), Context(), bench.trunk())
    assert bench.state("index") == "closed"


class Watches:
    """Notes how long the branch and its clients may take."""

    def apply(self, changes, deadline):
        self.left, self.governing = deadline.left(), governing().left()
        return [APPLIED] * len(changes)


@pytest.mark.parametrize(("remaining", "most"), [(600.0, AFTER), (20.0, 17.0)])
def test_a_branch_takes_no_more_of_a_batch_than_it_may_fail(remaining, most):
    """A sink that is down is tried for as long as there is time, and the other branches' next batch waits for that."""
    branch = Watches()
    distribute(batch(0), Context(remaining), Bench({"index": branch}).trunk())
    assert most - 1 < branch.left <= most
    assert most - 1 < branch.governing <= most


def test_what_is_deferred_twice_is_one_object():
    bench = Bench({"index": Ledger(FAILED)})
    bench.breakers().move("index", CLOSED, Row(State.OPEN, 1.0))
    for _ in range(2):
        deliver(bench, 0, 1)
    (name,) = bench.s3.state
    assert name.startswith(f"deferred/index/{int(sequence(0)):040d}-{int(sequence(1)):040d}-2-")


def test_a_change_that_s3_does_not_take_fails_as_today(monkeypatch):
    bench = Bench({"derive": Ledger(APPLIED), "index": Ledger(APPLIED)})
    bench.breakers().pause("index")

    def refuse(**_):
        raise ClientError({"Error": {"Code": "SlowDown", "Message": "no"}}, "PutObject")

    monkeypatch.setattr(bench.s3, "put_object", refuse)
    assert deliver(bench, 0, 1) == failed_at(0)


def test_one_failing_item_opens_nothing_however_long_it_fails():
    bench = Bench({"index": Ledger(APPLIED, **{"u-0": FAILED})})
    for _ in range(5):
        deliver(bench, 0)
        bench.clock.now += AFTER
    assert bench.state("index") == "failing"
    deliver(bench, 1)
    assert bench.state("index") == "closed"


def test_a_branch_that_fails_item_by_item_is_opened_as_well():
    bench = Bench({"index": Ledger(FAILED)})
    for place in range(3):
        deliver(bench, place)
        bench.clock.now += AFTER
    assert bench.state("index") == "open"


def test_a_branch_that_hangs_until_the_deadline_is_seen_to_fail():
    bench = Bench({"derive": Ledger(APPLIED), "index": Hangs()})
    assert distribute(batch(0, 1), Context(0.8), bench.trunk()) == failed_at(0)
    assert bench.state("index") == "failing"
    bench.clock.now += AFTER + 1
    assert distribute(batch(0, 1), Context(0.8), bench.trunk()) == NOTHING
    assert (bench.state("index"), len(bench.deferred("index"))) == ("open", 2)


def test_a_bug_of_a_branch_fails_its_change_and_no_other():
    broken, other = Raises("u-2"), Ledger(APPLIED)
    bench = Bench({"derive": broken, "index": other})
    assert deliver(bench, 0, 1, 2, 3) == failed_at(2)
    assert {change.keys["user_id"] for change in broken.seen} == {"u-0", "u-1", "u-3"}
    assert len(other.seen) == 4


def test_the_cause_of_a_bug_names_a_place_and_quotes_no_item(capsys, monkeypatch, request):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", request.node.name)
    deliver(Bench({"derive": Raises("u-0")}), 0)
    out = capsys.readouterr().out
    assert "the branch raised KeyError at test_trunk.py:" in out
    assert "secret@example.com" not in out


def test_what_is_no_change_is_parked_by_each_branch_whatever_its_state():
    record = stream_record(0)
    del record["dynamodb"]["Keys"]
    bench = Bench({"derive": Ledger(APPLIED), "index": Ledger(APPLIED), "welcome": Always(frozenset({Kind.INSERT}))})
    bench.breakers().pause("index")
    assert distribute(event(record), Context(), bench.trunk()) == NOTHING
    assert {name.split("/")[1] for name in bench.parking.objects} == {"derive", "index", "welcome"}
    assert bench.s3.state == {}


def test_a_branch_whose_sink_has_another_stream_bound_fails_alone():
    def bind(stream, generation):
        raise ForeignStream("it belongs to another stream")

    bench = Bench({"derive": Ledger(APPLIED)})
    trunk = bench.trunk(Streams(0, {ARN: 0}, bind))
    assert distribute(batch(0, 1), Context(), trunk) == failed_at(0)
    assert bench.branches["derive"].seen == []


def test_welcome_defers_each_of_its_changes_and_ignores_the_others():
    bench = Bench({"welcome": Always(frozenset({Kind.INSERT}))})
    records = [stream_record(0), stream_record(1, "MODIFY", old={"a": {"S": "1"}}), stream_record(2, "REMOVE", old={})]
    again = {**stream_record(3), "distributary": {"origin": "redrive"}}
    assert distribute(event(*records, again), Context(), bench.trunk()) == NOTHING
    (change,) = bench.deferred("welcome")
    assert change.record == stream_record(0)


def test_the_trunk_takes_no_commands():
    with pytest.raises(ConfigError, match="give them to the function of the branch"):
        distribute({"distributary": {"reconcile": []}}, Context(), Bench({"derive": Ledger(APPLIED)}).trunk())


def test_a_paused_branch_is_not_called_until_it_is_resumed():
    branch = Ledger(APPLIED)
    bench = Bench({"index": branch})
    bench.breakers().pause("index")
    bench.breakers().pause("index")
    assert deliver(bench, 0) == NOTHING
    assert branch.seen == []
    assert bench.breakers().resume("index") is True
    assert bench.breakers().resume("index") is False
    assert deliver(bench, 1) == NOTHING
    assert len(branch.seen) == 1
    assert bench.state("index") == "closed"


def test_an_environment_reads_the_breakers_at_most_every_five_seconds():
    bench = Bench({"index": Ledger(APPLIED)})
    trunk = bench.trunk()
    for _ in range(3):
        deliver(bench, 0, trunk=trunk)
    assert bench.dynamodb.calls["BatchGetItem"] == 1
    bench.breakers().pause("index")
    deliver(bench, 0, trunk=trunk)
    assert bench.s3.state == {}
    bench.clock.now += READ_SECONDS
    deliver(bench, 1, trunk=trunk)
    assert len(bench.s3.state) == 1


def test_a_table_of_breakers_that_does_not_answer_stops_no_branch(monkeypatch):
    bench = Bench({"derive": Ledger(APPLIED), "index": Ledger(APPLIED, **{"u-1": FAILED})})

    def refuse(**_):
        raise dynamodb.THROTTLED

    for operation in ("batch_get_item", "put_item", "delete_item"):
        monkeypatch.setattr(bench.dynamodb, operation, refuse)
    assert deliver(bench, 0, 1) == failed_at(1)
    assert len(bench.branches["derive"].seen) == 2


def test_a_breaker_that_cannot_be_written_changes_no_outcome(monkeypatch):
    bench = Bench({"index": Ledger(PARKED, **{"u-1": FAILED})})

    def refuse(**_):
        raise dynamodb.THROTTLED

    monkeypatch.setattr(bench.dynamodb, "put_item", refuse)
    assert deliver(bench, 0, 1) == failed_at(1)
    assert (len(bench.parking.objects), bench.s3.state) == (1, {})


def test_a_pause_that_is_always_overtaken_says_so(monkeypatch):
    bench = Bench({"index": Ledger(APPLIED)})

    def overtaken(**_):
        raise refusal("PutItem", "ConditionalCheckFailedException", "no")

    monkeypatch.setattr(bench.dynamodb, "put_item", overtaken)
    with pytest.raises(Unavailable, match="keeps moving: run it again"):
        bench.breakers().pause("index")


def test_a_record_nested_too_deep_is_parked_where_its_batch_is_deferred():
    bench, deep = Bench({"archive": Ledger(APPLIED)}), {"S": "x"}
    bench.breakers().pause("archive")
    for _ in range(5_000):
        deep = {"L": [deep]}
    records = [stream_record(place, user=f"u-{place}", new={"name": {"S": "x"}}) for place in range(3)]
    records[1]["dynamodb"]["NewImage"]["name"] = deep
    assert distribute(event(*records), Context(), bench.trunk()) == NOTHING
    assert [each.item for each in bench.deferred("archive")] == ["user_id=S:u-0", "user_id=S:u-2"]
    (body,) = bench.parking.bodies().values()
    assert (body["key"], "nested too deep" in body["cause"]) == ({"user_id": {"S": "u-1"}}, True)


def test_a_failed_change_that_tells_no_time_is_deferred_at_once():
    bench, record = Bench({"index": Ledger(FAILED)}), stream_record(0)
    del record["dynamodb"]["ApproximateCreationDateTime"]
    assert distribute(event(record), Context(), bench.trunk()) == NOTHING
    assert len(bench.deferred("index")) == 1


def test_what_a_branch_raises_on_purpose_is_its_changes_cause(capsys, monkeypatch, request):
    class Down:
        def apply(self, changes, deadline):
            raise Unavailable("the index does not answer")

    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", request.node.name)
    assert deliver(Bench({"index": Down(), "derive": Ledger(APPLIED)}), 0) == failed_at(0)
    assert "the index does not answer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "seen", "expected"),
    [
        (CLOSED, Seen(True, frozenset("ab")), CLOSED),
        (CLOSED, Seen(False, frozenset()), CLOSED),
        (CLOSED, Seen(False, frozenset("a")), Row(State.FAILING, 1000.0, "a")),
        (CLOSED, Seen(False, frozenset("ab")), Row(State.FAILING, 1000.0)),
        (Row(State.FAILING, 900.0, "a"), Seen(False, frozenset("a")), Row(State.FAILING, 900.0, "a")),
        (Row(State.FAILING, 990.0, "a"), Seen(False, frozenset("b")), Row(State.FAILING, 990.0)),
        (Row(State.FAILING, 900.0, "a"), Seen(False, frozenset("b")), Row(State.OPEN, 1000.0)),
        (Row(State.FAILING, 900.0), Seen(False, frozenset("a")), Row(State.OPEN, 1000.0)),
        (Row(State.FAILING, 900.0), Seen(True, frozenset("a")), CLOSED),
        (Row(State.TRIAL, 900.0), Seen(False, frozenset("ab")), Row(State.OPEN, 1000.0)),
        (Row(State.TRIAL, 900.0), Seen(False, frozenset("a")), Row(State.FAILING, 1000.0, "a")),
        (Row(State.TRIAL, 900.0), Seen(True, frozenset()), CLOSED),
        (Row(State.OPEN, 900.0), Seen(True, frozenset()), Row(State.OPEN, 900.0)),
        (Row(State.PAUSED, 900.0), Seen(True, frozenset()), Row(State.PAUSED, 900.0)),
    ],
)
def test_a_row_follows_from_what_a_batch_showed(row, seen, expected):
    assert following(row, seen, 1000.0, AFTER) == expected


MOVES = {
    "close": lambda breakers, row: breakers.move("index", row, CLOSED),
    "open": lambda breakers, row: breakers.move("index", row, Row(State.OPEN, 7.0)),
    "fail": lambda breakers, row: breakers.move("index", row, Row(State.FAILING, 8.0, "b")),
    "pause": lambda breakers, _: breakers.pause("index"),
}


@pytest.mark.parametrize("row", [CLOSED, Row(State.FAILING, 1.5, "a"), Row(State.OPEN, 2.25), Row(State.TRIAL, 3.0)])
@pytest.mark.parametrize("first", MOVES)
@pytest.mark.parametrize("second", ["close", "open", "fail"])
def test_a_move_that_was_decided_on_an_older_row_is_none(first, second, row):
    """Of any two that have read the same row, each before the other."""
    if row == CLOSED and first == "close":
        return
    breakers = Bench({"index": Ledger(APPLIED)}).breakers()
    breakers.move("index", CLOSED, row)
    MOVES[first](breakers, row)
    after = breakers.read()["index"]
    assert after != row
    assert MOVES[second](breakers, row) is False
    assert breakers.read()["index"] == after


def test_a_row_is_read_as_it_was_written():
    breakers = Breakers(Bench({}).dynamodb, "breakers", ("index",))
    for row in (Row(State.FAILING, 1795341600.125, "digest"), Row(State.PAUSED, 12.5)):
        breakers.move("index", breakers.read()["index"], row)
        assert breakers.read()["index"] == row


def test_parked_by_the_trunk_is_what_the_branch_itself_parks():
    bench = Bench({"derive": Ledger(PARKED)}, parking=Bucket())
    deliver(bench, 0)
    (body,) = bench.parking.objects.values()
    assert json.loads(body)["branch"] == "derive"
