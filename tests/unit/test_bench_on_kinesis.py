"""The benchmarks' records of Kinesis tell what their records of a stream tell."""

import json

import pytest

from bench.orders import KINESIS, READ, SIZES, STREAM, body
from distributary.stream import records, version


@pytest.mark.parametrize("size", SIZES)
def test_both_sources_bring_the_same_changes_to_the_benchmark(size):
    of_stream, of_kinesis = (records.decode(json.loads(body(size, 5, each)), 0) for each in (STREAM, KINESIS))
    for one, other in zip(of_stream, of_kinesis, strict=True):
        assert (one.kind, one.keys.raw, one.new.raw, one.old.raw) == (
            other.kind,
            other.keys.raw,
            other.new.raw,
            other.old.raw,
        )
        assert set(READ) <= set(one.new.raw)
    assert len({version.position_of(each.version) for each in of_kinesis}) == 5
