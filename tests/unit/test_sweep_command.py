"""A command that sweeps is read whole or refused, and touches no sink that belongs to another stream."""

from collections import Counter

import pytest

from distributary.consumer.consume import consume
from distributary.consumer.outcome import APPLIED
from distributary.consumer.streams import Streams
from distributary.consumer.sweep import Done, Sweep, Swept
from distributary.errors import ConfigError, ForeignStream
from tests.replaced import replace
from tests.unit.branches import Bucket, Context, Ledger, deployment
from tests.unit.records import ARN

CURSOR = {"id": {"S": "a"}}
PART = {"part": "ledger", "segment": 1, "segments": 2}
DECLARED = {"sales": {"pk": "SALES"}}


class Rebuilder:
    """Notes what it is asked, and is declared as `DECLARED`."""

    def __init__(self, found=None):
        self.found, self.swept, self.done = found or Swept(), [], []

    def sweep(self, asked, deadline):
        self.swept.append(asked)
        return self.found

    def declarations(self, done, deadline):
        self.done.append(done)
        return {"declared": DECLARED}


def asks(rebuilder, command, streams=None):
    deployed = replace(deployment(Ledger(APPLIED), Bucket()), rebuilder=rebuilder, streams=streams or Streams(0))
    return consume({"distributary": command}, Context(), deployed)


def test_a_sweep_is_given_all_that_its_command_says():
    rebuilder = Rebuilder()
    sweep = {**PART, "cursor": CURSOR, "dry_run": True}
    asks(rebuilder, {"sweep": sweep, "only": ["sales"], "table": "orders"})
    assert rebuilder.swept == [Sweep("ledger", 1, 2, CURSOR, frozenset({"sales"}), True, "orders")]


@pytest.mark.parametrize("more", [{}, {"cursor": {}, "dry_run": "yes"}, {"cursor": None, "dry_run": False}])
def test_a_sweep_begins_without_a_cursor_and_is_dry_only_if_asked(more):
    rebuilder = Rebuilder()
    asks(rebuilder, {"sweep": {"part": "ledger", "segment": 0, "segments": 64, **more}})
    assert rebuilder.swept == [Sweep("ledger", 0, 64, None, frozenset(), dry_run=False)]


@pytest.mark.parametrize(
    "sweep",
    [
        {},
        "ledger",
        None,
        {"part": "ledger", "segment": 0},
        {**PART, "segment": 2},
        {**PART, "segment": -1},
        {**PART, "segments": 65},
        {**PART, "segment": "one"},
        {**PART, "segment": None},
        {**PART, "cursor": "a"},
        {**PART, "cursor": ["a"]},
    ],
    ids=str,
)
def test_a_sweep_that_cannot_be_read_is_refused_and_sweeps_nothing(sweep):
    rebuilder = Rebuilder()
    with pytest.raises(ConfigError, match="the command's 'sweep' has no part, no segment"):
        asks(rebuilder, {"sweep": sweep})
    assert rebuilder.swept == []


@pytest.mark.parametrize("names", ["sales", {"sales": 1}, ["sales", 1], None])
def test_names_that_are_no_list_are_refused_and_sweep_nothing(names):
    rebuilder = Rebuilder()
    with pytest.raises(ConfigError, match="the command's 'only' is no list of names"):
        asks(rebuilder, {"sweep": PART, "only": names})
    with pytest.raises(ConfigError, match="the command's 'rebuilt' is no list of names"):
        asks(rebuilder, {"declarations": {"rebuilt": names}})
    assert (rebuilder.swept, rebuilder.done) == ([], [])


def test_causes_that_hold_no_row_any_more_are_left_out_of_the_answer():
    found = Swept(5, 2, Counter({"a digest": 1, "gone": 0}), Counter({"foreign": 2}), CURSOR, repeatable=False)
    assert asks(Rebuilder(found), {"sweep": PART}) == {
        "swept": {
            "read": 5,
            "done": 2,
            "left": [{"cause": "a digest", "rows": 1}],
            "untouched": [{"cause": "foreign", "rows": 2}],
            "cursor": CURSOR,
            "repeatable": False,
        }
    }


def test_what_was_rebuilt_under_other_declarations_is_not_recorded():
    rebuilder, done = Rebuilder(), Done(frozenset({"sales"}), frozenset())
    for told in ({}, {"declared": {}}):
        with pytest.raises(ConfigError, match="another version was deployed meanwhile"):
            asks(rebuilder, {"declarations": {"rebuilt": ["sales"], **told}})
    assert done not in rebuilder.done
    asks(rebuilder, {"declarations": {"rebuilt": ["sales"], "declared": DECLARED}})
    assert rebuilder.done[-1] == done
    assert asks(Rebuilder(), {"declarations": {}}) == {"declarations": {"declared": DECLARED}}


@pytest.mark.parametrize("asked", [None, "sales", ["sales"]])
def test_declarations_that_cannot_be_read_are_refused(asked):
    with pytest.raises(ConfigError, match="the command's 'declarations' has no lists"):
        asks(Rebuilder(), {"declarations": asked})


@pytest.mark.parametrize("command", [{"sweep": PART}, {"declarations": {}}])
def test_a_sink_that_belongs_to_another_stream_is_not_swept(command):
    def foreign(stream, generation):
        raise ForeignStream("the tables belong to another stream")

    rebuilder = Rebuilder()
    with pytest.raises(ForeignStream):
        asks(rebuilder, command, Streams(0, {ARN: 0}, foreign))
    assert (rebuilder.swept, rebuilder.done) == ([], [])


def test_a_sweep_binds_the_stream_of_its_table_alone():
    orders, bound = ARN.replace("users", "orders"), []
    streams = Streams(0, {ARN: 0, orders: 0}, lambda stream, _: bound.append(stream), (ARN, orders))
    asks(Rebuilder(), {"sweep": PART, "table": "orders"}, streams)
    assert bound == [orders]


def test_a_function_that_rebuilds_nothing_refuses_to_sweep():
    with pytest.raises(ConfigError, match="derive sweeps nothing"):
        asks(None, {"sweep": PART})


@pytest.mark.parametrize("command", [1, "sweep", ["replay", "sweep"], None])
def test_a_command_that_is_no_object_is_refused(command):
    with pytest.raises(ConfigError, match="reconcile"):
        asks(Rebuilder(), command)
