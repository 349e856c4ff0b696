"""Entities that share a table are told apart by key, type attribute or ElectroDB's marker."""

import pytest

from distributary.derive import electro_entity, key_prefix, type_is
from distributary.stream.change import Image
from distributary.stream.entity import Entity, claimable

ORDER = Image(
    {
        "pk": {"S": "ORDER#1"},
        "gsi1pk": {"S": "$shop#order_1"},
        "gsi2pk": {"S": "$shop"},
        "n": {"N": "1"},
        "type": {"S": "order"},
        "__edb_e__": {"S": "order"},
        "__edb_v__": {"S": "1"},
    }
)


@pytest.mark.parametrize(
    ("where", "answer"),
    [
        (key_prefix("pk", "ORDER#"), True),
        (key_prefix("pk", "USER#"), False),
        (key_prefix("sk", "ORDER#"), False),
        (key_prefix("n", "1"), False),
        (type_is("order"), True),
        (type_is("user"), False),
        (type_is("order", attribute="kind"), False),
        (electro_entity("order"), True),
        (electro_entity("order", version="1"), True),
        (electro_entity("order", version="2"), False),
        (electro_entity("user"), False),
        (electro_entity("order", service="shop", key="gsi1pk"), True),
        (electro_entity("order", service="Shop", key="gsi1pk"), True),
        (electro_entity("order", service="shop", key="gsi2pk"), True),
        (electro_entity("order", service="crm", key="gsi1pk"), False),
        (electro_entity("order", service="sho", key="gsi1pk"), False),
        (electro_entity("order", service="shop", key="n"), False),
        (electro_entity("order", service="shop"), False),
    ],
)
def test_an_item_is_of_the_entity_that_its_marks_name(where, answer):
    assert where(ORDER) is answer
    assert where(Image({"other": {"S": "x"}})) is False


CLAIMABLE = {
    "its key has another prefix": (key_prefix("pk", "USER#"), False),
    "its key has the prefix": (key_prefix("pk", "ORDER#"), True),
    "a function of the key": (lambda item: str(item["pk"]).startswith("USER#"), False),
    "a key that decides before anything else is asked": (
        lambda item: str(item["pk"]).startswith("USER#") and item["type"] == "user",
        False,
    ),
    "a type": (type_is("user"), True),
    "a marker": (electro_entity("user"), True),
    "an attribute that may be absent": (lambda item: "email" in item, True),
    "an attribute that is absent": (lambda item: item["email"] == "x", True),
    "the whole item": (lambda item: dict(item) == {}, True),
    "its size": (lambda item: len(item) > 3, True),
    "its raw attributes": (lambda item: item.raw.get("type") == {"S": "user"}, True),
    "no predicate": (None, True),
}


@pytest.mark.parametrize("which", CLAIMABLE)
def test_a_key_alone_says_no_only_if_nothing_else_was_asked_for(which):
    where, answer = CLAIMABLE[which]
    entity = Entity(name="user", keys=("pk",), where=where)
    assert claimable(entity.claims, Image({"pk": {"S": "ORDER#1"}})) is answer
