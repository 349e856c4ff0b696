"""What a view keeps of an item that has left it, and of a row that its TTL took."""

import pytest

from distributary.derive import Entity, Projection, type_is
from tests.scheduler.choices import Listed
from tests.scheduler.derive import DeriveWorld
from tests.scheduler.world import Plan

ITEM = Entity(name="item", keys=("id",), attributes=("type", "name", "ends"))
TYPED = Entity(name="typed", keys=("id",), attributes=("type", "name"), where=type_is("a"))


class Story(DeriveWorld):
    """One view, and steps that a test makes one by one."""

    def __init__(self, view):
        super().__init__(0, Listed([]), Plan(items=1))
        self.declared = [view]

    def branch(self):
        self.pooled = [type("Pooled", (), {"declared": each})() for each in self.declared]
        return super().branch()

    def rows(self):
        return {key: row["name"]["S"] for key, row in self.service.state["derived"].items()}

    def wrote(self, deliver=True, **attributes):
        self.put("i0", attributes)
        return self.deliver() if deliver else None

    def deliver(self, at=-1, **more):
        with self.scheduler.machine():
            assert self.function([{**self.records[at], **more}]) is None


def text(value):
    return {"S": value}


@pytest.mark.xfail(reason="a delete of what an unseen update took out of the entity is ignored", strict=True)
def test_a_delete_takes_the_row_away_though_the_update_before_it_never_came():
    story = Story(Projection(name="typed", of=TYPED, pk="TYPED", sk="{id}", keep=("name",)))
    story.wrote(type=text("a"), name=text("x"))
    assert story.rows() == {("TYPED", "i0"): "x"}
    story.wrote(deliver=False, type=text("b"), name=text("x"))
    story.delete("i0")
    story.deliver()
    assert story.rows() == {}


@pytest.mark.xfail(reason="a row that its own TTL took is forgotten with its version", strict=True)
def test_an_older_change_does_not_bring_back_a_row_that_its_ttl_took():
    story = Story(Projection(name="ending", of=ITEM, pk="ENDING", sk="{id}", keep=("name",), expires_at="ends"))
    for name in "xy":
        story.wrote(name=text(name), ends={"N": "1795341700"})
    story.service.state["derived"].clear()
    story.deliver(0, distributary={"origin": "redrive"})
    assert story.rows() == {}
