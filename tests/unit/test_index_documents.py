"""Which documents a change leaves, in which indexes, under which ids."""

import json
from dataclasses import replace

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED
from distributary.errors import Rejected
from distributary.index import Entity, Field, Index, check, key_prefix, type_is
from distributary.index.branch import IndexBranch
from distributary.index.document import DELETED_AT
from tests.unit.records import change

KEYWORD = {"type": "keyword"}
ADMIN = Entity(name="admin", keys=("user_id",), attributes=("email",), where=type_is("admin"))
GUEST = Entity(name="guest", keys=("user_id",), attributes=("email",), where=type_is("guest"))
EVERYONE = Entity(name="everyone", keys=("user_id",), attributes=("email",))
NOW = 1_800_000_000.9


class Written:
    """A bulk client's place: keeps what it is sent, applies everything."""

    def __init__(self):
        self.lines = []

    def send(self, actions, deadline):
        self.lines += [tuple(map(json.loads, action.lines.splitlines())) for action in actions]
        return [APPLIED] * len(actions)

    def documents(self):
        return {
            (header["index"]["_index"], header["index"]["_id"]): "marker" if DELETED_AT in body else body["email"]
            for header, body in self.lines
        }


def index(of=EVERYONE, name="users", id="{user_id}", **more):
    return Index(**{"name": name, "of": of, "id": id, "fields": {"email": KEYWORD}, **more})


def apply(indexes, *changes):
    bulk = Written()
    branch = IndexBranch(check(indexes), 0, bulk, lambda: NOW)
    ends = branch.apply(changes, Deadline(float("inf")))
    return bulk, ends


def user(place=0, kind="INSERT", type=None, old=None, email="a@example.com"):
    image = lambda each: {"type": {"S": each}, "email": {"S": email}}  # noqa: E731
    return change(place, kind, new=image(type) if type else None, old=image(old) if old else None)


def statuses(ends):
    return [end.status.value for end in ends]


def test_an_item_is_a_document_in_every_index_that_claims_it():
    bulk, ends = apply([index(), index(name="people", of=ADMIN), index(name="none", of=GUEST)], user(type="admin"))
    assert bulk.documents() == {
        ("users-g0-write-2", "u-1"): "a@example.com",
        ("people-g0-write-2", "u-1"): "a@example.com",
    }
    assert statuses(ends) == ["Applied"]


def test_an_item_that_no_index_claims_is_ignored():
    bulk, ends = apply([index(of=GUEST)], user(type="admin"))
    assert (bulk.lines, statuses(ends)) == ([], ["Ignored"])


def test_a_change_of_another_table_is_ignored():
    bulk, ends = apply([index(of=replace(EVERYONE, table="orders"))], user(), user(1, "REMOVE"))
    assert (statuses(ends), bulk.lines) == (["Ignored"] * 2, [])


def test_an_item_that_leaves_its_entity_leaves_a_marker_and_a_delete_does():
    for gone in (user(kind="MODIFY", type="guest", old="admin"), user(kind="REMOVE", old="admin")):
        bulk, _ = apply([index(of=ADMIN)], gone)
        assert bulk.documents() == {("users-g0-write-2", "u-1"): "marker"}


@pytest.mark.parametrize("order", [1, -1])
def test_an_item_that_changes_its_entity_stays_one_document_under_one_id(order):
    bulk, ends = apply([index(of=ADMIN), index(of=GUEST)][::order], user(kind="MODIFY", type="guest", old="admin"))
    assert bulk.documents() == {("users-g0-write-2", "u-1"): "a@example.com"}
    assert statuses(ends) == ["Applied"]


def test_under_another_id_it_leaves_a_marker_where_it_was():
    both = [index(of=ADMIN, id="A#{user_id}"), index(of=GUEST, id="G#{user_id}")]
    bulk, _ = apply(both, user(kind="MODIFY", type="guest", old="admin"))
    assert bulk.documents() == {
        ("users-g0-write-2", "A#u-1"): "marker",
        ("users-g0-write-2", "G#u-1"): "a@example.com",
    }


def test_an_id_that_two_entities_claim_is_parked_with_both_names():
    bulk, ends = apply([index(of=ADMIN), index()], user(type="admin"))
    assert statuses(ends) == ["Parked"]
    assert "entities 'admin' and 'everyone' both claim the item" in ends[0].cause
    assert len(bulk.lines) == 1


def test_what_one_index_rejects_is_parked_and_the_others_keep_it():
    def wrong(item):
        raise LookupError(item["email"])

    broken = index(name="broken", fields={"email": Field(mapping=KEYWORD, of=wrong)})
    bulk, ends = apply([broken, index()], user(type="admin"))
    assert bulk.documents() == {("users-g0-write-2", "u-1"): "a@example.com"}
    assert ends[0].status.value == "Parked"
    assert ends[0].cause == "index 'broken': field 'email' raised LookupError"
    assert "a@example.com" in ends[0].detail


def test_only_an_item_s_newest_change_of_a_batch_is_written():
    changes = [
        user(2, "MODIFY", "admin", "admin", "c@x"),
        user(1, "MODIFY", "admin", "admin", "b@x"),
        user(0, type="admin"),
    ]
    bulk, ends = apply([index()], *changes)
    assert bulk.documents() == {("users-g0-write-2", "u-1"): "c@x"}
    assert statuses(ends) == ["Applied", "Superseded", "Superseded"]
    _, ends = apply([index()], *changes[::-1])
    assert statuses(ends) == ["Superseded", "Superseded", "Applied"]


