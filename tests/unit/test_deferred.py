"""What was deferred is given to its branch once it answers, and nothing of it is lost."""

import gzip
import json
import re
import sys
from dataclasses import replace

import pytest

from distributary.consumer import outcome as outcomes
from distributary.consumer.consume import consume
from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.outcome import APPLIED, SUPERSEDED
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.replay import LATE
from distributary.errors import ConfigError, Rejected, Unavailable
from distributary.feed.invoke import Feed
from distributary.feed.settings import Function
from distributary.stream.change import Kind
from distributary.trunk.branch_code import load
from distributary.trunk.breaker import CLOSED, Breakers, Row, State
from distributary.trunk.deferred import changes_in, entry_of
from distributary.trunk.feeder import MOST, ONCE, RUN_SECONDS, Feeder, feed_all
from distributary.trunk.trunk import Always, distribute
from tests.fakes import s3
from tests.fakes.streaming import CREATED, TTL
from tests.unit.branches import Context, Ledger
from tests.unit.records import ARN, change, event, stream_record
from tests.unit.trunks import Bench, deployment

FAILED = outcomes.failed(Unavailable("no answer"))
PARKED = outcomes.parked(Rejected("never"))


class Items:
    """A state branch's own function: what it answers by item, and what it was asked."""

    def __init__(self, default=APPLIED, **by_user):
        self.default, self.by_user, self.asked, self.raises = default, by_user, [], ""

    def __call__(self, requests, deadline):
        users = [each.keys["user_id"]["S"] for each in requests]
        if self.raises in users:
            raise KeyError("a bug")
        self.asked += requests
        return [self.by_user.get(user, self.default) for user in users]


class Fed(Bench):
    """A trunk, and the feeder of its branches' own functions: `items` of derive, `ledger` of the event branches."""

    def __init__(self, branch="derive", items=None, ledger=None):
        limb = Always(frozenset({Kind.INSERT})) if branch == "welcome" else Ledger(APPLIED)
        super().__init__({branch: limb})
        self.branch, self.items, self.ledger, self.events, self.down = branch, items or Items(), ledger, [], False

    def invoke(self, sent):
        self.events.append(sent)
        if self.down:
            raise Unavailable("the function does not answer")
        own = deployment(self.ledger, self.branch, replays=True)
        if self.ledger is None:
            own = deployment(Ledger(APPLIED), self.branch, reconciler=self.items)
        try:
            return consume(json.loads(json.dumps(sent)), Context(), own)
        except KeyError as error:
            raise Unavailable(f"KeyError: {error}") from None

    def feeder(self):
        function = Function.of("arn:aws:lambda:eu-west-1:1:function:f:live", {ARN: 0}, (), 0)

        def parking(branch):
            return Parking(self.parking, "parking", branch, Parallel(1))

        feed = Feed(self.invoke, deadline=ONCE)
        return Feeder(
            self.store, {self.branch: function}, lambda *_: feed, parking, self.breakers(), Parallel(4), self.clock
        )

    def defer(self, *records):
        """By a trunk whose breaker is open."""
        self.breakers().pause(self.branch)
        for record in records:
            distribute(event(record), Context(), self.trunk())
        self.breakers().resume(self.branch)

    def feed(self, deadline=FOREVER):
        return self.feeder().run(self.branch, deadline)


def record(place, **more):
    return stream_record(place, user=f"u-{place}", new={"name": {"S": "x" * 20}}, **more)


def test_a_state_branch_is_asked_for_the_keys_and_the_bucket_holds_no_image():
    fed = Fed()
    fed.defer(
        record(0),
        stream_record(1, "REMOVE", user="u-1", old={}),
        stream_record(2, "REMOVE", user="u-2", old={}, userIdentity=TTL),
    )
    assert b"x" * 20 not in b"".join(map(gzip.decompress, fed.s3.state.values()))
    found = fed.feed()
    assert (found.done, found.backlog, fed.s3.state) == (3, 0, {})
    assert [(each.removed, each.expired) for each in fed.items.asked] == [(False, False), (True, False), (False, True)]
    assert [each.version for each in fed.items.asked] == [change(place).version for place in range(3)]


