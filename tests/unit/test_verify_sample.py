"""What a random share of the segments says of the rest, and what a stream says of a time."""

import random
from datetime import UTC, datetime
from math import comb

import pytest

from distributary.errors import Unavailable
from distributary.replicate.verify import sample
from distributary.replicate.verify.since import QUIET, changed
from tests.fakes.answers import refusal


@pytest.mark.parametrize(("segments", "read"), [(100, 10), (100, 100), (1, 1), (2000, 59), (100, 1)])
def test_the_bound_is_the_largest_share_that_a_sample_misses_once_in_twenty(segments, read):
    bad = round(sample.at_most(read, segments) * segments)
    assert comb(segments - bad, read) / comb(segments, read) > 0.05 or bad == 0
    assert comb(segments - bad - 1, read) / comb(segments, read) <= 0.05


def test_the_bound_is_the_same_however_it_is_reckoned():
    exact = sample.at_most(60, 2000)
    assert sample.at_most(60, 20_000) == pytest.approx(exact, rel=0.03)
    assert sample.at_most(60, 1_000_000) == pytest.approx(1 - 0.05 ** (1 / 60), rel=0.01)


def test_what_the_bound_promises_is_kept():
    """With just more bad segments than the bound, at most one sample of twenty finds none of them."""
    rng, segments, read = random.Random(1), 500, 40
    bad = set(range(round(sample.at_most(read, segments) * segments) + 1))
    missed = sum(not bad & set(rng.sample(range(segments), read)) for _ in range(4000))
    assert missed / 4000 < 0.065


def test_a_table_is_cut_into_segments_as_large_and_many_as_dynamodb_takes():
    assert [sample.segments_of(n) for n in (0, 99, 1000, 10**12)] == [1, 1, 10, 1_000_000]


def test_a_share_is_drawn_without_repetition_and_never_empty():
    rng = random.Random(0)
    assert len(set(sample.drawn(0.1, 1000, rng))) == 100
    assert sample.drawn(0.0001, 50, rng) != []
    assert sorted(sample.drawn(0.999, 4, rng)) == [0, 1, 2, 3]


class Streams:
    """Shards of records, two an answer; an open shard has no end."""

    def __init__(self, open_=(), **shards):
        self.shards, self.open = shards, open_

    def describe_stream(self, StreamArn, ExclusiveStartShardId=""):
        names = [name for name in self.shards if name > ExclusiveStartShardId]
        more = {"LastEvaluatedShardId": names[0]} if len(names) > 1 else {}
        return {"StreamDescription": {"Shards": [{"ShardId": name} for name in names[:1]], **more}}

    def get_shard_iterator(self, StreamArn, ShardId, ShardIteratorType):
        assert ShardIteratorType == "TRIM_HORIZON"
        return {"ShardIterator": f"{ShardId}/0"}

    def get_records(self, ShardIterator):
        shard, _, at = ShardIterator.partition("/")
        here = self.shards[shard][int(at) : int(at) + 2]
        following = int(at) + 2
        more = following < len(self.shards[shard]) or shard in self.open
        return {"Records": [r for r in here if r], **({"NextShardIterator": f"{shard}/{following}"} if more else {})}


def record(user, at):
    created = datetime.fromtimestamp(at, UTC)
    return {"dynamodb": {"Keys": {"user_id": {"S": user}}, "ApproximateCreationDateTime": created}}


def users(batches):
    return [[keys["user_id"]["S"] for keys in batch] for batch in batches]


def test_every_shard_is_read_and_each_item_comes_once_a_batch():
    streams = Streams(a=[record("u1", 10), record("u2", 20), record("u1", 30)], b=[record("u3", 25)])
    assert users(changed(streams, "arn", 15, 99)) == [["u2", "u1", "u3"]]


def test_a_record_of_the_very_second_counts():
    assert users(changed(Streams(a=[record("u1", 10)]), "arn", 10.9, 99)) == [["u1"]]


def test_an_open_shard_ends_where_the_run_began_or_after_it_stays_quiet():
    streams = Streams(
        open_=("a", "b"), a=[record("u1", 10), record("late", 100), record("u9", 11)], b=[record("u2", 10)]
    )
    slept = []
    assert users(changed(streams, "arn", 0, 50, slept.append)) == [["u1", "u2"]]
    assert len([each for each in slept if each]) == QUIET


def test_a_gap_in_a_shard_is_not_its_end():
    streams = Streams(a=[record("u1", 10), *[None] * 8, record("u2", 12)])
    assert users(changed(streams, "arn", 0, 50, lambda _: None)) == [["u1", "u2"]]


def test_more_than_a_hundred_items_come_in_batches():
    streams = Streams(a=[record(f"u{i}", 10) for i in range(150)])
    assert [len(batch) for batch in changed(streams, "arn", 0, 50)] == [100, 50]


def test_a_stream_that_cannot_be_read_says_so():
    streams = Streams(a=[])

    def refused(**_):
        raise refusal("GetRecords", "TrimmedDataAccessException", "gone")

    streams.get_records = refused
    with pytest.raises(Unavailable, match="TrimmedDataAccessException"):
        list(changed(streams, "arn", 0, 50))
