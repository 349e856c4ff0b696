"""A repair of a versioned row never wins over what came beside it: a delete, a change, another repair."""

from itertools import count

import pytest

from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import APPLIED, SUPERSEDED
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register, Write
from distributary.errors import Unavailable
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.serial import Serial

KEY = {"pk": {"S": "a"}}


class Interrupted(Tombstones):
    """Something happens just before the next tombstone is written."""

    def put_tombstone(self, *arguments, **named):
        while happenings:
            happenings.pop()()
        return super().put_tombstone(*arguments, **named)


happenings = []


@pytest.fixture
def register():
    happenings.clear()
    client, revisions = DynamoDB({"rows": {"pk": "S"}, "tombstones": {"id": "S"}}), count()
    tombstones = Interrupted(client, "tombstones", 7, lambda: 0.0)
    return Register(client, "rows", tombstones, Serial(), revision=lambda: f"{next(revisions):x}")


def put(version, text="x"):
    return Write("a", KEY, {**KEY, "text": {"S": text}}, version)


def delete(version):
    return Write("a", KEY, None, version)


def row(register):
    return register.client.state["rows"].get(("a",), {})


def version_text(register):
    return row(register)[REPLICA_VERSION]["S"]


def tombstone(register):
    return register.tombstones.find(["a"], FOREVER).get("a", "")


def test_a_delete_that_comes_after_the_repairs_look_takes_its_row_back(register):
    register.tombstones.put_tombstone("a", 9)
    assert not register.repair(put(5), {}, "")
    assert row(register) == {}


def test_a_delete_older_than_the_repaired_row_takes_nothing(register):
    register.write([put(5, "stale")], FOREVER)
    register.tombstones.put_tombstone("a", 4)
    assert register.repair(put(0), row(register), "")
    assert version_text(register).startswith(versions.to_text(5))


def test_of_two_repairs_that_saw_one_row_the_second_does_nothing(register):
    register.write([put(5, "stale")], FOREVER)
    seen = dict(row(register))
    assert register.repair(put(0, "one"), seen, "")
    assert not register.repair(put(0, "other"), seen, "")
    assert row(register)["text"] == {"S": "one"}


@pytest.mark.parametrize(("first", "second"), [(put(0, "kept"), delete(0)), (delete(0), put(0, "kept"))])
def test_of_two_repairs_that_disagree_the_second_writes_no_row_or_tombstone(register, first, second):
    """One of them has seen an item that the other has not."""
    register.write([put(5, "stale")], FOREVER)
    seen = dict(row(register))
    assert register.repair(first, seen, "")
    after = row(register), tombstone(register)
    assert not register.repair(second, seen, "")
    assert (row(register), tombstone(register)) == after


@pytest.mark.parametrize("version", [4, 6])
def test_a_repair_of_a_missing_row_leaves_the_one_that_came_meanwhile(register, version):
    register.write([put(5, "came")], FOREVER)
    assert not register.repair(put(version, "missing"), {}, "")
    assert row(register)["text"] == {"S": "came"}


def test_a_repair_that_finds_no_row_to_remove_writes_nothing(register):
    assert not register.repair(delete(0), {}, "")
    assert register.client.calls == {}


def test_a_removed_row_stays_away_from_its_own_put_and_not_from_the_next(register):
    register.write([put(5)], FOREVER)
    assert register.repair(delete(0), row(register), "")
    assert register.write([put(5)], FOREVER) == [SUPERSEDED]
    assert row(register) == {}
    assert register.write([put(6)], FOREVER) == [APPLIED]


def test_a_row_that_another_repair_keeps_is_not_below_the_tombstone(register):
    """One repair saw no item, the other sees the item that was made again; then the old change is delivered again."""
    register.write([put(5, "dead")], FOREVER)
    happenings.append(lambda: register.repair(put(0, "alive"), row(register), ""))
    assert not register.repair(delete(0), row(register), "")
    register.write([put(5, "dead")], FOREVER)
    assert row(register)["text"] == {"S": "alive"}


def test_a_row_that_came_back_is_repaired_at_its_tombstones_version(register):
    register.write([delete(7)], FOREVER)
    assert register.repair(put(0, "alive"), {}, tombstone(register))
    assert version_text(register).startswith(f"{versions.to_text(7)}~")
    register.write([put(6, "dead")], FOREVER)
    assert row(register)["text"] == {"S": "alive"}


def test_a_delete_delivered_again_removes_the_row_of_a_repair_that_ended_early(register):
    """The function ended between the tombstone and the row, then the repair did."""

    def ends():
        raise Unavailable("the repair's process ended")

    register.write([put(5)], FOREVER)
    register.tombstones.put_tombstone("a", 7)
    happenings.append(ends)
    with pytest.raises(Unavailable):
        register.repair(delete(0), row(register), tombstone(register))
    register.write([delete(7)], FOREVER)
    assert row(register) == {}


def test_a_row_below_its_tombstone_is_removed_and_the_tombstone_stays(register):
    """As a put leaves it that took effect too late."""
    register.write([delete(7)], FOREVER)
    late = {**KEY, "text": {"S": "late"}, REPLICA_VERSION: {"S": versions.to_text(5)}}
    register.client.put_item(TableName="rows", Item=late)
    assert register.repair(delete(0), row(register), tombstone(register))
    assert row(register) == {}
    assert tombstone(register) == versions.to_text(7)


@pytest.mark.parametrize("typed", [{"S": "zzz"}, {"N": "7"}])
def test_a_row_whose_version_is_none_gets_one(register, typed):
    register.client.put_item(TableName="rows", Item={**KEY, REPLICA_VERSION: typed})
    assert register.repair(put(3), row(register), "")
    assert versions.version_in(version_text(register)) == 3
