"""A mapping on a fake stream of shards, driven one step at a time under a clock that only waits move."""

import json

from botocore.exceptions import ClientError

from local.esm.clock import Clock
from local.esm.lane import Backoff
from local.esm.mapping import EventSourceMapping, Hooks, Stream
from local.esm.settings import MappingSettings
from local.runtime_api import Answer

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/s"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:probe"
DAY = 86_400


def error(code, call="call"):
    return ClientError({"Error": {"Code": code, "Message": code}}, call)


def record(sequence, item, created):
    return {
        "eventID": sequence,
        "eventName": "MODIFY",
        "dynamodb": {
            "SequenceNumber": sequence,
            "Keys": {"id": {"S": item}},
            "ApproximateCreationDateTime": created,
        },
    }


class FakeStream:
    """Shards as DescribeStream and GetRecords show them: closed ones end, forgotten ones do not exist any more.

    `during` maps a call's name to what happens in the middle of it, once."""

    def __init__(self, clock):
        self.clock, self.shards, self.parents, self.closed, self.forgotten = clock, {}, {}, set(), set()
        self.unlisted = set()
        self.during = {}

    def add(self, shard, parent=None, records=()):
        self.shards[shard], self.parents[shard] = [], parent
        for sequence, item in records:
            self.put(shard, sequence, item)

    def put(self, shard, sequence, item):
        self.shards[shard].append(record(sequence, item, self.clock.now()))

    def split(self, parent, *children):
        self.closed.add(parent)
        for child, records in children:
            self.add(child, parent, records)

    def describe_stream(self, **request):
        described = []
        for shard in self.shards.keys() - self.forgotten - self.unlisted:
            numbers = {"StartingSequenceNumber": "1"}
            if shard in self.closed:
                numbers["EndingSequenceNumber"] = "9"
            parent = {"ParentShardId": self.parents[shard]} if self.parents[shard] else {}
            described.append({"ShardId": shard, "SequenceNumberRange": numbers, **parent})
        self._happen("describe_stream")
        return {"StreamDescription": {"Shards": sorted(described, key=lambda each: each["ShardId"])}}

    def get_shard_iterator(self, ShardId, ShardIteratorType, SequenceNumber=None, **request):
        self._exists(ShardId)
        held = self.shards[ShardId]
        start = {"TRIM_HORIZON": 0, "LATEST": len(held)}.get(ShardIteratorType)
        if start is None:
            start = 1 + [each["dynamodb"]["SequenceNumber"] for each in held].index(SequenceNumber)
        return {"ShardIterator": f"{ShardId}:{start}"}

    def get_records(self, ShardIterator, Limit):
        shard, start = ShardIterator.rsplit(":", 1)
        self._exists(shard)
        found = self.shards[shard][int(start) :][:Limit]
        following = int(start) + len(found)
        ended = shard in self.closed and following == len(self.shards[shard])
        self._happen("get_records")
        return {"Records": found, **({} if ended else {"NextShardIterator": f"{shard}:{following}"})}

    def _exists(self, shard):
        if shard in self.forgotten:
            raise error("ResourceNotFoundException")

    def _happen(self, call):
        self.during.pop(call, lambda: None)()


class VirtualTime:
    """Time that passes only while a mapping waits; it is the mapping's `stopping` event as well."""

    def __init__(self):
        self.seconds, self.stopped, self.waits = 1_800_000_000.0, False, []

    def now(self):
        return self.seconds

    def wait(self, seconds=None):
        self.waits.append(seconds)
        self.seconds += seconds or 0
        return self.stopped

    def set(self):
        self.stopped = True

    def is_set(self):
        return self.stopped


class Function:
    """Answers as it is told to: `answer` is called with the items of a batch. `items` are all batches that it saw,
    `sequences` the records that it took."""

    def __init__(self, answer=lambda items: None):
        self.answer, self.items, self.sequences = answer, [], []

    def __call__(self, payload):
        records = json.loads(payload)["Records"]
        items = [each["dynamodb"]["Keys"]["id"]["S"] for each in records]
        failed = self.answer(items)
        if isinstance(failed, Exception):
            raise failed
        self.items.append(items)
        if not failed:
            self.sequences += [each["dynamodb"]["SequenceNumber"] for each in records]
        return Answer("request", None, "Unhandled" if failed else None)


class SteppedMapping(EventSourceMapping):
    """Starts no threads: a test says whose turn it is."""

    def __init__(self, stream, clock, function, clients=None, transform=None, **settings):
        self.clock = clock
        super().__init__(
            Stream(ARN, "us-east-1", stream),
            FUNCTION,
            function,
            MappingSettings("TRIM_HORIZON", reports_failures=True, **settings),
            clients or (lambda service: None),
            Hooks(transform=transform),
            Backoff(1, 600),
            Clock(clock.now, clock.now, clock),
        )

    def _thread(self, run, name):
        pass

    def discover(self):
        self._discover()

    def poll(self, shard):
        self._pollers[shard].poll()

    def deliver(self, shard):
        for worker in self._pollers[shard].workers:
            while worker.waiting():
                worker.step()
