"""Mirrors that face each other: each has the keys of its own prefix, in both tables."""

from distributary.replicate import Entity, Mirror
from tests.scheduler.choices import Listed
from tests.scheduler.mirror import MirrorWorld
from tests.scheduler.world import Plan

ITEM = Entity(name="item", keys=("id",))


class Facing(MirrorWorld):
    """The mirror of the source's own keys; what else is in the replica, its own application wrote there."""

    declared = Mirror(of=ITEM, key_prefix="here-")

    def __init__(self):
        super().__init__(0, Listed([]), Plan())
        self.service.put_item(TableName="replica", Item={"id": {"S": "there-1"}, "name": {"S": "foreign"}})

    def foreign(self):
        return ("there-1",) in self.service.state["replica"]


def test_a_repair_leaves_the_other_mirrors_rows_alone():
    world = Facing()
    with world.scheduler.machine():
        report = world.verify(repair=True)
    assert world.foreign()
    assert report["differences"] == 0


def test_an_insert_outside_the_prefix_deletes_no_foreign_row():
    world = Facing()
    world.declared = Mirror(of=ITEM, key_prefix="here-", expired="ignore")
    world.put("there-1", {"name": {"S": "x"}})
    with world.scheduler.machine():
        assert world.function(world.records) is None
    assert world.foreign()
