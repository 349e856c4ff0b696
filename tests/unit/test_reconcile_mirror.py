"""A mirror's rows are set right by a command, and what TTL took from the source stays where the mirror keeps it."""

from itertools import count
from typing import Any

import pytest

from distributary.consumer.consume import consume
from distributary.consumer.outcome import APPLIED, SUPERSEDED, Status
from distributary.consumer.reconcile import Reconcile
from distributary.dynamodb.steps import Steps
from distributary.dynamodb.versioned_table import Register
from distributary.errors import ConfigError
from distributary.replicate import Entity, Mirror
from distributary.replicate.factory import reconciler
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from tests.fakes.built import mirror
from tests.replaced import replace
from tests.unit.branches import Context
from tests.unit.records import FIRST_SEQUENCE, change
from tests.unit.replica_tables import FOREVER, SCHEMAS, Service, name
from tests.unit.test_reconcile_command import command, deployed

USER = Entity(name="user", keys=("user_id",), attributes=("name", "type"))
TYPED = Entity(name="user", keys=("user_id",), attributes=("type",), where=lambda item: item.get("type") == "user")
WHOLE, KEEPING = Mirror(), Mirror(expired="ignore")
TTL = {"userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}}


class Twin:
    """A source, and a mirror of it that hears of nothing but what it is told."""

    def __init__(self, declared: Mirror = WHOLE, generation: int = 0) -> None:
        self.service, revisions = Service(SCHEMAS), count()
        self.branch = mirror(self.service, declared)
        register = replace(self.branch.register, revision=lambda: f"{next(revisions):x}")
        self.branch = replace(self.branch, register=register)
        self.reconciler = reconciler(self.branch, lambda *_, **__: self.service, lambda: "source", generation)

    def item(self, user: str = "a", **attributes: Any) -> None:
        self.service.put_item(TableName="source", Item={"user_id": {"S": user}, **attributes})

    def gone(self, user: str = "a") -> None:
        self.service.delete_item(TableName="source", Key={"user_id": {"S": user}})

    def row(self, user: str = "a") -> Any:
        return self.service.state["replica"].get((user,))

    def version(self, user: str = "a") -> str:
        found: str = self.row(user)[REPLICA_VERSION]["S"]
        return found

    def hears(self, *changes: Any) -> None:
        assert {end.status for end in self.branch.apply(changes, FOREVER)} <= {Status.APPLIED, Status.SUPERSEDED}

    def expires(self, place: int, old: Any, user: str = "a") -> Any:
        return change(place, "REMOVE", user, old=old, **TTL)

    def asked(self, place: int | None = None, user: str = "a", **more: Any) -> Any:
        version = 0 if place is None else FIRST_SEQUENCE + place
        (end,) = self.reconciler([Reconcile({"user_id": {"S": user}}, version, **more)], FOREVER)
        return end


def test_a_command_makes_and_removes_a_mirrors_rows_and_keeps_the_version():
    twin = Twin()
    twin.item(**name("Ann"))
    event = command({"key": {"user_id": {"S": "a"}}, "version": str(FIRST_SEQUENCE + 5)})
    function = deployed(twin.reconciler, "replicate")
    assert consume(event, Context(), function)["outcomes"] == [{"status": "Applied", "cause": ""}]
    assert {**twin.row(), REPLICA_VERSION: None} == {"user_id": {"S": "a"}, **name("Ann"), REPLICA_VERSION: None}
    assert versions.from_text(twin.version()) == FIRST_SEQUENCE + 5
    twin.gone()
    assert twin.asked(6) == APPLIED
    assert twin.row() is None
    assert twin.asked(6) == SUPERSEDED


def test_a_reconcile_of_what_is_right_writes_nothing():
    twin = Twin()
    twin.item(**name("Ann"))
    twin.hears(change(0, user="a", new=name("Ann")))
    before = twin.service.calls.copy()
    assert [twin.asked(), twin.asked(0), twin.asked(user="nobody")] == [SUPERSEDED] * 3
    assert set(twin.service.calls - before) == {"BatchGetItem"}


def test_an_older_change_that_comes_after_a_mirrors_reconcile_does_nothing():
    twin = Twin()
    twin.asked(5)
    twin.hears(change(4, user="a", new=name("late")))
    assert twin.row() is None


def test_what_the_declaration_rejects_is_parked_and_the_rest_goes_through():
    twin = Twin(Mirror(of=USER, where=lambda item: len(item["name"]) > 1))
    twin.item("a")
    twin.item("b", **name("Bob"))
    ends = twin.reconciler([Reconcile({"user_id": {"S": each}}) for each in "ab"], FOREVER)
    assert [end.status for end in ends] == [Status.PARKED, Status.APPLIED]
    assert twin.row("b")


def test_a_row_that_the_replica_refuses_is_parked_with_the_cause():
    twin = Twin(Mirror(of=USER, mask={"name": lambda _: "x" * 409_700}))
    twin.item(**name("Ann"))
    end = twin.asked()
    assert (end.status, end.cause) == (Status.PARKED, "row PutItem: ValidationException")


def test_what_lies_outside_the_prefix_is_never_touched_nor_remembered():
    twin = Twin(Mirror(of=USER, key_prefix="EU#"))
    twin.service.put_item(TableName="replica", Item={"user_id": {"S": "US#1"}, **name("theirs")})
    twin.item("US#1", **name("ours"))
    assert twin.asked(5, "US#1") == SUPERSEDED
    assert twin.row("US#1")["name"] == {"S": "theirs"}
    assert twin.service.state["tombstones"] == {}


def test_another_writers_row_is_spared_and_the_lost_change_stays_lost():
    twin = Twin(Mirror(of=TYPED))
    twin.service.put_item(TableName="replica", Item={"user_id": {"S": "a"}, "type": {"S": "order"}})
    assert twin.asked(5) == APPLIED
    twin.branch.apply([change(4, user="a", new={"type": {"S": "user"}})], FOREVER)
    assert twin.asked(5) == SUPERSEDED
    assert [len(twin.service.state[table]) for table in ("replica", "tombstones")] == [0, 1]


def test_a_table_with_other_keys_than_declared_fails_and_names_them():
    twin = Twin(Mirror(of=Entity(name="user", keys=("id",))))
    assert twin.asked().status is Status.FAILED


@pytest.mark.parametrize("place", [versions.POSITIONS, 2 * versions.POSITIONS])
def test_a_change_of_a_later_generation_is_not_for_this_function(place):
    twin = Twin()
    twin.item(**name("Ann"))
    end = twin.asked(place)
    assert (end.status, "later generation" in end.cause) == (Status.FAILED, True)
    assert twin.row() is None


def test_a_row_of_a_later_generation_is_not_written_over():
    twin, later = Twin(), versions.to_text(versions.of(1, 5))
    twin.item(**name("Ann"))
    twin.service.put_item(TableName="replica", Item={"user_id": {"S": "a"}, REPLICA_VERSION: {"S": later}})
    assert twin.asked(5).status is Status.FAILED
    assert twin.version() == later


def test_a_change_of_an_earlier_generation_leaves_a_row_below_the_next_one():
    twin = Twin(generation=1)
    twin.item(**name("Ann"))
    assert twin.asked(5) == APPLIED
    twin.hears(change(0, user="a", new=name("Bea"), generation=1))
    assert twin.row()["name"] == {"S": "Bea"}


def test_a_command_for_a_replica_names_no_view():
    with pytest.raises(ConfigError, match="leave out 'only'"):
        Twin().asked(only=frozenset({"sales"}))


def test_what_ttl_took_is_marked_and_neither_reconcile_nor_sweep_removes_it():
    twin = Twin(KEEPING)
    twin.hears(change(0, user="a", new=name("Ann")), twin.expires(1, name("Ann")))
    assert twin.version() == versions.to_text(FIRST_SEQUENCE + 1, mark=versions.KEPT)
    assert [twin.asked(), twin.asked(0), twin.asked(1, expired=True), twin.asked(0, removed=True)] == [SUPERSEDED] * 4
    assert twin.row()["name"] == {"S": "Ann"}


def test_what_ttl_took_stays_whichever_of_its_changes_comes_first():
    twin, made = Twin(KEEPING), change(0, user="a", new=name("Ann"))
    twin.hears(twin.expires(1, name("Ann")))
    twin.hears(made)
    assert (twin.row()["name"], versions.mark_in(twin.version())) == ({"S": "Ann"}, versions.KEPT)


def test_a_row_without_an_item_goes_if_ttl_did_not_take_it():
    """The application's delete was lost, and nobody asks for it."""
    twin = Twin(KEEPING)
    twin.hears(change(0, user="a", new=name("Ann")))
    assert versions.mark_in(twin.version()) == versions.LIVE
    assert twin.asked() == APPLIED
    assert twin.row() is None


def test_a_record_of_ttl_that_comes_after_a_sweep_brings_its_row_back():
    twin = Twin(KEEPING)
    twin.hears(change(0, user="a", new=name("Ann")))
    twin.asked()
    twin.hears(twin.expires(1, name("Ann")))
    assert twin.row()["name"] == {"S": "Ann"}
    assert twin.asked() == SUPERSEDED


def test_a_lost_record_of_ttl_marks_its_row_when_its_key_is_reconciled():
    twin = Twin(KEEPING)
    twin.hears(change(0, user="a", new=name("Ann")))
    assert twin.asked(1, expired=True) == APPLIED
    assert versions.mark_in(twin.version()) == versions.KEPT
    assert versions.from_text(twin.version()) == FIRST_SEQUENCE + 1
    assert twin.asked() == SUPERSEDED


def test_a_record_of_ttl_without_a_row_leaves_room_for_the_record_itself():
    twin = Twin(KEEPING)
    twin.asked(1, expired=True)
    twin.hears(change(0, user="a", new=name("Ann")))
    assert twin.row() is None
    twin.hears(twin.expires(1, name("Ann")))
    assert twin.row()["name"] == {"S": "Ann"}


@pytest.mark.parametrize("mark", ["", versions.KEPT, versions.LIVE])
def test_a_newer_delete_by_the_application_takes_a_kept_row(mark):
    twin = Twin(KEEPING)
    row = {"user_id": {"S": "a"}, REPLICA_VERSION: {"S": versions.to_text(FIRST_SEQUENCE, mark=mark)}}
    twin.service.put_item(TableName="replica", Item=row)
    assert twin.asked(1, removed=True) == APPLIED
    assert twin.row() is None


def test_a_row_from_before_there_were_marks_stays_where_rows_are_kept():
    row = {"user_id": {"S": "a"}, REPLICA_VERSION: {"S": versions.to_text(7)}}
    for declared, left in ((KEEPING, True), (Mirror(), False)):
        twin = Twin(declared)
        twin.service.put_item(TableName="replica", Item=row)
        twin.asked()
        assert (twin.row() is not None) is left


def test_a_parked_change_takes_no_row_for_dead_that_ttl_may_have_taken():
    """The record of TTL may be parked as well, and come next. A sweep, which knows of no change, decides."""
    twin = Twin(KEEPING)
    twin.hears(change(0, user="a", new=name("Ann")))
    assert twin.asked(1) == APPLIED
    assert versions.from_text(twin.version()) == FIRST_SEQUENCE + 1
    assert twin.asked(2, expired=True) == APPLIED
    assert versions.mark_in(twin.version()) == versions.KEPT


def test_a_kept_row_goes_if_the_item_is_there_and_no_longer_fits():
    for mark in ("", versions.KEPT, versions.LIVE):
        twin = Twin(Mirror(of=USER, where=lambda item: "type" in item, expired="ignore"))
        row = {"user_id": {"S": "a"}, REPLICA_VERSION: {"S": versions.to_text(FIRST_SEQUENCE, mark=mark)}}
        twin.service.put_item(TableName="replica", Item=row)
        twin.item()
        assert twin.asked() == APPLIED
        assert twin.row() is None


def test_a_kept_row_becomes_an_ordinary_one_with_the_item_that_is_made_again():
    twin = Twin(KEEPING)
    twin.hears(change(0, user="a", new=name("Ann")), twin.expires(1, name("Ann")))
    twin.item(**name("Ann"))
    assert twin.asked(2) == APPLIED
    assert versions.mark_in(twin.version()) == versions.LIVE
    twin.gone()
    assert twin.asked() == APPLIED
    assert twin.row() is None


def test_a_kept_row_below_its_tombstone_goes():
    """It was put too late, as a request is that its client gave up."""
    twin = Twin(KEEPING)
    twin.hears(change(3, "REMOVE", "a"))
    kept = {"user_id": {"S": "a"}, REPLICA_VERSION: {"S": versions.to_text(FIRST_SEQUENCE, mark=versions.KEPT)}}
    twin.service.put_item(TableName="replica", Item=kept)
    assert twin.asked() == APPLIED
    assert twin.row() is None


def test_a_removal_that_ends_early_leaves_the_rows_mark(monkeypatch):
    """Or the next sweep would take it for a row from before there were marks."""
    twin = Twin(KEEPING)
    twin.hears(change(0, user="a", new=name("Ann")))
    with monkeypatch.context() as early:
        early.setattr("distributary.replicate.reconcile.LOOKS", 1)
        early.setattr(Register, "_as_seen", _only_puts)
        twin.asked()
    assert versions.mark_in(twin.version()) == versions.LIVE
    assert twin.asked() == APPLIED
    assert twin.row() is None


AS_SEEN = Register._as_seen


def _only_puts(register: Register, operation: str, what: str, version: Any, **arguments: Any) -> Steps[bool]:
    if operation == "put_item":
        return (yield from AS_SEEN(register, operation, what, version, **arguments))
    return True


def test_a_mirror_that_propagates_deletes_by_ttl_writes_no_marks():
    twin = Twin()
    twin.hears(change(0, user="a", new=name("Ann")))
    assert twin.version() == versions.to_text(FIRST_SEQUENCE)
    twin.hears(twin.expires(1, name("Ann")))
    assert twin.row() is None
