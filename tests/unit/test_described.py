"""What views were declared with is compared as texts: a function is what it does, and what it was made with."""

import functools
from dataclasses import dataclass
from operator import itemgetter

import pytest

from distributary.derive import Entity, Join, Projection
from distributary.derive.described import described
from distributary.derive.validation import check
from distributary.stream.described import differing

USER = Entity(name="user", keys=("user_id",), attributes=("total", "tree"))


def text(where):
    (view,) = check([Projection(name="profile", of=USER, pk="USER#{user_id}", sk="PROFILE", where=where)])
    return described(view)


def deep(limit):
    def found(tree):
        return isinstance(tree, dict) and (len(tree) > limit or any(map(found, tree.values())))

    return found


def in_turns(limit):
    def one(user):
        return user["total"] > limit or other(user)

    def other(user):
        return user["total"] < -limit and one(user)

    return one


def test_functions_that_call_themselves_are_described():
    assert text(deep(1)) == text(deep(1))
    assert text(in_turns(1)) == text(in_turns(1))
    assert differing(text(deep(1)), text(deep(2))) == differing(text(in_turns(1)), text(in_turns(2))) == ["where"]


def test_a_list_that_holds_itself_is_described():
    limits = [1]
    limits.append(limits)

    def where(user, limits=limits):
        return user["total"] in limits

    assert text(where)["where"].startswith("function:")


def above(user, limit=0, *, key="total"):
    return user[key] > limit


def keyed(value):
    def where(user, *, limit=value):
        return user["total"] > limit

    return where


@dataclass(frozen=True, slots=True)
class Slotted:
    limit: object

    def __call__(self, user):
        return user["total"] > self.limit


class Plain:
    def __init__(self, limit):
        self.limit = limit

    def __call__(self, user):
        return user["total"] > self.limit

    def over(self, user):
        return user["total"] > self.limit


MADE = {
    "a partial's argument": lambda value: functools.partial(above, limit=value),
    "a partial's place": lambda value: functools.partial(above, value),
    "a default by keyword": keyed,
    "an attribute": Plain,
    "an attribute of slots": Slotted,
    "an attribute behind a method": lambda value: Plain(value).over,
    "a function kept in an attribute": lambda value: Plain(functools.partial(above, limit=value)),
    "a mapping": lambda value: Plain({"limit": value}),
    "what a getter gets": lambda value: itemgetter(f"name{value}"),
    "a function with a cache": lambda value: functools.lru_cache(keyed(value)),
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_what_a_function_was_made_with_is_part_of_it(made):
    assert text(made(1)) == text(made(1))
    assert differing(text(made(1)), text(made(2))) == ["where"]


class Other:
    def __call__(self, user):
        return user["total"] < self.limit

    def __init__(self, limit):
        self.limit = limit


def test_two_callable_objects_of_other_code_differ():
    Other.__name__ = Other.__qualname__ = "Plain"
    assert differing(text(Plain(1)), text(Other(1))) == ["where"]


def test_an_object_without_a_stable_text_is_its_type():
    assert text(functools.partial(above, limit=object())) == text(functools.partial(above, limit=object()))


def test_a_join_is_described_by_both_of_its_sides():
    def join(right, **more):
        given = {"of": USER, "right": right, "on": "total", "pk": "USER#{user_id}", "sk": "PROFILE"} | more
        (view,) = check([Join(name="profile", **given)])
        return described(view)

    team = Entity(name="team", keys=("id",), attributes=("name",), table="teams")
    other = Entity(name="team", keys=("id",), attributes=("name",), table="others")
    assert differing(join(team), join(team)) == []
    assert differing(join(team), join(other)) == ["right.table"]
    assert differing(join(team), join(team, kind="inner", keep_right=("name",))) == ["keep_right", "kind"]
