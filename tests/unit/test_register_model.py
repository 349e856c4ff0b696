"""Every order of the calls that the Register makes, with duplicates and crashes: the newest change wins.

The calls are those of the real code, on a table that evaluates its conditions: whoever changes the protocol changes
what is enumerated here.
"""

import copy
from functools import partial

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register, Write
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from tests.fakes import dynamodb
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.interleavings import Interleavings
from tests.fakes.serial import Serial

PUT, DELETE = "put", "delete"
KEY = {"pk": {"S": "row"}}
HISTORIES = [
    [(PUT, 1), (DELETE, 2)],
    [(DELETE, 1), (PUT, 2)],
    [(PUT, 1), (PUT, 2), (DELETE, 3)],
    [(PUT, 1), (DELETE, 2), (PUT, 3)],
    [(DELETE, 1), (PUT, 2), (DELETE, 3)],
    [(PUT, 1), (DELETE, 2), (PUT, 3), (DELETE, 4)],
    [(PUT, 1), (PUT, 2), (DELETE, 3), (PUT, 4)],
]
GAPS = (10**21, versions.POSITIONS)
"""Versions one sequence number apart, and one generation apart."""


class Tables:
    """A table of rows and one of tombstones, that can be put back to where they were."""

    def __init__(self):
        self.client = DynamoDB({"rows": {"pk": "S"}, "tombstones": {"id": "S"}})
        self._states = {}

    def freeze(self):
        text = repr(self.client.state)
        self._states.setdefault(text, copy.deepcopy(self.client.state))
        return text

    def thaw(self, frozen):
        self.client.state = copy.deepcopy(self._states[frozen])

    def row(self):
        return self.client.get_item(TableName="rows", Key=KEY).get("Item")


def row(version):
    return {**KEY, "value": {"S": f"as of {version}"}}


def register(client):
    return Register(client, "rows", Tombstones(client, "tombstones", 7, lambda: 0.0), Serial())


def delivery(tables, batch, wrap, lives):
    """A program: writes a batch of (kind, version)."""
    writes = [Write("row", KEY, row(version) if kind == PUT else None, version) for kind, version in batch]
    ends = register(wrap(tables.client, dynamodb)).write(writes, Deadline(float("inf")))
    return tuple(end.status.value for end in ends)


def right(history):
    kind, version = max(history, key=lambda change: change[1])
    return {**row(version), REPLICA_VERSION: {"S": versions.to_text(version)}} if kind == PUT else None


def every_order(batches, crashes):
    """Fails at the first ending in which another change than the newest stands."""
    tables = Tables()
    found = Interleavings(tables, [partial(delivery, tables, batch) for batch in batches], crashes)
    newest = right([change for batch in batches for change in batch])
    for state, _ in found.endings:
        tables.thaw(state)
        assert tables.row() == newest
    return found


def spaced(history, gap):
    return [(kind, version * gap) for kind, version in history]


@pytest.mark.parametrize("gap", GAPS, ids=["positions", "generations"])
@pytest.mark.parametrize("history", HISTORIES, ids=str)
def test_in_every_order_and_with_a_crash_anywhere_the_newest_change_wins(history, gap):
    every_order([[change] for change in spaced(history, gap)], crashes=1)


@pytest.mark.parametrize("history", [each for each in HISTORIES if len(each) < 4], ids=str)
def test_every_change_delivered_twice_at_once_changes_nothing(history):
    found = every_order([[change] for change in spaced(history, GAPS[0]) for _ in range(2)], crashes=1)
    assert found.nodes > 200


@pytest.mark.parametrize("history", [each for each in HISTORIES if len(each) < 4], ids=str)
def test_a_batch_beside_any_part_of_it_ends_the_same(history):
    changes = spaced(history, GAPS[0])
    for start in range(len(changes)):
        for end in range(start + 1, len(changes) + 1):
            every_order([changes, changes[start:end]], crashes=2)


@pytest.mark.parametrize("order", [1, -1])
def test_a_batch_writes_the_newest_change_of_a_row_only(order):
    tables = Tables()
    changes = [(PUT, 1), (DELETE, 2), (PUT, 3)][::order]
    ends = delivery(tables, changes, lambda client, _: client, 0)
    assert ends[::order] == ("Superseded", "Superseded", "Applied")
    assert tables.client.calls == {"PutItem": 1, "BatchGetItem": 1}
    assert tables.row() == right(changes)


def superseded_puts_do_not_look(task, first):
    return task.row is not None and first == APPLIED


def nobody_looks(task, first):
    return False


@pytest.mark.parametrize("who", [superseded_puts_do_not_look, nobody_looks], ids=lambda who: who.__name__)
def test_looking_less_often_is_not_enough(who, monkeypatch):
    """So that the enumeration is known to find what it is there to find."""
    monkeypatch.setattr("distributary.dynamodb.versioned_table._was_put", who)
    with pytest.raises(AssertionError):
        every_order([[change] for change in spaced([(PUT, 1), (PUT, 2), (DELETE, 3)], GAPS[0])], crashes=1)
