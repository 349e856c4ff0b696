"""Regions that one application writes to: each with its table, its deletions, and its own replicate function."""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from distributary.stream.change import REPLICA_VERSION
from distributary.stream.kinesis import plain
from local.attach import source_table
from local.aws import Aws
from local.esm.lane import Backoff
from local.esm.mapping import Hooks
from local.esm.quiet import wait_until_idle
from local.esm.records import lambda_record
from local.stack import Project, Stack
from local.template import TableSpec
from tests.fakes.region_proxy import RegionProxy
from tests.integration.runbook import disordered, made_since

ROOT = Path(__file__).resolve().parents[2]
TABLE, DELETIONS = "items", "items-deletions"
KEY = ({"AttributeName": "id", "KeyType": "HASH"},), ({"AttributeName": "id", "AttributeType": "S"},)
DRAIN_SECONDS = 90
ENDS = ("Applied", "Superseded", "Ignored", "Parked", "Failed")
_DECLARED = """from distributary.replicate import MultiActive, by_attribute, last_writer

REPLICA = MultiActive(regions={regions!r}, rule={rule})
"""

Item = dict[str, Any]


class Region:
    """One region: the application's hands on its table, and the function that reads its stream. `make`: the stack, of a
    generation and earlier streams."""

    def __init__(self, name: str, endpoint: str, make: Callable[[int, str], Stack], proxy: RegionProxy) -> None:
        self.name, self.stack, self.proxy, self._make = name, make(0, ""), proxy, make
        self.aws = Aws.at_emulator(endpoint, name)
        self.client = self.aws.client("dynamodb")
        self.made: set[str] = set()
        self.deleted: list[Item] = []
        self._numbers = itertools.count()

    def put(self, id: str, at: int, over: Item | None = None, **more: str) -> Item:
        """An edit of the application; `over` is what it read before and writes back with it."""
        texts = {name: {"S": value} for name, value in more.items()}
        item = {**(over or {}), "id": {"S": id}, "at": {"N": str(at)}, "value": self._fresh(), **texts}
        self.client.put_item(TableName=TABLE, Item=item)
        return item

    def update(self, id: str, at: int) -> Item:
        """An edit that leaves what else there is, the replicator's attribute among it; its value."""
        value = self._fresh()
        self.client.update_item(
            TableName=TABLE,
            Key={"id": {"S": id}},
            UpdateExpression="SET #v = :v, #a = :a",
            ExpressionAttributeNames={"#v": "value", "#a": "at"},
            ExpressionAttributeValues={":v": value, ":a": {"N": str(at)}},
        )
        return value

    def delete(self, id: str) -> bool:
        """Whether there was one."""
        old = self.client.delete_item(TableName=TABLE, Key={"id": {"S": id}}, ReturnValues="ALL_OLD").get("Attributes")
        self.deleted += [old] if old else []
        return bool(old)

    def get(self, id: str) -> Item | None:
        return self.client.get_item(TableName=TABLE, Key={"id": {"S": id}}, ConsistentRead=True).get("Item")

    def items(self) -> dict[str, Item]:
        """What a reader sees, by id."""
        pages = self.client.get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
        rows = [row for page in pages for row in page["Items"]]
        return {row["id"]["S"]: {k: v for k, v in row.items() if k != REPLICA_VERSION} for row in rows}

    def records(self) -> list[dict[str, Any]]:
        """The whole stream, as a function sees it."""
        arn = self.client.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
        streams, found = self.aws.client("dynamodbstreams"), []
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = streams.get_shard_iterator(**asked)["ShardIterator"]
            while page := (answer := streams.get_records(ShardIterator=iterator))["Records"]:
                found += [lambda_record(each, arn, self.name) for each in page]
                iterator = answer["NextShardIterator"]
        return found

    def edits(self) -> list[dict[str, Any]]:
        """The records of what the application did, not of what a replicator wrote."""
        made, deleted, own = set(self.made), list(self.deleted), []
        for record in self.records():
            body = record["dynamodb"]
            value = body.get("NewImage", {}).get("value", {}).get("S")
            if value in made:
                made.remove(value)
                own.append(record)
            elif record["eventName"] == "REMOVE" and body["OldImage"] in deleted:
                deleted.remove(body["OldImage"])
                own.append(record)
        assert not made, "the stream lacks edits"
        assert not deleted, "the stream lacks deletions"
        return own

    def attach(self, kinesis: str = "", since: float = 0.0) -> None:
        """To the table's stream, whose records begin `since`, or to this data stream, whose records have no order."""
        self.source, self.ended = source_table(self.aws, TABLE, kinesis)[0].stream_arn, set[str]()

        def ended(_shard: str, records: Sequence[Any]) -> None:
            self.ended.update(plain(each)["dynamodb"]["Keys"]["id"]["S"] for each in records)

        hooks = Hooks(disordered if kinesis else partial(made_since, since), ended)
        attached = self.stack.attach(self.source, ["replicate"], self.aws, hooks, Backoff(0.1, 0.5))
        self.mapping = attached["replicate"]

    def redeploy(self, generation: int, earlier: str, kinesis: str = "", since: float = 0.0) -> None:
        """As CloudFormation does it: the new mapping runs before the old one ends."""
        old, before = self.stack, self.mapping
        self.stack = self._make(generation, earlier)
        self.attach(kinesis, since)
        before.stop()
        old.close()

    def rewind(self) -> None:
        """To the beginning of the stream."""
        for shard in self.mapping.shards():
            self.mapping.rewind(shard)

    def kill(self, seconds: float = 20) -> int:
        """Ends the function in the midst of an invocation."""
        until = time.monotonic() + seconds
        while not (killed := self.stack.function("replicate").kill()):
            assert time.monotonic() < until, "no invocation to end"
            time.sleep(0.001)
        return killed

    def written(self) -> int:
        """Writes of this region's function that took effect, anywhere."""
        return sum(self.proxy.written.values())

    def _fresh(self) -> Item:
        value = f"{self.name}-{next(self._numbers)}"
        self.made.add(value)
        return {"S": value}


