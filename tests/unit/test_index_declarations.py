"""An index that could go wrong is refused before the first change, every fault at once."""

import pytest

from distributary.errors import ConfigError
from distributary.indexes import DELETED_AT, Index, check
from distributary.views import Entity

USER = Entity(name="user", keys=("user_id",), attributes=("email",))
KEYWORD = {"type": "keyword"}


def index(**changes):
    return Index(**{"name": "users", "of": USER, "id": "{user_id}", "fields": {"email": KEYWORD}, **changes})


def test_a_good_index_gives_its_id_and_an_index_of_its_own_to_each_generation():
    assert check(index()).attributes == ("user_id",)
    assert index().physical(2) == "users-g2"
    assert index().write_alias(2) == "users-g2-write"
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
        ({"id": "{email}"}, "its id must use the entity's keys, all and only"),
        ({"id": "USER"}, "its id must use the entity's keys, all and only"),
        ({"id": ""}, "a template is empty"),
        ({"id": "{user_id"}, "write a literal brace"),
        ({"id": "{user_id}{user_id}"}, "put a separator"),
        ({"of": Entity(name="order", keys=("user_id", "order_id"), attributes=("email",))}, "all and only"),
        ({"fields": {"emial": KEYWORD}}, "entity 'user' does not declare 'emial'; add it"),
        ({"fields": {"email": {}}}, "needs a mapping with a type"),
        ({"fields": {"email": {"type": "object"}}}, "needs 'properties', or 'dynamic'"),
        ({"fields": {DELETED_AT: {"type": "date"}}}, "another name"),
    ],
)
def test_a_faulty_index_is_refused_with_its_fault(changes, fault):
    with pytest.raises(ConfigError) as caught:
        check(index(**changes))
    assert any(fault in each for each in caught.value.faults), caught.value.faults


def test_every_fault_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        check(index(name="Users", id="{email}", fields={"emial": KEYWORD, "email": {}}))
    assert len(caught.value.faults) == 4