@pytest.mark.parametrize(
    ("branch", "whole"), [("derive", False), ("index", False), ("replicate", True), ("archive", True)]
)
def test_what_a_branch_needs_of_a_record_is_kept(branch, whole):
    sent = record(0)
    entry = entry_of(branch, change(0, user="u-0", new={"name": {"S": "x" * 20}}))
    assert entry["key"] == {"user_id": {"S": "u-0"}}
    assert ("NewImage" in entry["record"]["dynamodb"]) is whole
    same = ("eventID", "eventName", "eventSourceARN")
    assert {name: entry["record"][name] for name in same} == {name: sent[name] for name in same}
    assert entry["record"]["dynamodb"]["ApproximateCreationDateTime"] == CREATED


def test_an_event_branch_gets_the_records_themselves():
    fed = Fed("archive", ledger=Ledger(APPLIED))
    fed.defer(record(0), record(1))
    assert fed.feed().done == 2
    assert [dict(each.record) for each in fed.ledger.seen] == [record(0), record(1)]


def test_welcome_gets_as_many_as_by_its_mapping_one_parcel_after_the_other():
    fed = Fed("welcome", ledger=Ledger(APPLIED))
    distribute(event(*(record(place) for place in range(25))), Context(), fed.trunk())
    assert fed.feed().done == 25
    assert [len(each["distributary"]["replay"]) for each in fed.events] == [10, 10, 5]
    assert MOST["welcome"] == 10


def test_a_message_that_is_too_old_is_listed_as_parked_and_never_silent():
    late = outcomes.Outcome(outcomes.Status.IGNORED, LATE)
    fed = Fed("welcome", ledger=Ledger(APPLIED, **{"u-1": late}))
    distribute(event(record(0), record(1)), Context(), fed.trunk())
    found = fed.feed()
    assert (found.done, found.parked, found.backlog) == (1, 1, 0)
    (body,) = fed.parking.bodies().values()
    assert LATE in body["cause"]
    assert (body["branch"], body["key"], body["record"]) == ("welcome", {"user_id": {"S": "u-1"}}, record(1))


def test_what_is_parked_leaves_the_bucket_only_once_it_is_parked():
    fed = Fed(items=Items(**{"u-1": PARKED}))
    fed.defer(record(0), record(1))
    fed.parking.refuses = "parked/"
    assert (fed.feed().done, len(fed.deferred())) == (1, 1)
    fed.parking.refuses = ""
    assert (fed.feed().parked, fed.s3.state) == (1, {})
    (body,) = fed.parking.bodies().values()
    assert body["cause"] == "never"
    assert body["key"] == {"user_id": {"S": "u-1"}}


def test_what_fails_is_put_before_the_rest_is_removed(monkeypatch):
    fed = Fed(items=Items(**{"u-1": FAILED}))
    fed.breakers().pause("derive")
    distribute(event(*map(record, range(3))), Context(), fed.trunk())
    fed.breakers().resume("derive")
    calls, put, remove = [], fed.s3.put_object, fed.s3.delete_object
    monkeypatch.setattr(fed.s3, "put_object", lambda **named: calls.append("put") or put(**named))
    monkeypatch.setattr(fed.s3, "delete_object", lambda **named: calls.append("delete") or remove(**named))
    found = fed.feed()
    assert calls == ["put", "delete"]
    assert (found.done, found.left.total(), found.backlog) == (2, 1, 1)
    assert [each.item for each in fed.deferred()] == ["user_id=S:u-1"]
    assert (fed.feed().done, calls) == (0, ["put", "delete"])


