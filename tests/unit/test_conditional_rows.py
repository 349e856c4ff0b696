"""A region's two tables are written only as they were seen, and a look reads what a batch left."""

import pytest

from distributary.dynamodb.steps import finish
from distributary.replicate import last_writer
from distributary.replicate.multi_active.conditional_rows import Rows, as_seen
from distributary.replicate.multi_active.lww import LEAST, UNKNOWN, read_stamp, stamp
from tests.fakes.dynamodb import DynamoDB
from tests.unit.edited_regions import EU, FOREVER, US, World

KEY = {"id": {"S": "x"}}
LONG = "k" * 1500


class Leaving:
    """A table whose batch reads leave everything unprocessed."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, operation):
        return getattr(self._client, operation)

    def batch_get_item(self, *, RequestItems):
        return {"Responses": {}, "UnprocessedKeys": RequestItems}


@pytest.fixture
def rows():
    return Rows(DynamoDB({"items": {"id": "S"}, "kept": {"id": "S"}}), EU, "items", "kept", "_v", 7, lambda: 0.0)


def test_a_row_that_was_not_there_is_put_only_where_there_is_none(rows):
    assert finish(rows.put(KEY, {**KEY, "a": {"S": "1"}}, None))
    assert not finish(rows.put(KEY, {**KEY, "a": {"S": "2"}}, None))
    assert finish(rows.row(KEY))["a"] == {"S": "1"}


def test_what_is_kept_is_written_only_as_it_was_seen(rows):
    first, second = ({"revision": {"S": each}} for each in "12")
    assert finish(rows.keep("x", first, {}, deleted=False))
    assert not finish(rows.keep("x", second, {}, deleted=False))
    assert not finish(rows.keep("x", second, second, deleted=False))
    assert finish(rows.keep("x", second, first, deleted=False))


def test_only_what_is_kept_of_a_deleted_item_expires(rows):
    finish(rows.keep("live", {}, {}, deleted=False))
    finish(rows.keep("gone", {}, {}, deleted=True))
    assert "expires_at" not in finish(rows.kept("live"))
    assert finish(rows.kept("gone"))["expires_at"] == {"N": str(7 * 86_400)}


def test_a_look_reads_by_itself_what_a_batch_left_unprocessed(rows):
    finish(rows.put(KEY, {**KEY, "a": {"S": "1"}}, None))
    finish(rows.keep("x", {"revision": {"S": "1"}}, {}, deleted=False))
    left = Rows(Leaving(rows.client), EU, "items", "kept", "_v", 7, lambda: 0.0)
    assert finish(left.look(KEY, "x")) == finish(rows.look(KEY, "x"))
    assert finish(left.look(KEY, "x"))[0]["a"] == {"S": "1"}


def test_the_condition_on_a_row_of_many_attributes_stays_in_dynamodbs_limit():
    row = {**KEY, **{f"a{n}": {"N": "1"} for n in range(500)}}
    condition = as_seen(KEY, row, "_v")["ConditionExpression"]
    assert condition.count(" AND ") + condition.count(" = ") + 1 <= 300


class TestWholeItems:
    """Their states and tombstones, on these tables."""

    @pytest.fixture
    def world(self):
        return World(last_writer("at", "seconds"))

    def state(self, world, at, value="a"):
        item = {**KEY, "at": {"N": str(at)}, "value": {"S": value}}
        return world.branch(US).stamps.row(item, US, 10, certain=True)

    def test_a_greater_tombstone_that_came_since_the_look_is_not_replaced(self, world):
        replica = world.branch(US).item(KEY, FOREVER).home
        first, second, third = (self.state(world, at).deletion(by=US) for at in (1, 2, 3))
        assert finish(replica.write(first, finish(replica.look())))
        seen = finish(replica.look())
        assert finish(replica.write(third, finish(replica.look())))
        assert finish(replica.write(second, seen)) is None
        assert finish(replica.tombstone()) == third

    def test_a_copied_row_comes_after_what_is_known_unless_it_is_that(self, world):
        dead = world.branch(US).stamps.row({**KEY, "at": {"N": "1"}}, US, 10, certain=True).deletion(by=US)
        row, other = self.state(world, 1, "a"), self.state(world, 2, "b")
        assert row.copied([dead]).position == 11
        assert row.copied([row.deletion(by=US)]).position == 10
        assert row.copied([dead, row.deletion(by=US)], 10).position == 11
        assert row.copied([dead], 20).position == 21
        assert row.copied([other.deletion(by=US)]).position == LEAST

    @pytest.mark.parametrize("edited", ["b", None])
    def test_a_row_that_has_changed_since_it_was_looked_at_is_looked_at_again(self, edited):
        """Its region's application writes between a repair's two looks at it."""
        world, meddled = World(last_writer("at", "seconds")), []

        class Meddling:
            def __getattr__(self, operation):
                return getattr(world.tables, operation)

            def get_item(self, **arguments):
                if arguments["TableName"] == f"items@{US}" and not meddled:
                    meddled.append(world.put(US, 1, "b") if edited else world.delete(US))
                return world.tables.get_item(**arguments)

        world.put(US, 1, "a")
        world.wrap = lambda client, service: Meddling()
        assert world.branch(EU).reconcile(KEY, FOREVER) is bool(edited)
        assert world.values() == [{"x": "b"}] * 2 if edited else [{}, {}]

    def test_a_copy_that_was_stamped_without_a_position_gives_way_to_its_record(self, world):
        copied = world.branch(US).stamps.row({**KEY, "at": {"N": "1"}}, US)
        assert copied.position == UNKNOWN
        assert read_stamp(stamp(copied), (US, EU), False).position == LEAST

    def test_items_of_long_keys_have_short_ids_of_their_own(self, world):
        ids = {world.branch(US).item({"id": {"S": LONG + end}}, FOREVER).home.id for end in "ab"}
        assert len(ids) == 2
        assert max(map(len, ids)) <= 1024
