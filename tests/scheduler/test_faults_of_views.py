"""What a view keeps of an item that has left it, and of a row that its TTL took."""

import pytest

from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import Status
from distributary.derive import Aggregate, Entity, Latest, Projection, key_prefix, type_is
from distributary.stream.records import decode
from tests.replaced import replace
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
        self.generation = 0

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
            changes = decode({"Records": [{**self.records[at], **more}]}, self.generation)
            (end,) = self.branch().apply(changes, FOREVER)
        assert end.status not in (Status.FAILED, Status.PARKED), end


def text(value):
    return {"S": value}


OF_A = [
    Projection(name="typed", of=TYPED, pk="TYPED", sk="{id}", keep=("name",)),
    Projection(name="moving", of=TYPED, pk="NAME#{name}", sk="{id}", keep=("name",)),
    Latest(name="newest", of=TYPED, pk="NEWEST", sk="NEWEST", by="name", keep=("name",)),
    Aggregate(name="counted", of=TYPED, pk="COUNTED", sk="COUNTED", count="items", max={"name": "name"}),
]


@pytest.mark.parametrize("view", OF_A, ids=lambda view: view.name)
def test_an_insert_of_another_type_removes_the_row_of_a_lost_delete(view):
    story = Story(view)
    story.wrote(type=text("a"), name=text("x"))
    assert len(story.service.state["derived"]) > 0
    with story.scheduler.machine():
        story.delete("i0")
    story.wrote(type=text("b"), name=text("x"))
    assert story.service.state["derived"] == {}


@pytest.mark.parametrize("view", OF_A, ids=lambda view: view.name)
def test_a_snapshot_of_an_item_that_a_view_is_not_about_writes_nothing(view):
    story = Story(view)
    story.wrote(deliver=False, type=text("b"), name=text("x"))
    story.deliver(distributary={"origin": "snapshot"})
    ledger = [id for (id,) in story.service.state["ledger"] if not id.startswith("%")]
    assert (ledger, story.service.state["derived"], story.service.state["tombstones"]) == ([], {}, {})


@pytest.mark.parametrize("view", OF_A, ids=lambda view: view.name)
def test_a_later_generations_snapshot_removes_what_a_declaration_left(view):
    story = Story(view)
    story.wrote(type=text("a"), name=text("x"))
    other = Entity(name="typed", keys=("id",), attributes=("type", "name"), where=key_prefix("id", "other"))
    story.declared = [replace(view, of=other)]
    story.generation = 1
    story.deliver(distributary={"origin": "snapshot"})
    assert story.service.state["derived"] == {}


def test_a_delete_takes_the_row_away_though_the_update_before_it_never_came():
    story = Story(Projection(name="typed", of=TYPED, pk="TYPED", sk="{id}", keep=("name",)))
    story.wrote(type=text("a"), name=text("x"))
    assert story.rows() == {("TYPED", "i0"): "x"}
    story.wrote(deliver=False, type=text("b"), name=text("x"))
    story.delete("i0")
    story.deliver()
    assert story.rows() == {}


def test_an_older_change_does_not_bring_back_a_row_that_its_ttl_took():
    story = Story(Projection(name="ending", of=ITEM, pk="ENDING", sk="{id}", keep=("name",), expires_at="ends"))
    for name in "xy":
        story.wrote(name=text(name), ends={"N": "1795341700"})
    story.service.state["derived"].clear()
    story.deliver(0, distributary={"origin": "redrive"})
    assert story.rows() == {}


def test_the_version_of_a_row_is_kept_for_as_long_as_its_ttl_may_take_the_row():
    story = Story(Projection(name="ending", of=ITEM, pk="ENDING", sk="{id}", keep=("name",), expires_at="ends"))
    story.wrote(name=text("x"), ends={"N": "2000000000"})
    (tombstone,) = story.service.state["tombstones"].values()
    assert int(tombstone["expires_at"]["N"]) == 2_000_000_000 + 7 * 86_400