def test_an_open_branch_is_probed_and_nothing_more_is_sent_while_it_fails():
    fed = Fed(items=Items(FAILED))
    fed.defer(*map(record, range(9)))
    fed.breakers().move("derive", fed.breakers().read()["derive"], Row(State.OPEN, 1.0))
    found = fed.feed()
    assert (found.state, found.backlog, len(fed.events)) == (State.OPEN, 9, 3)
    fed.items.default = APPLIED
    found = fed.feed()
    assert (found.state, found.done, found.backlog) == (State.CLOSED, 9, 0)


@pytest.mark.parametrize("branch", ["derive", "archive"])
def test_a_branch_that_parks_all_it_is_probed_with_answers(branch):
    """Else messages that are too old by now, and nothing else, would keep it open for ever."""
    fed = Fed(branch, items=Items(PARKED), ledger=None if branch == "derive" else Ledger(PARKED))
    fed.defer(*map(record, range(2)))
    fed.breakers().move(branch, fed.breakers().read()[branch], Row(State.OPEN, 1.0))
    found = fed.feed()
    assert (found.state, found.parked, found.backlog) == (State.CLOSED, 2, 0)
    assert len(fed.parking.bodies()) == 2


def test_a_change_that_is_parked_beside_one_that_fails_says_nothing():
    """It may be parked without a look at the sink, and the trunk's next batch would wait for one that is down."""
    fed = Fed(items=Items(FAILED, **{"u-0": PARKED}))
    fed.store.put("derive", [entry_of("derive", change(at, user=f"u-{at}")) for at in range(2)])
    fed.breakers().move("derive", fed.breakers().read()["derive"], Row(State.OPEN, 1.0))
    assert (fed.feed().state, list(fed.parking.bodies())) == (State.OPEN, [])


def test_an_open_branch_without_a_backlog_is_tried_with_what_comes_next():
    fed = Fed()
    fed.breakers().move("derive", CLOSED, Row(State.OPEN, 1.0))
    fed.feed()
    assert fed.state() == "closed"


def test_a_branch_on_trial_that_takes_nothing_is_opened_again():
    fed = Fed(items=Items(FAILED))
    fed.defer(*map(record, range(4)))
    assert fed.state() == "trial"
    assert fed.feed().state is State.OPEN


def test_a_paused_branch_is_not_fed_and_what_is_deferred_is_counted():
    fed = Fed()
    fed.defer(record(0), record(1))
    fed.breakers().pause("derive")
    fed.clock.now = CREATED + 100
    found = fed.feed()
    assert (found.done, found.backlog, found.age, fed.events) == (0, 2, 100.0, [])


def test_a_pause_during_a_run_ends_it_after_the_chunk():
    fed = Fed()
    fed.defer(*map(record, range(250)))
    pause, items = fed.breakers().pause, fed.items
    fed.items = lambda requests, deadline: pause("derive") or items(requests, deadline)
    assert fed.feed().backlog == 150


def test_more_and_more_is_given_at_once_as_long_as_it_is_taken():
    fed, chunks = Fed(), []
    fed.defer(*map(record, range(700)))
    feeder = fed.feeder()
    run = feeder.parallel.run
    feeder.parallel.run = lambda call, tasks, deadline: chunks.append(len(tasks)) or run(call, tasks, deadline)
    feeder.run("derive", FOREVER)
    assert chunks == [1, 2, 4]


def test_objects_that_fail_for_good_hold_up_no_others():
    """Each run begins a minute later, and so at another object."""
    bad = {f"u-{place}": FAILED for place in range(400)}
    fed = Fed(items=Items(**bad))
    fed.defer(*map(record, range(420)))
    runs = 0
    while fed.feed().backlog > 400:
        fed.clock.now += 60 * 37
        runs += 1
        assert runs < 30


def test_a_bug_in_the_function_holds_up_its_change_alone():
    fed = Fed()
    fed.items.raises = "u-3"
    fed.defer(*map(record, range(6)))
    found = fed.feed()
    assert (found.done, found.backlog) == (5, 1)
    assert [each.item for each in fed.deferred()] == ["user_id=S:u-3"]


