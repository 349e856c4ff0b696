"""Stored merge states: exact, read in 0.1's format too, and refused in a later one."""

import json
import zlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.consumer.outcome import Status
from distributary.dynamodb.steps import finish
from distributary.errors import ConfigError
from distributary.replicate import by_attribute
from distributary.replicate.multi_active.conditional_rows import Rows
from distributary.replicate.multi_active.crdt import Lattice, MergeState, Time, Timestamp
from distributary.replicate.multi_active.edits import Shown
from distributary.replicate.multi_active.merge_table import MergedReplica
from tests.fakes.dynamodb import DynamoDB
from tests.unit.edited_regions import EU, US, World
from tests.unit.test_crdt import BY_ATTRIBUTE, CUSTOM, states

RULE = by_attribute("at", "seconds", counters=("visits",))


def merge_table(name="x"):
    """Of one item."""
    rows = Rows(DynamoDB({"kept": {"id": "S"}}), EU, "items", "kept", "_v", 7, lambda: 0.0)
    return MergedReplica.of(rows, {"id": {"S": name}})


@pytest.mark.parametrize("rules", [BY_ATTRIBUTE, CUSTOM], ids=["by attribute", "custom"])
@given(data=st.data())
def test_a_state_is_read_as_it_was_written(rules, data):
    table, known = merge_table(), data.draw(states(rules))[-1]
    written = finish(table.replace(finish(table.read()), known))
    assert finish(table.read()) == written
    assert written.known == known


def test_a_state_of_a_later_format_is_refused_with_what_to_do():
    table = merge_table()
    finish(table.replace(finish(table.read()), MergeState()))
    (kept,) = table.rows.client.state["kept"].values()
    kept["format"] = {"N": "2"}
    with pytest.raises(ConfigError, match="deploy that release again"):
        finish(table.read())


def test_a_later_format_fails_the_change_and_parks_nothing():
    world = World(RULE)
    world.put(US, 1, "a")
    world.settle()
    for kept in world.tables.state[f"tombstones@{US}"].values():
        kept["format"] = {"N": "2"}
    world.put(US, 2, "b")
    assert world.carry(US) == [Status.FAILED]


def stamp(time, region, position, dead=False):
    return Timestamp(Time.of(Decimal(time)), region, position, dead).as_json()


def in_format_0(body):
    """As release 0.1 stored it."""
    return {"revision": {"S": "r"}, "known": {"B": zlib.compress(json.dumps(body).encode())}}


def test_a_state_of_release_0_1_goes_on_as_it_was():
    """EU made the item, then US wrote `a` and EU `b`: cells, and images, by the number of their value."""
    values = [{"S": "old"}, {"S": "of us"}, {"S": "of eu"}]
    us, eu = stamp(2, US, 20), stamp(3, EU, 30)
    wholes = [[us, [[["a"], 1], [["b"], 0]], {}], [eu, [[["a"], 0], [["b"], 2]], {}]]
    cells = [[["a"], us, 1], [["b"], eu, 2]]
    table = merge_table()
    key = ("merged/items/id=S:x",)
    body = [None, wholes, cells, values, {US: "20", EU: "30"}, ["30", "digest of EU's content"]]
    table.rows.client.state["kept"][key] = {"id": {"S": key[0]}, **in_format_0(body)}
    stored = finish(table.read())
    assert Lattice((US, EU)).value(stored.known) == {"a": {"S": "of us"}, "b": {"S": "of eu"}}
    assert stored.known.has_read(EU, "digest of EU's content")
    assert stored.known.versions == {US: 20, EU: 30}
    assert finish(table.replace(stored, stored.known)).known == finish(table.read()).known == stored.known


def test_a_delete_of_release_0_1_still_covers_what_it_covered():
    table = merge_table()
    key = ("merged/items/id=S:x",)
    body = [stamp(5, US, 20, True), [], [], [], {US: "20", EU: "10"}, ["20", ""]]
    table.rows.client.state["kept"][key] = {"id": {"S": key[0]}, **in_format_0(body)}
    known = finish(table.read()).known
    late = BY_ATTRIBUTE[EU].found(EU, Shown({"a": {"S": "late"}}), known, 11)
    assert Lattice((US, EU)).value(late) is None


def test_merge_states_of_long_keys_have_short_ids_of_their_own():
    tables = [merge_table("k" * 1500 + end) for end in "ab"]
    for each in tables:
        assert finish(each.read()).revision is None
        finish(each.replace(finish(each.read()), MergeState()))
        assert finish(each.read()).revision is not None
    assert len({each.id for each in tables}) == 2
    assert max(len(each.id) for each in tables) <= 1024
