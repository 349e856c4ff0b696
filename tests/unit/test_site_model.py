"""Every order of the calls that merging states into one region makes, with crashes: the greatest state stands.

The calls are those of the real code, on tables that evaluate their conditions.
"""

import copy
from functools import partial
from itertools import permutations

import pytest

from distributary.consumer.deadline import FOREVER
from distributary.dynamodb.steps import finish
from distributary.replicate.declarations import MultiActive, last_writer
from distributary.replicate.multi_active.conditional_rows import Rows
from distributary.replicate.multi_active.lww import Stamps
from distributary.replicate.multi_active.whole_items import MultiActiveBranch
from distributary.stream.change import REPLICA_VERSION
from tests.fakes import dynamodb
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.interleavings import Interleavings
from tests.fakes.serial import Serial

US, EU, AP = "us-east-1", "eu-west-1", "ap-south-1"
DECLARED = MultiActive(regions=(US, EU, AP), rule=last_writer("at"))
READING = Stamps(DECLARED.rule, DECLARED.regions, REPLICA_VERSION)
KEY = {"id": {"S": "x"}}


def edit(at, region):
    return READING.row({"id": {"S": "x"}, "at": {"N": str(at)}, "by": {"S": region}}, region, at, certain=True)


OLD, EARLY, LATE = edit(1, EU), edit(2, US), edit(3, AP)
HISTORIES = [
    [OLD, OLD.deletion()],
    [OLD, EARLY, LATE],
    [OLD, EARLY.deletion()],
    [OLD, EARLY, EARLY.deletion()],
    [EARLY, OLD.deletion(), EARLY.deletion()],
    [OLD, OLD.deletion(), LATE],
    [OLD.deletion(), EARLY.deletion(), LATE],
    [OLD.deletion(), EARLY, LATE.deletion()],
]


class Tables:
    def __init__(self):
        self.client = DynamoDB({"items": {"id": "S"}, "tombstones": {"id": "S"}})
        self._states = {}

    def freeze(self):
        text = repr(self.client.state)
        self._states.setdefault(text, copy.deepcopy(self.client.state))
        return text

    def thaw(self, frozen):
        self.client.state = copy.deepcopy(self._states[frozen])

    def row(self):
        return self.client.get_item(TableName="items", Key=KEY).get("Item")


def merging(tables, states, wrap, lives):
    """A program: merges these states, one after the other, into South America's tables."""
    client = wrap(tables.client, dynamodb)
    rows = Rows(client, "sa-east-1", "items", "tombstones", REPLICA_VERSION, 7, lambda: 0.0)
    branch = MultiActiveBranch(DECLARED, (rows,), READING, None, Serial(), lambda _: None)
    item = branch.item(KEY, FOREVER)
    for state in states:
        finish(item.merge(item.home, state), sleep=lambda _: None)


def every_order(programs, crashes):
    tables = Tables()
    found = Interleavings(tables, [partial(merging, tables, states) for states in programs], crashes)
    greatest = max((state for states in programs for state in states), key=lambda state: state.order)
    for state, _ in found.endings:
        tables.thaw(state)
        row = tables.row()
        assert (row is None) == greatest.deleted
        assert row is None or READING.row(row, "sa-east-1") == greatest
    return found


@pytest.mark.parametrize("history", HISTORIES, ids=str)
def test_in_every_order_and_with_a_crash_anywhere_the_greatest_state_stands(history):
    assert every_order([[state] for state in history], crashes=1).nodes > 50


@pytest.mark.parametrize(
    "history",
    [*(each for each in HISTORIES if len(each) < 3), pytest.param(HISTORIES[3], marks=pytest.mark.slow)],
    ids=str,
)
def test_a_stream_beside_its_own_rewind_ends_the_same(history):
    for again in permutations(history):
        every_order([history, list(again)], crashes=1)
