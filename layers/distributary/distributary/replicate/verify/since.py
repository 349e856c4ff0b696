"""Which items changed since a time: read from the table's own stream, deletes and all.

A stream keeps 24 hours, so that is as far back as this reaches; nothing older is known from a table, whose items say
neither when they were written nor that they were deleted. Whoever reads a stream is one more of its readers, of which
it serves two (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html): beside two functions,
all three are throttled meanwhile.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from distributary.consumer.aws import AwsError, classify
from distributary.errors import Unavailable
from distributary.replicate.verify.table import Keys

BATCH = 100
QUIET = 10
"""An open shard is at its end after so many empty answers in a row: nothing says so for certain."""

SECONDS_KEPT = 86_400


def changed(
    client: Any, stream: str, since: float, until: float, sleep: Callable[[float], None] = time.sleep
) -> Iterator[list[Keys]]:
    """The keys of all records made from `since` to `until` (epoch seconds, whole on a stream), at most 100 a time, an
    item once a batch. Raises Unavailable."""
    batch: dict[str, Keys] = {}
    for shard in _shards(client, stream):
        for record in _records(client, stream, shard, until, sleep):
            if record["ApproximateCreationDateTime"].timestamp() < int(since):
                continue
            keys = record["Keys"]
            batch[repr(sorted(keys.items()))] = keys
            if len(batch) == BATCH:
                yield list(batch.values())
                batch = {}
    if batch:
        yield list(batch.values())


def _shards(client: Any, stream: str) -> Iterator[str]:
    request = {"StreamArn": stream}
    while True:
        page = _called(client.describe_stream, **request)["StreamDescription"]
        yield from (each["ShardId"] for each in page["Shards"])
        if not page.get("LastEvaluatedShardId"):
            return
        request["ExclusiveStartShardId"] = page["LastEvaluatedShardId"]


def _records(
    client: Any, stream: str, shard: str, until: float, sleep: Callable[[float], None]
) -> Iterator[dict[str, Any]]:
    place = {"StreamArn": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    iterator, quiet = _called(client.get_shard_iterator, **place)["ShardIterator"], 0
    while iterator and quiet < QUIET:
        answer = _called(client.get_records, ShardIterator=iterator)
        for record in answer["Records"]:
            if record["dynamodb"]["ApproximateCreationDateTime"].timestamp() > until:
                return
            yield record["dynamodb"]
        quiet = 0 if answer["Records"] else quiet + 1
        iterator = answer.get("NextShardIterator")
        sleep(0.25 if quiet else 0)


def _called(call: Callable[..., Any], **arguments: Any) -> Any:
    try:
        return call(**arguments)
    except AwsError as error:
        raise Unavailable(str(classify(error, "the stream"))) from error
