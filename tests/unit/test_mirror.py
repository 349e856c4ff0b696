"""A mirror has what its declaration says, nothing of what stays at home, and pays what the design says."""

import importlib.util
import time
from dataclasses import replace
from pathlib import Path
from threading import Lock

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.consumer.parallel import Parallel
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register
from distributary.errors import ConfigError
from distributary.replicate.declarations import Mirror, MultiActive, check, last_writer
from distributary.replicate.mirror import CALLS, REQUESTS, MirrorBranch
from distributary.replicate.settings import ReplicateSettings
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.entity import Entity
from distributary.stream.predicates import type_is
from tests.fakes.built import mirror
from tests.fakes.dynamodb import DynamoDB
from tests.unit.records import change
from tests.unit.test_settings import GOOD

FOREVER = Deadline(float("inf"))
USER = Entity(name="user", keys=("user_id",), attributes=("email", "name", "home"))
TYPED = Entity(name="user", keys=("user_id",), where=type_is("user"))
EXPIRED = {"userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}}


class Region:
    """A replica's table and its tombstones."""

    def __init__(self, declared=None, **settings):
        self.client = DynamoDB({"users": {"user_id": "S"}, "tombstones": {"id": "S"}})
        self.branch = mirror(self.client, declared, replica_table="users", **settings)

    def apply(self, *changes):
        return [end.status for end in self.branch.apply(changes, FOREVER)]

    def items(self):
        rows = self.client.scan(TableName="users")["Items"]
        return {r["user_id"]["S"]: {k: v for k, v in r.items() if k not in ("user_id", REPLICA_VERSION)} for r in rows}

    def costs(self):
        return dict(self.client.calls), self.client.write_units, self.client.read_units


def text(**attributes):
    return {name: {"S": value} for name, value in attributes.items()}


def test_a_put_is_one_write_and_one_read_and_a_delete_is_two_writes():
    region = Region()
    region.apply(change(0, new=text(name="Ada")))
    assert region.costs() == ({"PutItem": 1, "BatchGetItem": 1}, 1, 1.0)
    region.apply(change(1, "MODIFY", new=text(name="Bea"), old=text(name="Ada")))
    assert region.costs() == ({"PutItem": 2, "BatchGetItem": 2}, 2, 2.0)
    region.apply(change(2, "REMOVE", old=text(name="Bea")))
    assert region.costs() == ({"PutItem": 3, "BatchGetItem": 2, "DeleteItem": 1}, 4, 2.0)


def test_what_the_filter_leaves_out_costs_nothing():
    region = Region(Mirror(of=USER, where=lambda user: user.get("home") == "eu"))
    assert region.apply(change(0, new=text(home="us")), change(1, "MODIFY", new=text(home="ca"), old=text(home="us")))
    assert region.costs() == ({}, 0, 0)


def test_items_leave_and_enter_the_replica_as_they_leave_and_enter_the_filter():
    region = Region(Mirror(of=USER, where=lambda user: user.get("home") == "eu"))
    region.apply(change(0, new=text(home="eu")), change(0, user="u-2", new=text(home="us")))
    assert region.items() == {"u-1": text(home="eu")}
    region.apply(
        change(1, "MODIFY", new=text(home="us"), old=text(home="eu")),
        change(1, "MODIFY", user="u-2", new=text(home="eu"), old=text(home="us")),
    )
    assert region.items() == {"u-2": text(home="eu")}


def test_an_old_state_that_comes_after_its_item_left_the_filter_stays_out():
    region = Region(Mirror(of=USER, where=lambda user: user.get("home") == "eu"))
    entered, left = change(0, new=text(home="eu")), change(1, "MODIFY", new=text(home="us"), old=text(home="eu"))
    region.apply(entered)
    region.apply(left)
    assert region.apply(entered) == [Status.SUPERSEDED]
    assert region.items() == {}


def test_a_change_of_another_table_is_ignored():
    region = Region(Mirror(of=replace(USER, table="orders"), expired="ignore"))
    assert region.apply(change(0), change(1, "REMOVE")) == [Status.IGNORED] * 2
    assert region.costs() == ({}, 0, 0)


def test_a_key_prefix_chooses_items_by_their_partition_key():
    region = Region(Mirror(of=USER, key_prefix="EU#"))
    ends = region.apply(change(0, user="EU#1"), change(0, user="US#1"), change(1, "REMOVE", user="US#2"))
    assert ends == [Status.APPLIED, Status.IGNORED, Status.IGNORED]
    assert set(region.items()) == {"EU#1"}


def test_an_insert_outside_the_prefix_is_ignored_though_expired_rows_are_kept():
    region = Region(Mirror(of=USER, key_prefix="EU#", expired="ignore"))
    assert region.apply(change(0, user="US#1")) == [Status.IGNORED]
    assert region.costs() == ({}, 0, 0)


def test_a_key_too_long_for_a_tombstone_is_remembered_by_its_hash():
    region = Region()
    user = "u" * 2000
    region.apply(change(0, user=user, new=text(name="Ada")))
    region.apply(change(1, "REMOVE", user=user, old=text(name="Ada")))
    region.apply(change(0, user=user, new=text(name="Ada")))
    assert region.items() == {}
    ((id,),) = region.client.state["tombstones"]
    assert len(id) < 100


def test_two_replicas_in_one_tombstone_table_keep_their_deletes_apart():
    region = Region()
    region.apply(change(1, "REMOVE", old=text(name="Ada")))
    other = mirror(region.client, replica_table="users", replica_regions=("us-west-2",))
    (end,) = other.apply([change(0, new=text(name="Ada"))], FOREVER)
    assert end.status is Status.APPLIED


VERSION = {REPLICA_VERSION: {"S": versions.to_text(7)}}


@pytest.mark.parametrize(
    ("declared", "user", "row", "judged"),
    [
        (Mirror(of=USER, key_prefix="EU#"), "US#1", VERSION, False),
        (Mirror(of=USER, key_prefix="EU#"), "EU#1", VERSION, True),
        (Mirror(of=TYPED), "u", {**text(type="order"), **VERSION}, True),
        (Mirror(of=TYPED), "u", text(type="order"), False),
        (Mirror(of=TYPED), "u", text(type="user"), True),
        (Mirror(of=TYPED), "u", None, True),
    ],
)
def test_a_mirror_judges_rows_of_its_own_version_and_its_own_kind(declared, user, row, judged):
    keys = {"user_id": {"S": user}}
    assert Region(declared).branch.judges(keys, None, row and {**keys, **row}) is judged


def test_a_dropped_attribute_does_not_go_and_a_masked_one_goes_masked():
    region = Region(Mirror(of=USER, drop=("email",), mask={"name": lambda name: name[:1]}))
    region.apply(change(0, new=text(email="ada@example.com", name="Ada", home="eu")), change(1, user="u-2"))
    assert region.items() == {"u-1": text(name="A", home="eu"), "u-2": {}}


@pytest.mark.parametrize("mask", [lambda name: 1 / 0, lambda name: 1.5])
def test_a_mask_that_fails_parks_the_change_and_lets_nothing_through(mask):
    region = Region(Mirror(of=USER, mask={"name": mask}))
    (end,) = region.branch.apply([change(0, new=text(name="secret"))], FOREVER)
    assert end.status is Status.PARKED
    assert "'name'" in end.cause
    assert "secret" not in end.cause
    assert region.items() == {}


@pytest.mark.parametrize(("expired", "left"), [("propagate", {}), ("ignore", {"u-1": text(home="eu")})])
def test_a_delete_by_ttl_is_propagated_or_ignored(expired, left):
    region = Region(Mirror(expired=expired))
    region.apply(change(0, new=text(home="eu")), change(1, "REMOVE", old=text(home="eu"), **EXPIRED))
    region.apply(change(0, new=text(home="eu")), change(1, "REMOVE", old=text(home="eu"), **EXPIRED))
    assert region.items() == left


def test_what_the_filter_leaves_out_costs_nothing_though_expired_rows_are_kept():
    region = Region(Mirror(of=USER, where=lambda user: user.get("home") == "eu", expired="ignore"))
    edited = change(1, "MODIFY", new=text(home="ca"), old=text(home="us"))
    expired = change(2, "REMOVE", old=text(home="ca"), **EXPIRED)
    assert region.apply(edited, expired) == [Status.IGNORED] * 2
    assert region.costs() == ({}, 0, 0)


def test_a_delete_by_ttl_that_shows_no_item_leaves_the_row():
    region = Region(Mirror(of=USER, expired="ignore"))
    region.apply(change(0, new=text(home="eu")))
    assert region.apply(change(1, "REMOVE", **EXPIRED)._replace(old=None)) == [Status.IGNORED]
    assert region.items() == {"u-1": text(home="eu")}


def test_a_row_left_by_ttl_goes_when_the_item_comes_back_outside_the_filter():
    region = Region(Mirror(of=USER, where=lambda user: user.get("home") == "eu", expired="ignore"))
    region.apply(change(0, new=text(home="eu")))
    region.apply(change(1, "REMOVE", old=text(home="eu"), **EXPIRED))
    region.apply(change(2, new=text(home="us")))
    assert region.items() == {}


def test_an_item_of_another_kind_takes_no_row_away_that_carries_no_version():
    """Two mirrors face each other by type: the row is the other table's own."""
    region = Region(Mirror(of=TYPED, expired="ignore"))
    region.client.put_item(TableName="users", Item={"user_id": {"S": "u-1"}, "type": {"S": "order"}})
    assert region.apply(change(0, new=text(type="order"))) == [Status.APPLIED]
    assert len(region.client.scan(TableName="users")["Items"]) == 1


def test_a_deleted_items_row_goes_though_it_carries_no_version():
    """The replica began as a copy. The delete and another kind's insert come in one batch."""
    region = Region(Mirror(of=TYPED, expired="ignore"))
    region.client.put_item(TableName="users", Item={"user_id": {"S": "u-1"}, "type": {"S": "user"}})
    region.apply(change(0, "REMOVE", old=text(type="user")), change(1, new=text(type="order")))
    assert region.items() == {}


def test_the_version_attribute_is_the_settings():
    region = Region(version_attribute="_v")
    region.apply(change(0, new=text(home="eu")))
    (row,) = region.client.scan(TableName="users")["Items"]
    assert set(row) == {"user_id", "home", "_v"}


def test_two_mirrors_that_face_each_other_do_not_loop():
    """Each record of one table's stream goes to the other's mirror until no table changes any more."""
    tables = [Region(), Region()]
    waiting = [(0, change(0, new=text(name="Ada")))]
    for turns in range(1, 10):
        if not waiting:
            break
        at, record = waiting.pop()
        other = tables[1 - at]
        before = {row["user_id"]["S"]: row for row in other.client.scan(TableName="users")["Items"]}
        other.apply(record)
        for row in other.client.scan(TableName="users")["Items"]:
            old = before.get(row["user_id"]["S"])
            if old != row:
                waiting.append((1 - at, change(turns, "MODIFY" if old else "INSERT", new=row, old=old)))
    assert turns == 3
    assert [t.client.calls["PutItem"] for t in tables] == [0, 1]


@pytest.mark.parametrize(("written", "ends"), [(0, Status.APPLIED), (1, Status.IGNORED), (2, Status.IGNORED)])
def test_a_resumed_mirror_carries_what_the_reversed_one_wrote_nothing_newer(written, ends):
    version = {REPLICA_VERSION: {"S": versions.to_text(versions.of(written, 7))}}
    edit = change(1, "MODIFY", new={**text(name="Bea"), **version}, old=text(name="Ada"), generation=1)
    assert Region().apply(edit) == [ends]


def test_a_repair_of_a_facing_mirrors_row_is_no_edit_to_carry():
    """It changes the version by a revision alone."""
    images = [
        {**text(name=name), REPLICA_VERSION: {"S": versions.to_text(7, revision)}}
        for name, revision in (("Ada", ""), ("Bea", "r"))
    ]
    assert Region().apply(change(1, "MODIFY", new=images[1], old=images[0])) == [Status.IGNORED]


@pytest.mark.parametrize("declared", [Mirror(), Mirror(of=TYPED, expired="ignore")])
def test_a_delete_that_leaves_a_newer_row_never_says_applied(declared):
    """Generation was lowered: the row's version is above all that the stream brings."""
    region = Region(declared)
    region.apply(change(0, new=text(type="user"), generation=2))
    (row,) = region.items().values()
    assert region.apply(change(1, "REMOVE", old=row, generation=1)) == [Status.SUPERSEDED]
    assert region.items() == {"u-1": row}


def test_an_insert_of_another_kind_that_leaves_a_newer_row_never_says_applied():
    region = Region(Mirror(of=TYPED, expired="ignore"))
    region.apply(change(0, new=text(type="user"), generation=2))
    assert region.apply(change(1, new=text(type="order"), generation=1)) == [Status.SUPERSEDED]
    assert len(region.items()) == 1


def test_an_application_that_edits_a_replicated_item_is_heard():
    region = Region()
    version = {REPLICA_VERSION: {"S": "1"}}
    edit = change(1, "MODIFY", new={**text(name="Bea"), **version}, old={**text(name="Ada"), **version})
    assert region.apply(edit) == [Status.APPLIED]


@pytest.mark.parametrize(
    ("declared", "fault"),
    [
        (Mirror(of=USER, drop=("user_id",)), "'user_id' is a key"),
        (Mirror(of=USER, mask={"user_id": len}), "'user_id' is a key"),
        (Mirror(of=USER, drop=("emial",)), "'emial' is not declared"),
        (Mirror(of=USER, drop=("email",), mask={"email": len}), "dropped and masked"),
        (Mirror(drop=("email",)), "need `of`"),
        (Mirror(key_prefix="x"), "need `of`"),
        (Mirror(expired="maybe"), "give one of propagate, ignore"),
        (Mirror(of=Entity(name="x", keys=())), "one or two key attributes"),
    ],
)
def test_a_wrong_mirror_is_named_before_the_first_change(declared, fault):
    with pytest.raises(ConfigError, match=fault):
        check(declared)


def test_all_faults_of_a_mirror_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        check(Mirror(of=USER, drop=("user_id", "emial"), mask={"user_id": len}, expired="maybe"))
    assert len(caught.value.faults) == 5


def test_a_source_with_other_keys_than_declared_fails_the_change():
    region = Region(Mirror(of=Entity(name="user", keys=("id",), attributes=("user_id",)), drop=("user_id",)))
    (end,) = region.branch.apply([change(0)], FOREVER)
    assert end.status is Status.FAILED
    assert "other keys" in end.cause
    assert region.items() == {}


class Far:
    """A client whose every call takes a round trip; `most` is how many were in flight at once."""

    def __init__(self, client, seconds):
        self._client, self._seconds = client, seconds
        self.lock, self.flying, self.most = Lock(), 0, 0

    def __getattr__(self, operation):
        def call(**arguments):
            with self.lock:
                self.flying += 1
                self.most = max(self.most, self.flying)
            time.sleep(self._seconds)
            with self.lock:
                self.flying -= 1
            return getattr(self._client, operation)(**arguments)

        return call


def test_a_round_trip_of_100_ms_leaves_hundreds_of_changes_a_second():
    near = DynamoDB({"users": {"user_id": "S"}, "tombstones": {"id": "S"}})
    far = Far(near, 0.1)
    register = Register(far, "users", Tombstones(near, "tombstones", 7), Parallel(CALLS))
    changes = [change(0, user=f"u-{n}") for n in range(100)]
    began = time.monotonic()
    ends = MirrorBranch(register, "far/users").apply(changes, FOREVER)
    assert {end.status for end in ends} == {Status.APPLIED}
    assert time.monotonic() - began < 1.0
    assert far.most > 16


@pytest.fixture
def app(monkeypatch):
    """The function's own module, in the environment of a deployment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "own")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    for name, value in GOOD[ReplicateSettings].items():
        monkeypatch.setenv(name, value)
    path = Path(__file__).parents[2] / "functions" / "replicate" / "app.py"
    spec = importlib.util.spec_from_file_location("replicate_app", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_function_keeps_a_connection_for_each_of_its_calls(app):
    register = app.runtime().branch.register
    assert register.client.connections == REQUESTS
    assert register.tombstones.client.connections == register.parallel._executor._max_workers == CALLS


def test_a_mirrors_function_makes_a_client_for_each_region_and_no_other(app, monkeypatch):
    made = []
    monkeypatch.setattr(app, "clients", lambda service, *region, **_: made.append((service, *region)) or DynamoDB({}))
    app.runtime()
    assert sorted(made) == [("dynamodb",), ("dynamodb", GOOD[ReplicateSettings]["REPLICA_REGION"])]


def test_a_function_of_several_regions_reads_its_table_and_writes_the_others(app, monkeypatch):
    declared = MultiActive(regions=("us-east-1", "eu-west-1", "us-west-2"), rule=last_writer("at"))
    monkeypatch.setattr(app, "REPLICA", declared)
    monkeypatch.setenv("REPLICA_REGION", "us-west-2,eu-west-1")
    branch = app.runtime().branch
    assert [site.region for site in branch.regions] == ["us-east-1", "eu-west-1", "us-west-2"]
    assert [site.client.region for site in branch.regions[1:]] == ["eu-west-1", "us-west-2"]


def test_a_role_is_assumed_only_for_the_replica(app, monkeypatch):
    monkeypatch.setenv("TARGET_ROLE_ARN", "arn:aws:iam::123456789012:role/replica")
    register = app.runtime().branch.register
    assert register.client.credentials.__self__.method == "assume-role"
    assert register.tombstones.client.credentials().access_key == "own"
