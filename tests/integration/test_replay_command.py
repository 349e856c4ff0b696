"""`distributary replay`: welcome gets archived changes again, by a window of time and by key."""

import gzip

import pytest

from cli.main import main
from distributary.consumer import outcome as outcomes
from distributary.consumer.consume import Deployment
from distributary.consumer.outcome import APPLIED, Outcome, Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.errors import Rejected, Unavailable
from distributary.welcome.branch import LATE
from tests.fakes.stack import Lambda, clients
from tests.fakes.waiting import without_waiting
from tests.unit import archives
from tests.unit.branches import Bucket, Ledger
from tests.unit.records import change

WINDOW = ("--from", "2026-11-22T10:00:00Z", "--to", "2026-11-23T00:00:00Z")


class Town:
    """A stack with welcome, and an archive of two invocations, of which one came twice."""

    def __init__(self):
        self.welcome = Ledger(APPLIED)
        first = [change(1, user="u"), change(2, user="v")]
        removed = change(4, "REMOVE", user="u", userIdentity=TTL)
        self.archive = archives.archived([first, [change(3, user="w")], first, [removed]])
        self.functions = Lambda({"welcome": self.deployment(True)})
        self.clients = clients("parking", None, self.functions, dynamodb=self)

    def deployment(self, replays):
        parking = Parking(Bucket(), "parking", "welcome", Parallel(1))
        return Deployment(self.welcome, parking, Telemetry("welcome"), Streams(0), replays=replays)

    def run(self, *more, window=WINDOW, function="welcome"):
        place = ("--stack", "shop", "--archive", "s3://archive")
        return main(["replay", "users", "--function", function, *place, *window, *more])

    def describe_table(self, *, TableName):
        key = {"AttributeName": "user_id"}
        return {"Table": {"KeySchema": [key], "AttributeDefinitions": [{**key, "AttributeType": "S"}]}}

    def seen(self):
        return sorted((each.kind.value, each.keys["user_id"]) for each in self.welcome.seen)


TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
ALL = [("INSERT", "u"), ("INSERT", "v"), ("INSERT", "w"), ("REMOVE", "u")]


@pytest.fixture
def town(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    without_waiting(monkeypatch)
    found = Town()
    monkeypatch.setattr("cli.target.clients", lambda *_: found.clients)
    monkeypatch.setattr("cli.replaying.archive_of", lambda *_: found.archive)
    return found


def test_every_change_of_the_window_reaches_welcome_as_it_was(town, capsys):
    assert town.run() == 0
    assert town.seen() == ALL
    assert "4 records, 0 left" in capsys.readouterr().out
    (removed,) = [each for each in town.welcome.seen if each.kind.value == "REMOVE"]
    first = min(town.welcome.seen, key=lambda each: each.version)
    assert removed.expired
    same = ("source", "event_id", "kind", "version", "created", "expired", "origin")
    assert [getattr(first, name) for name in same] == [getattr(change(1, user="u"), name) for name in same]


def test_one_item_alone_is_replayed_by_its_key(town):
    assert town.run("--key", '{"user_id": {"S": "u"}}') == 0
    assert town.seen() == [("INSERT", "u"), ("REMOVE", "u")]


def test_nothing_outside_of_the_window_is_replayed(town):
    assert town.run(window=("--from", "2026-11-22T10:00:01Z", "--to", "2026-11-23T00:00:00Z")) == 0
    assert town.seen() == []


def test_a_window_outside_of_the_archive_is_one_line(town, capsys):
    assert town.run(window=("--from", "2026-11-20T10:00:00Z", "--to", "2026-11-23T00:00:00Z")) == 2
    assert "the archive of users begins at 2026-11-22T10:00:00Z" in capsys.readouterr().err
    assert town.run(window=("--from", "2026-11-25T10:00:00Z", "--to", "2026-11-26T00:00:00Z")) == 2
    assert "the archive of users ends in the hour of 2026-11-22T10:00:00Z" in capsys.readouterr().err


def test_a_dry_run_counts(town, capsys):
    assert town.run("--dry-run") == 0
    assert "4 records of 3 objects would be replayed" in capsys.readouterr().out
    assert town.seen() == []


def test_what_is_too_old_is_sent_on_demand_alone(town, capsys):
    town.welcome.default = Outcome(Status.IGNORED, LATE)
    assert town.run() == 1
    assert f"{LATE}; --even-if-old sends it" in capsys.readouterr().out
    town.welcome.default = APPLIED
    assert town.run("--even-if-old") == 0
    assert town.welcome.seen[-1].created is None


def test_an_object_whose_records_failed_is_read_again(town, tmp_path, capsys):
    state = str(tmp_path / "state.json")
    town.welcome.by_user = {"w": outcomes.failed(Unavailable("busy"))}
    assert town.run("--state", state) == 1
    town.welcome.by_user, town.welcome.seen = {}, []
    capsys.readouterr()
    assert town.run("--state", state) == 0
    assert town.seen() == [("INSERT", "w")]


def test_a_rerun_replays_what_is_left_alone_until_nothing_is(town, tmp_path, capsys):
    state = str(tmp_path / "state.json")
    town.welcome.by_user = {"v": outcomes.parked(Rejected("no locale"))}
    assert town.run("--state", state) == 1
    town.welcome.seen = []
    capsys.readouterr()
    assert town.run("--state", state) == 1
    assert (town.seen(), "1 records, 1 left" in capsys.readouterr().out) == ([("INSERT", "v")], True)
    town.welcome.by_user, town.welcome.seen = {}, []
    assert [town.run("--state", state), town.run("--state", state)] == [0, 0]
    assert town.seen() == [("INSERT", "v")]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"function": "derive"}, "--function derive: only welcome is replayed"),
        ({"window": ("--from", "soon", "--to", "later")}, "--from soon: give a time such as"),
        ({"window": ("--from", "2020-01-01", "--to", "2020-01-02")}, "the archive of users begins at"),
        ({"window": ("--from", "2026-11-23", "--to", "2026-11-22")}, "--to 2026-11-22: give a time after --from"),
    ],
)
def test_a_mistake_is_one_line(town, capsys, more, says):
    assert town.run(**more) == 2
    assert says in capsys.readouterr().err


def test_a_key_that_is_not_the_tables_is_a_mistake(town, capsys):
    assert town.run("--key", '{"user": {"S": "u"}}') == 2
    assert "--key: users has another key" in capsys.readouterr().err


def test_a_function_that_replays_nothing_says_so(town, capsys):
    town.functions.functions["welcome"] = town.deployment(False)
    assert town.run() == 2
    assert "welcome replays no records" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda whole: whole[:-20], ":2: the file is damaged: Compressed file ended"),
        (lambda whole: gzip.compress(gzip.decompress(whole) + b"nonsense\n"), ":3: this is no line of an archive: "),
        (lambda _: b"", ": the file is empty"),
    ],
    ids=["truncated", "no JSON", "empty"],
)
def test_a_damaged_object_is_named_and_once_it_is_whole_again_all_are_replayed(town, tmp_path, capsys, damage, says):
    s3, state = town.archive.place.s3, str(tmp_path / "state.json")
    name = sorted(s3.state)[0]
    whole = s3.state[name]
    s3.state[name] = damage(whole)
    assert [town.run("--dry-run"), town.run("--state", state)] == [2, 2]
    assert capsys.readouterr().err.count(f"{name}{says}") == 2
    s3.state[name] = whole
    assert town.run("--state", state) == 0
    assert set(town.seen()) == set(ALL)