def test_a_header_carries_version_alias_routing_and_pipeline():
    bulk, _ = apply([index(routing="{user_id}", pipeline="embed")], user(type="admin"), user(1, "REMOVE", old="x"))
    bulk, _ = apply([index(routing="{user_id}", pipeline="embed")], user(type="admin"))
    ((header, _),) = bulk.lines
    header = header["index"]
    assert (header["routing"], header["pipeline"], header["require_alias"]) == ("u-1", "embed", True)
    assert header["version_type"] == "external_gte"


def test_a_marker_goes_where_its_document_is_without_pipeline_from_now_on():
    bulk, _ = apply([index(routing="{user_id}", pipeline="embed")], user(1, "REMOVE", old="x"))
    ((header, body),) = bulk.lines
    assert header["index"]["routing"] == "u-1"
    assert "pipeline" not in header["index"]
    assert body == {DELETED_AT: int(NOW)}


def test_two_ids_differ_and_none_is_longer_than_opensearch_takes():
    bulk, _ = apply([index()], change(0, user="x" * 2000), change(1, user="x" * 1999), change(2, user="x"))
    ids = [header["index"]["_id"] for header, _ in bulk.lines]
    assert len(set(ids)) == 3
    assert all(len(id.encode()) <= 512 for id in ids)


def test_text_that_is_no_unicode_is_rejected_and_nothing_is_raised():
    wrong = index(fields={"email": Field(mapping=KEYWORD, of=lambda item: "\ud800")})
    _, ends = apply([wrong], user(type="admin"))
    assert statuses(ends) == ["Parked"]


def test_a_where_that_fails_parks_the_change_with_its_entity():
    def where(item):
        raise Rejected("no such thing")

    _, ends = apply(
        [index(of=Entity(name="odd", keys=("user_id",), attributes=("email",), where=where))], user(type="x")
    )
    assert statuses(ends) == ["Parked"]
    assert "entity 'odd': where" in ends[0].cause


SNAPSHOT = {"origin": "snapshot"}


def snapshot(type, **note):
    return change(0, "INSERT", new={"type": {"S": type}}, distributary={**SNAPSHOT, **note})


def test_in_the_first_fill_an_item_that_the_index_is_not_about_writes_nothing():
    """Any other snapshot may have to remove what an earlier declaration left."""
    for note in ({}, {"first_fill": False}, {"first_fill": "yes"}):
        bulk, _ = apply([index(of=ADMIN)], snapshot("guest", **note))
        assert list(bulk.documents().values()) == ["marker"]
    bulk, ends = apply([index(of=ADMIN)], snapshot("guest", first_fill=True))
    assert (bulk.lines, statuses(ends)) == ([], ["Ignored"])


def test_only_a_snapshot_can_be_a_first_fill():
    redriven = change(5, "MODIFY", new={"type": {"S": "guest"}}, distributary={"origin": "redrive", "first_fill": True})
    assert not redriven.first_fill
    assert snapshot("guest", first_fill=True).first_fill


@pytest.mark.parametrize(
    "where",
    [
        type_is("admin"),
        lambda item: item["type"] == "admin",
        lambda item: "hidden" not in item,
        lambda item: dict(item) == {},
        lambda item: len(item) > 5,
        lambda item: 1 / 0,
    ],
)
def test_a_delete_concerns_every_index_whose_entity_can_ever_have_had_the_key(where):
    """The update that took the item out of the entity may be parked: its document would outlive it."""
    entity = Entity(name="admin", keys=("user_id",), attributes=("email",), where=where)
    bulk, _ = apply([index(of=entity)], change(9, "REMOVE", old={"type": {"S": "guest"}, "hidden": {"BOOL": True}}))
    assert bulk.documents() == {("users-g0-write-2", "u-1"): "marker"}


def test_a_delete_of_a_key_that_the_entity_can_never_have_had_is_ignored():
    other = Entity(name="order", keys=("user_id",), attributes=("email",), where=key_prefix("user_id", "ORDER#"))
    for each in (index(of=other), index(id="{user_id:N}", of=ADMIN)):
        bulk, ends = apply([each], change(9, "REMOVE", old={"type": {"S": "guest"}}))
        assert (bulk.lines, statuses(ends)) == ([], ["Ignored"])


def test_a_claimed_delete_whose_key_fits_no_template_is_parked():
    _, ends = apply([index(id="{user_id:N}", of=ADMIN)], change(9, "REMOVE", old={"type": {"S": "admin"}}))
    assert statuses(ends) == ["Parked"]


def test_a_document_does_not_outlive_its_item_if_its_leaving_was_parked():
    """`where` fails on the update, so it is parked; then the item is deleted."""

    def admin(item):
        return item["type"].lower() == "admin"

    entity = Entity(name="admin", keys=("user_id",), attributes=("email",), where=admin)
    broken = {"type": {"N": "1"}}
    changes = [
        user(0, type="admin"),
        change(1, "MODIFY", old={"type": {"S": "admin"}}, new=broken),
        change(2, "REMOVE", old=broken),
    ]
    bulk, ends = apply([index(of=entity)], *changes)
    assert statuses(ends) == ["Superseded", "Parked", "Applied"]
    assert bulk.documents() == {("users-g0-write-2", "u-1"): "marker"}