class Peers:
    """All regions."""

    def __init__(self, regions: Sequence[Region], endpoint: str) -> None:
        self.regions, self._endpoint = regions, endpoint

    def settle(self) -> None:
        wait_until_idle([region.mapping for region in self.regions], DRAIN_SECONDS)

    def written(self) -> int:
        return sum(region.written() for region in self.regions)

    def metrics(self, name: str) -> int:
        return sum(region.stack.function("replicate").metrics.counts().get(name, 0) for region in self.regions)

    def conflicts(self) -> list[dict[str, Any]]:
        """Every conflict that was recorded."""
        environment = self.regions[0].stack.spec("replicate").environment
        s3, bucket = self.regions[0].aws.client("s3"), environment["PARKING_BUCKET"]
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        names = [each["Key"] for page in pages for each in page.get("Contents", [])]
        assert all(name.startswith("conflicts/") for name in names), f"something was parked: {names}"
        return [json.loads(s3.get_object(Bucket=bucket, Key=name)["Body"].read()) for name in names]

    def check_conserved(self) -> None:
        """Every received change came to one end, and none is parked."""
        assert self.metrics("Received") == sum(map(self.metrics, ENDS)) > 0
        assert self.metrics("Parked") == 0


@contextmanager
def deployed(endpoint: str, names: Sequence[str], rule: str, folder: Path, seed: int = 0) -> Iterator[Peers]:
    """A stack per region, as README says, attached to the region's stream."""
    (folder / "replica.py").write_text(_DECLARED.format(regions=tuple(names), rule=rule))
    project = Project(ROOT, declared={"replicate": folder})
    with ExitStack() as held:
        regions = []
        for at, name in enumerate(names):
            proxy = held.enter_context(RegionProxy(endpoint, Random(f"{seed}/{at}")).serving())
            given = {
                "ReplicaTableName": TABLE,
                "ReplicaRegion": ",".join(each for each in names if each != name),
                "TombstoneTableName": DELETIONS,
                "BatchingWindowSeconds": "0",
            }
            regions.append(
                Region(name, endpoint, partial(_stack, project, Aws.at_emulator(proxy.url, name), given), proxy)
            )
            held.callback(lambda region=regions[-1]: region.stack.close())
            regions[-1].stack.create_replica(TableSpec("", *KEY))
        for region in regions:
            region.attach()
        yield Peers(regions, endpoint)


def _stack(project: Project, aws: Aws, given: Mapping[str, str], generation: int, earlier: str) -> Stack:
    more = {"Generation": str(generation), "EarlierStreams": earlier}
    return Stack(project, aws, {**given, **more}, lambda *_: None)