def test_a_function_that_does_not_answer_keeps_everything_where_it_is():
    fed = Fed()
    fed.defer(*map(record, range(3)))
    before, fed.down = dict(fed.s3.state), True
    found = fed.feed(Deadline(0.0))
    assert (found.done, found.backlog, fed.s3.state) == (0, 3, before)


def test_what_a_run_does_not_reach_is_left_to_the_next_one():
    fed = Fed()
    fed.breakers().pause("derive")
    distribute(event(*map(record, range(250))), Context(), fed.trunk())
    fed.breakers().resume("derive")
    assert fed.feed(Deadline(0.0)).backlog == 150
    assert fed.feed(Deadline(0.0)).backlog == 50
    assert fed.feed(Deadline(0.0)).backlog == 0
    assert RUN_SECONDS < 60


def test_a_backlog_of_several_pages_is_fed_whole():
    fed = Fed()
    fed.s3.page_keys = 2
    fed.defer(*map(record, range(5)))
    found = fed.feed()
    assert (found.done, found.backlog, fed.s3.state) == (5, 0, {})


def test_an_object_that_cannot_be_read_stays_and_stops_the_run(monkeypatch):
    fed = Fed()
    fed.defer(record(0))
    before = dict(fed.s3.state)

    def refuse(**_):
        raise s3.THROTTLED

    monkeypatch.setattr(fed.s3, "get_object", refuse)
    with pytest.raises(Unavailable, match="feeding derive: SlowDown"):
        fed.feed()
    assert fed.s3.state == before


def test_an_object_that_is_gone_by_now_holds_nothing():
    """Another run has fed it since it was listed."""
    fed = Fed()
    fed.defer(record(0))
    (place,) = fed.store.places("derive")
    fed.store.remove(place)
    assert fed.store.read("derive", place) == []


def test_a_change_that_comes_twice_is_superseded_and_gone():
    fed = Fed(items=Items(SUPERSEDED))
    fed.defer(record(0))
    assert (fed.feed().done, fed.s3.state) == (1, {})


def test_a_foreign_object_in_the_bucket_is_an_error_and_other_branches_are_fed():
    fed = Fed()
    fed.s3.put_object(Bucket="deferred", Key="deferred/derive/notes.txt", Body=b"", ContentType="text/plain")
    feeder, told = fed.feeder(), []
    both = replace(
        feeder,
        functions={**feeder.functions, "index": feeder.functions["derive"]},
        breakers=Breakers(fed.dynamodb, "breakers", ("derive", "index")),
    )
    fed.store.put("index", [entry_of("index", change(0))])
    with pytest.raises(ConfigError, match=r"notes\.txt: this object is none"):
        feed_all(both, told.append, FOREVER)
    assert [(each.branch, each.done, each.backlog) for each in told] == [("index", 1, 0)]
    assert changes_in("deferred/derive/" + f"{1:040d}-{2:040d}-7-1700000000-0123456789ab.json.gz") == 7
    assert changes_in("deferred/derive/" + f"{1:040d}-{2:040d}-7-0123456789ab.json.gz") == 7


def test_a_damaged_object_is_named_and_stays():
    fed = Fed()
    fed.defer(record(0))
    (name,) = fed.s3.state
    fed.s3.state[name] = fed.s3.state[name][:-9]
    with pytest.raises(ConfigError, match="the object is damaged"):
        fed.feed()
    assert name in fed.s3.state


def test_an_object_of_a_later_release_is_refused():
    fed = Fed()
    fed.defer(record(0))
    (name,) = fed.s3.state
    body = json.loads(gzip.decompress(fed.s3.state[name])) | {"format": 2}
    fed.s3.state[name] = gzip.compress(json.dumps(body).encode())
    with pytest.raises(ConfigError, match="a later release wrote it"):
        fed.feed()


