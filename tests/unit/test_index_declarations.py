"""An index that could go wrong is refused before the first change, every fault at once."""

import pytest

from distributary.errors import ConfigError
from distributary.index import Entity, Field, Index, check
from distributary.index.document import DELETED_AT
from distributary.index.validation import whole

USER = Entity(name="user", keys=("user_id",), attributes=("email",))
ORDER = Entity(name="order", keys=("user_id",), attributes=("email", "total"))
KEYWORD = {"type": "keyword"}


def index(**changes):
    return Index(**{"name": "users", "of": USER, "id": "{user_id}", "fields": {"email": KEYWORD}, **changes})


def faults(*indexes):
    with pytest.raises(ConfigError) as caught:
        check(indexes)
    return caught.value.faults


def test_a_good_index_gives_its_id_and_an_index_of_its_own_to_each_generation():
    (source,) = check([index()])
    assert source.id.attributes == ("user_id",)
    assert index().physical(2) == "users-g2"
    assert index().write_alias(2) == "users-g2-write-2"
    assert index().write_alias(0) != index().write_alias(1)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": ""}, "a name is lowercase"),
        ({"name": "Users"}, "a name is lowercase"),
        ({"name": "_users"}, "a name is lowercase"),
        ({"name": "-users"}, "a name is lowercase"),
        ({"name": "my users"}, "a name is lowercase"),
        ({"name": "users*"}, "a name is lowercase"),
        ({"name": "u" * 231}, "at most 230 bytes"),
        ({"name": "users-g1"}, "that of a generation"),
        ({"name": "users-g0-write"}, "that of a generation"),
        ({"id": "{email}"}, "its id must use the entity's keys, all and only"),
        ({"id": "USER"}, "its id must use the entity's keys, all and only"),
        ({"id": ""}, "a template is empty"),
        ({"id": "{user_id"}, "write a literal brace"),
        ({"id": "{user_id}{user_id}"}, "put a separator"),
        ({"id": "u" * 300 + "{user_id}"}, "literals have more than"),
        ({"of": Entity(name="order", keys=("user_id", "order_id"), attributes=("email",))}, "all and only"),
        ({"routing": "{email}"}, "its routing must use the entity's keys only"),
        ({"routing": "{"}, "write a literal brace"),
        ({"fields": {"emial": KEYWORD}}, "does not declare 'emial'; add it or correct the name"),
        (
            {"fields": {"mail": Field(mapping=KEYWORD, of="emial")}},
            "does not declare 'emial'; add it or correct the name",
        ),
        ({"fields": {"email": {}}}, "needs a mapping with a type"),
        ({"fields": {"email": {"type": "object"}}}, "needs 'properties', or 'dynamic'"),
        ({"fields": {"email": {"type": "knn_vector"}}}, "needs its 'dimension'"),
        ({"fields": {"email": {"type": "knn_vector", "dimension": 0}}}, "needs its 'dimension'"),
        ({"fields": {"email": Field(mapping=KEYWORD, on_error="drop")}}, "on_error is 'park' or 'null'"),
        ({"fields": {"email": Field(mapping=KEYWORD, max_keys=0)}}, "max_keys is a whole number from 1"),
        ({"since": -1}, "since is a generation"),
        ({"fields": {DELETED_AT: {"type": "date"}}}, "another name"),
    ],
)
def test_a_faulty_index_is_refused_with_its_fault(changes, fault):
    found = faults(index(**changes))
    assert any(fault in each for each in found), found


def test_every_fault_of_every_index_is_named_at_once():
    found = faults(index(name="Users", id="{email}", fields={"emial": KEYWORD, "email": {}}), index(id="{x}"))
    assert len(found) == 5


def test_no_index_is_a_fault():
    assert faults() == ["no index is declared: add one to indexes.py"]


@pytest.mark.parametrize(
    ("one", "other", "fault"),
    [
        ({"id": "U#{user_id}"}, {"id": "{user_id}"}, ""),
        ({"id": "U#{user_id}"}, {"id": "O#{user_id}"}, ""),
        ({"id": "{user_id}"}, {"id": "{user_id}"}, ""),
        ({"id": "u{user_id}"}, {"id": "{user_id}"}, "could make the same id"),
        ({"id": "{user_id}"}, {"id": "{user_id:N}"}, "could make the same id"),
        ({"routing": "{user_id}"}, {}, "share their ids and not their routing"),
        ({}, {"fields": {"email": {"type": "text"}}}, "map field 'email' differently"),
    ],
)
def test_two_entities_of_one_index_make_one_id_only_for_one_item(one, other, fault):
    both = [index(**one), index(**{"of": ORDER, **other})]
    if fault:
        assert any(fault in each for each in faults(*both))
    else:
        assert len(check(both)) == 2


def test_indexes_of_other_names_may_share_ids_and_map_as_they_like():
    assert len(check([index(), index(name="people", id="u{user_id}", fields={"email": {"type": "text"}})])) == 2


def test_the_whole_of_an_index_has_the_fields_of_all_that_share_it():
    orders = index(of=ORDER, fields={"total": {"type": "double"}})
    (one,) = whole([index(), orders])
    assert one.mappings() == {"email": KEYWORD, "total": {"type": "double"}}
    assert [each.name for each in whole([index(), index(name="people"), orders])] == ["users", "people"]
