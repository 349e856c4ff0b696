"""Reading a stream's shards."""

import pytest
from botocore.exceptions import ClientError

from local.esm.shards import Shard, ShardReader, discover, readable


def drain(reader):
    found = []
    while records := reader.read():
        found.extend(records)
    return [record["dynamodb"]["SequenceNumber"] for record in found]


def test_a_parent_is_finished_before_its_children_begin():
    shards = [Shard("child", "parent", True), Shard("parent", "forgotten", False), Shard("other", None, True)]
    assert [shard.shard_id for shard in readable(shards, set())] == ["parent", "other"]
    assert [shard.shard_id for shard in readable(shards, {"parent"})] == ["child", "other"]


def test_a_real_shard_is_read_in_order_page_by_page_and_again_from_any_record(aws, table):
    for number in range(5):
        table.put(f"item-{number}")
    client = aws.client("dynamodbstreams")
    (shard,) = discover(client, table.arn)
    reader = ShardReader(client, table.arn, shard.shard_id, "TRIM_HORIZON")
    sequences = drain(reader)
    assert len(sequences) == 5
    assert sequences == sorted(sequences, key=int)
    reader.rewind(sequences[2])
    assert drain(reader) == sequences[3:]
    reader.rewind(None)
    assert drain(reader) == sequences


def test_latest_skips_what_was_there_before(aws, table):
    table.put("before")
    client = aws.client("dynamodbstreams")
    (shard,) = discover(client, table.arn)
    reader = ShardReader(client, table.arn, shard.shard_id, "LATEST")
    assert drain(reader) == []
    table.put("after")
    assert len(drain(reader)) == 1


class Shaky:
    """A stream of the records 1 to 4 that refuses one call with an error."""

    def __init__(self, refuse, error):
        self.refuse, self.error, self.calls = refuse, error, []

    def get_shard_iterator(self, **place):
        return self._answer("iterator", {"ShardIterator": str(int(place.get("SequenceNumber", 0)))})

    def get_records(self, ShardIterator, Limit):
        sequence = int(ShardIterator) + 1
        records = [{"dynamodb": {"SequenceNumber": str(sequence)}}] if sequence <= 4 else []
        following = {"NextShardIterator": str(sequence)} if sequence <= 4 else {}
        return self._answer("records", {"Records": records, **following})

    def _answer(self, call, answer):
        self.calls.append(call)
        if self.calls.count(call) == self.refuse.get(call):
            raise ClientError({"Error": {"Code": self.error, "Message": ""}}, call)
        return answer


def read_all(reader):
    found = []
    while not reader.ended:
        found.extend(record["dynamodb"]["SequenceNumber"] for record in reader.read())
    return found


def test_an_expired_iterator_is_replaced_without_loss_or_repetition():
    reader = ShardReader(Shaky({"records": 3}, "ExpiredIteratorException"), "arn", "shard", "TRIM_HORIZON")
    assert read_all(reader) == ["1", "2", "3", "4"]


def test_records_trimmed_before_they_were_read_are_counted_and_reading_goes_on():
    reader = ShardReader(Shaky({"records": 3}, "TrimmedDataAccessException"), "arn", "shard", "TRIM_HORIZON")
    assert read_all(reader) == ["1", "2", "1", "2", "3", "4"]
    assert reader.gaps == 1


def test_an_error_that_no_reading_mends_is_raised():
    reader = ShardReader(Shaky({"iterator": 1}, "AccessDeniedException"), "arn", "shard", "TRIM_HORIZON")
    with pytest.raises(ClientError):
        reader.read()