def test_the_age_is_that_of_the_oldest_change_however_often_it_failed():
    fed = Fed(items=Items(FAILED))
    fed.defer(record(5), record(2))
    fed.clock.now = CREATED + 7200
    assert fed.feed().age == 7200


def made_at(place, seconds):
    found = record(place)
    found["dynamodb"]["ApproximateCreationDateTime"] = seconds
    return found


def test_the_age_is_by_the_time_of_the_changes_not_by_their_sequence_numbers(monkeypatch):
    """Shards number their records each by itself. No object is read for it."""
    fed = Fed(items=Items(FAILED))
    fed.defer(made_at(1, CREATED + 60), made_at(5, CREATED - 600), made_at(9, CREATED))
    fed.clock.now = CREATED + 100
    fed.breakers().pause("derive")
    monkeypatch.setattr(fed.s3, "get_object", None, raising=False)
    found = fed.feed()
    assert (found.backlog, found.age) == (3, 700)


def test_the_age_of_several_changes_in_an_object_is_that_of_the_oldest():
    fed = Fed(items=Items(FAILED))
    changes = [replace_created(change(at), CREATED + 30 - 10 * at) for at in range(3)]
    fed.store.put("derive", [entry_of("derive", each) for each in changes])
    fed.clock.now = CREATED + 100
    assert fed.feed().age == 90


def test_a_change_without_a_time_is_as_old_as_its_object():
    fed = Fed(items=Items(FAILED))
    timeless = record(1)
    del timeless["dynamodb"]["ApproximateCreationDateTime"]
    fed.defer(timeless)
    (place,) = fed.store.places("derive")
    fed.clock.now = place.when.timestamp() + 50
    assert fed.feed().age == 50


def test_an_object_whose_name_tells_no_time_is_read_for_it():
    """As 0.2 before its first release wrote them."""
    fed = Fed(items=Items(FAILED))
    fed.defer(made_at(1, CREATED - 600))
    (name,) = list(fed.s3.state)
    fed.s3.state[re.sub(r"-[0-9]{10}-", "-", name)] = fed.s3.state.pop(name)
    fed.clock.now = CREATED + 100
    assert (fed.feed().age, fed.feed().backlog) == (700, 1)


def replace_created(found, seconds):
    return found._replace(created=seconds)


def folder(root, branch, text, **modules):
    own = root / branch
    own.mkdir()
    (own / "app.py").write_text(text)
    for name, content in modules.items():
        (own / f"{name}.py").write_text(content)


@pytest.fixture
def path():
    before, known = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = before
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.mark.usefixtures("path")
def test_two_branches_may_have_modules_of_one_name(tmp_path):
    text = "import shapes_of_trunk\nNAME = shapes_of_trunk.NAME\n\ndef later():\n    return shapes_of_trunk.NAME\n"
    folder(tmp_path, "derive", text, shapes_of_trunk="NAME = 'derive'\n")
    folder(tmp_path, "index", text, shapes_of_trunk="NAME = 'index'\n")
    derive, index = load(tmp_path, "derive"), load(tmp_path, "index")
    assert (derive.NAME, index.NAME, derive.later(), index.later()) == ("derive", "index", "derive", "index")


@pytest.mark.usefixtures("path")
def test_a_branch_imports_from_its_folder_later_as_well(tmp_path):
    text = "def later():\n    from afterwards_of_trunk import NAME\n    return NAME\n"
    folder(tmp_path, "derive", text, afterwards_of_trunk="NAME = 'late'\n")
    assert load(tmp_path, "derive").later() == "late"


def test_a_branch_that_the_trunk_was_built_without_is_named(tmp_path):
    (tmp_path / "derive").mkdir()
    with pytest.raises(ConfigError, match=r"without derive: its folder has no derive/app\.py"):
        load(tmp_path, "derive")
