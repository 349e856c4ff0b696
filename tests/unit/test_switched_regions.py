"""Whole items of several regions that go by the stream's second, while their function goes to another source: positions
of the two cannot be compared."""

import pytest

from distributary.consumer.outcome import Status
from distributary.replicate import last_writer
from distributary.stream.kinesis import MICROS, plain
from distributary.stream.records import decode
from tests.fakes.kinesis import delivered, written
from tests.unit.edited_regions import EU, FOREVER, US, World


class Switched(World):
    """`by` says how a function of the region US hears of its records: as a stream has them, or by Kinesis."""

    def by(self, source, generation, *places):
        """What became of each."""
        records = self.tables.records_of(US)
        heard = [self._kinesis(records[at], at) if source == "kinesis" else records[at] for at in places]
        changes = decode({"Records": heard}, generation)
        return [end.status for end in self.branch(US).apply(changes, FOREVER)]

    def _kinesis(self, record, at):
        micros = int(record["dynamodb"]["ApproximateCreationDateTime"]) * MICROS + at
        return plain(delivered(written(record, "items", micros), at))


@pytest.fixture(params=[("stream", "kinesis"), ("kinesis", "stream")], ids=["there", "back"])
def sources(request):
    return request.param


@pytest.fixture
def world():
    return Switched(last_writer())


def test_an_older_edit_that_comes_again_by_the_new_source_brings_nothing_back(world, sources):
    first, second = sources
    world.put(US, 0, "a")
    world.tables.clock += 2
    world.put(US, 0, "b")
    world.by(first, 1, 0, 1)
    assert world.by(second, 2, 0) == [Status.SUPERSEDED]
    assert world.values() == [{"x": "b"}, {"x": "b"}]


def test_an_edit_of_an_item_that_was_deleted_since_brings_nothing_back(world, sources):
    first, second = sources
    world.put(US, 0, "a")
    world.put(US, 0, "b")
    world.tables.clock += 2
    world.delete(US)
    world.by(first, 1, 0, 1, 2)
    world.by(second, 2, 1)
    assert world.values() == [{}, {}]


@pytest.mark.parametrize("seconds", [0, 2])
def test_an_edit_that_only_the_new_source_has_wins_over_what_it_replaced(world, sources, seconds):
    first, second = sources
    world.put(US, 0, "a")
    world.put(US, 0, "b")
    world.tables.clock += seconds
    world.put(US, 0, "c")
    world.by(first, 1, 0, 1)
    assert world.by(second, 2, 2) == [Status.APPLIED]
    assert world.values() == [{"x": "c"}, {"x": "c"}]


def test_all_that_both_sources_carry_ends_as_it_was(world, sources):
    first, second = sources
    for value in "abc":
        world.put(US, 0, value)
    world.by(first, 1, 0, 1, 2)
    world.by(second, 2, 0, 1, 2)
    world.by(second, 2, 2)
    assert world.values() == [{"x": "c"}, {"x": "c"}]
    world.carry(EU)
    assert world.values() == [{"x": "c"}, {"x": "c"}]
