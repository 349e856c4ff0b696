"""Around the split of a shard, and when the stream forgets one, an item's changes stay in order."""

import pytest
from botocore.exceptions import ClientError

from tests.local.virtual_mapping import FakeStream, Function, SteppedMapping, VirtualTime, error


@pytest.fixture
def clock():
    return VirtualTime()


@pytest.fixture
def stream(clock):
    return FakeStream(clock)


def mapping_on(stream, function=None, **given):
    mapping = SteppedMapping(stream, stream.clock, function or Function(), **given)
    mapping.discover()
    return mapping


def quiet(mapping, *shards):
    """Polls that find nothing, for longer than `drained` asks for."""
    since = mapping.clock.now()
    for _ in range(3):
        for shard in shards:
            mapping.poll(shard)
        mapping.clock.wait(1)
    return since


def test_nothing_is_drained_before_the_children_of_a_split_are_read(stream):
    stream.add("parent", records=[("1", "a")])
    function = Function()
    mapping = mapping_on(stream, function)
    stream.split("parent", ("child", [("2", "a")]))
    mapping.poll("parent")
    mapping.deliver("parent")
    since = quiet(mapping, "parent")
    assert not mapping.drained(since)
    mapping.discover()
    assert mapping.shards() == ["parent", "child"]
    assert not mapping.drained(since)
    mapping.poll("child")
    mapping.deliver("child")
    quiet(mapping, "child")
    assert mapping.drained(since)
    assert function.sequences == ["1", "2"]


def test_a_split_that_is_known_before_its_parent_ends_is_not_drained(stream):
    stream.add("parent", records=[("1", "a")])
    mapping = mapping_on(stream)
    mapping.poll("parent")
    mapping.deliver("parent")
    since = quiet(mapping, "parent")
    assert mapping.drained(since)
    stream.split("parent", ("child", [("2", "a")]))
    mapping.discover()
    assert mapping.shards() == ["parent"]
    assert not mapping.drained(since)


def test_a_shard_that_ends_during_a_look_at_the_stream_still_has_its_children(stream):
    """DescribeStream answers without the children; then the parent is split and read to its end."""
    stream.add("parent", records=[("1", "a")])
    mapping = mapping_on(stream)

    def end():
        stream.split("parent", ("child", [("2", "a")]))
        mapping.poll("parent")
        mapping.deliver("parent")

    stream.during["describe_stream"] = end
    mapping.discover()
    assert not mapping.drained(quiet(mapping, "parent"))


def test_a_child_waits_for_records_that_its_parent_has_read_but_not_handed_on(stream):
    """The look at the stream runs inside the poll, between reading the last records and giving them to the workers."""
    stream.add("parent", records=[("1", "a")])
    began = []

    def look(records):
        mapping.discover()
        began.extend(mapping.shards())
        return records

    mapping = mapping_on(stream, transform=look)
    stream.split("parent", ("child", [("2", "a")]))
    mapping.poll("parent")
    assert began == ["parent"]
    mapping.discover()
    assert mapping.shards() == ["parent"]
    mapping.deliver("parent")
    mapping.discover()
    assert mapping.shards() == ["parent", "child"]


def test_a_child_waits_when_its_parent_is_read_during_a_look_at_the_stream(stream):
    """The other half: the poll runs inside the look."""
    stream.add("parent", records=[("1", "a")])
    mapping = mapping_on(stream)
    stream.split("parent", ("child", [("2", "a")]))
    stream.during["describe_stream"] = lambda: mapping.poll("parent")
    mapping.discover()
    assert mapping.shards() == ["parent"]


def test_a_rewound_parent_holds_its_child_back_until_it_has_delivered_again(stream):
    stream.add("parent", records=[("1", "a")])
    function = Function()
    mapping = mapping_on(stream, function)
    stream.split("parent", ("child", [("2", "a")]))
    mapping.poll("parent")
    mapping.deliver("parent")
    stream.during["describe_stream"] = lambda: mapping.rewind("parent")
    mapping.discover()
    assert mapping.shards() == ["parent"]
    mapping.poll("parent")
    mapping.discover()
    assert mapping.shards() == ["parent"]
    mapping.deliver("parent")
    mapping.discover()
    assert mapping.shards() == ["parent", "child"]
    assert function.sequences == ["1", "1"]


def test_a_failing_parent_that_the_stream_has_forgotten_holds_its_child_back(stream):
    stream.add("parent", records=[("1", "a")])
    mapping = mapping_on(stream)
    stream.split("parent", ("child", [("2", "a")]))
    mapping.poll("parent")
    stream.forgotten.add("parent")
    mapping.discover()
    assert mapping.shards() == ["parent"]
    mapping.deliver("parent")
    mapping.discover()
    assert mapping.shards() == ["parent", "child"]


def test_a_shard_forgotten_before_its_end_is_a_gap_and_ends_no_mapping(stream):
    stream.add("parent", records=[("1", "a")])
    mapping = mapping_on(stream)
    mapping.poll("parent")
    mapping.deliver("parent")
    stream.split("parent", ("child", [("2", "a")]))
    stream.forgotten.add("parent")
    with pytest.raises(ClientError):
        mapping.poll("parent")
    mapping.discover()
    mapping.poll("parent")
    mapping.discover()
    assert mapping.shards() == ["parent", "child"]
    assert mapping.tally.counts()["gaps"] == 1


def test_a_shard_that_one_look_does_not_list_is_read_on(stream):
    """Only what cannot be read either has been forgotten."""
    stream.add("shard", records=[("1", "a")])
    mapping = mapping_on(stream)
    stream.unlisted.add("shard")
    mapping.discover()
    mapping.poll("shard")
    assert mapping.outstanding() == 1
    assert "gaps" not in mapping.tally.counts()


def test_a_shard_that_cannot_be_found_for_a_moment_is_read_on(stream):
    """Unless DescribeStream has dropped it as well, nothing is given up."""
    stream.add("shard", records=[("1", "a")])
    mapping = mapping_on(stream)

    def lost():
        raise error("ResourceNotFoundException")

    stream.during["get_records"] = lost
    with pytest.raises(ClientError):
        mapping.poll("shard")
    mapping.discover()
    mapping.poll("shard")
    assert mapping.outstanding() == 1
    assert "gaps" not in mapping.tally.counts()
