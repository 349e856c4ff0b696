"""A table that the application writes to in two regions, 80 ms apart: the built functions on real streams, with one
direction cut, functions ended in the middle of it, and both streams read again from their beginnings."""

import json
import random
import shutil
import time
from itertools import count
from pathlib import Path

import pytest

from distributary.replicate import total
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.codec import decode_item
from local.attach import source_table
from local.aws import Aws
from local.build import build
from local.distance import far
from local.emulators import embedded
from local.stack import Project, Stack
from local.template import TableSpec
from tests.contract.world import table_names

ROOT = Path(__file__).resolve().parents[2]
US, EU = REGIONS = ("us-east-1", "eu-west-1")
OTHER = {US: EU, EU: US}
TABLE, KEPT = "users", "users-deletions"
DECLARED = """from distributary.replicate import MultiActive, by_attribute, last_writer

REPLICA = MultiActive(regions=("us-east-1", "eu-west-1"), rule={rule})
"""
LAST = 'last_writer("at", "milliseconds")'
MERGED = 'by_attribute("at", "milliseconds", union=("tags",), counters=("visits",))'
MILLISECONDS, CUT = 80, 60_000
DRAIN_SECONDS = 90


class World:
    """Both regions, the application's hands in each, and what it did."""

    def __init__(self, emulator, folder, rule):
        self.emulator, self.project = emulator, project(folder, rule)
        self.clients = {region: Aws.at_emulator(emulator, region).client("dynamodb") for region in REGIONS}
        self.edits, self.moments = {}, count(1_795_341_600_000)
        for client in self.clients.values():
            client.create_table(
                TableName=TABLE,
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
                StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            )

    def put(self, region, id, at=None):
        at = at or next(self.moments)
        order = at, -REGIONS.index(region), 0
        self.edits.setdefault(id, []).append((order, f"{region} {at}"))
        item = {"id": {"S": id}, "at": {"N": str(at)}, "value": {"S": f"{region} {at}"}}
        self.clients[region].put_item(TableName=TABLE, Item=item)

    def delete(self, region, id):
        """Covers what it deleted, and what that has won over."""
        answer = self.clients[region].delete_item(TableName=TABLE, Key={"id": {"S": id}}, ReturnValues="ALL_OLD")
        if value := answer.get("Attributes", {}).get("value", {}).get("S"):
            (order,) = [order for order, made in self.edits[id] if made == value]
            self.edits[id].append(((*order[:2], 1), None))

    def visit(self, region, id, tag):
        """Counts in its own cell, adds a tag, and says when."""
        self.clients[region].update_item(
            TableName=TABLE,
            Key={"id": {"S": id}},
            UpdateExpression="SET #at = :at, visits.#here = if_not_exists(visits.#here, :none) + :one ADD tags :tags",
            ExpressionAttributeNames={"#at": "at", "#here": region},
            ExpressionAttributeValues={
                ":at": {"N": str(next(self.moments))},
                ":none": {"N": "0"},
                ":one": {"N": "1"},
                ":tags": {"SS": [tag]},
            },
        )

    def right(self):
        """What the rule says of all edits."""
        last = {id: max(edits)[1] for id, edits in self.edits.items()}
        return {id: value for id, value in last.items() if value is not None}

    def items(self, region):
        rows = self.clients[region].scan(TableName=TABLE)["Items"]
        bare = [{name: typed for name, typed in row.items() if name != REPLICA_VERSION} for row in rows]
        return {row["id"]["S"]: decode_item(row) for row in bare}

    def values(self, region):
        return {id: item["value"] for id, item in self.items(region).items()}

    def records(self, region):
        """How many the region's stream has."""
        streams = Aws.at_emulator(self.emulator, region).client("dynamodbstreams")
        arn = self.clients[region].describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
        found = 0
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            place = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = streams.get_shard_iterator(**place)["ShardIterator"]
            while iterator:
                answer = streams.get_records(ShardIterator=iterator)
                found += len(answer["Records"])
                iterator = answer.get("NextShardIterator") if answer["Records"] else None
        return found

    def conflicts(self, stack):
        """The bodies in a region's bucket."""
        s3, (bucket,) = stack.aws.client("s3"), {stack.spec("replicate").environment["PARKING_BUCKET"]}
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="conflicts/")
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]

    def deployed(self, region, endpoint):
        """The stack of a region, by the parameters that README.md gives, its function reaching AWS at `endpoint`."""
        given = {"ReplicaTableName": TABLE, "ReplicaRegion": OTHER[region], "TombstoneTableName": KEPT}
        given |= {"BatchingWindowSeconds": "0"}
        return Running(Stack(self.project, Aws.at_emulator(endpoint, region), given, lambda *_: None), self.emulator)


class Running:
    """A region's function while the block runs; attached from the beginning of the stream."""

    def __init__(self, stack, emulator):
        self.stack, source = stack, Aws.at_emulator(emulator, stack.aws.region)
        table, _ = source_table(source, TABLE)
        self.mapping = stack.attach(table.stream_arn, ["replicate"], source)["replicate"]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stack.close()


def settle(world, *running):
    """Until no region has anything left to carry, what the others wrote there included."""
    until, seen = time.monotonic() + DRAIN_SECONDS, None
    while seen != (seen := [world.records(region) for region in REGIONS]):
        asked = time.monotonic()
        while not all(each.mapping.drained(asked) for each in running):
            assert time.monotonic() < until, "not drained"
            time.sleep(0.1)


def project(folder, rule):
    """This project with another declaration; what is built of the rest is shared."""
    build(Project(ROOT).template, ["replicate"], ROOT / ".build" / "local")
    for name in ("functions", "layers"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "functions" / "replicate" / "replica.py").write_text(DECLARED.format(rule=rule))
    built = folder / "built"
    built.mkdir()
    for name in ("layers", "runtime", "runtime.stamp"):
        (built / name).symlink_to(ROOT / ".build" / "local" / name)
    return Project(folder, built)


@pytest.fixture
def world(request, tmp_path):
    """On services of its own: two worlds would find each other's tables and conflicts."""
    with embedded() as endpoints:
        yield World(endpoints.aws, tmp_path, request.param)


@pytest.mark.parametrize("world", [LAST], indirect=True, ids=["last-writer"])
def test_whatever_is_written_in_either_region_both_end_with_what_the_rule_says(world):
    rng = random.Random(7)
    ids = [f"u{at}" for at in range(12)]

    def edits(number):
        for _ in range(number):
            region, id = rng.choice(REGIONS), rng.choice(ids)
            if rng.random() < 0.2:
                world.delete(region, id)
            elif rng.random() < 0.2:
                tie = next(world.moments)
                world.put(EU, id, tie), world.put(US, id, tie)
            else:
                world.put(region, id)

    aws = world.emulator
    with (
        far(aws, {US: MILLISECONDS}) as from_eu,
        far(aws, {EU: CUT}) as cut,
        far(aws, {EU: MILLISECONDS}) as from_us,
    ):
        with world.deployed(EU, from_eu) as eu:
            with world.deployed(US, cut) as us:
                edits(60)
                world.put(US, "held back")
                world.put(EU, "carried")
                settle(world, eu)
                assert "held back" not in world.values(EU)
                assert world.values(US)["carried"] == world.values(EU)["carried"]
            with world.deployed(US, from_us) as us:
                edits(60)
                settle(world, eu, us)
            recorded = world.conflicts(us.stack) + world.conflicts(eu.stack)
        assert world.values(US) == world.values(EU) == world.right()
        with world.deployed(US, from_us) as us, world.deployed(EU, from_eu) as eu:
            before = [world.records(region) for region in REGIONS]
            settle(world, eu, us)
        assert [world.records(region) for region in REGIONS] == before
    writes = sum(map(len, world.edits.values()))
    assert sum(before) <= 3 * writes
    assert {body["rule"] for body in recorded} == {"last_writer(at)"}
    for body in recorded:
        assert {side["region"] for side in body["sides"]} == set(REGIONS)
        assert body["winner"] in body["sides"]


def test_a_stack_on_this_machine_makes_the_tables_of_the_other_regions(emulators):
    given = {"ReplicaTableName": "here", "ReplicaRegion": "eu-west-1,ap-south-1", "TombstoneTableName": "here-gone"}
    with Stack(Project(ROOT), Aws.at_emulator(emulators.aws, US), given, lambda *_: None) as stack:
        key = {"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "id", "AttributeType": "S"}
        stack.create_replica(TableSpec("here", key[:1], key[1:]))
    for region in ("eu-west-1", "ap-south-1"):
        names = table_names(Aws.at_emulator(emulators.aws, region).client("dynamodb"))
        assert {"here", "here-gone"} <= {*names}


@pytest.mark.parametrize("world", [MERGED], indirect=True, ids=["merged"])
def test_counters_add_up_and_sets_unite_over_both_regions(world):
    aws = world.emulator
    with far(aws, {US: MILLISECONDS}) as from_eu, far(aws, {EU: MILLISECONDS}) as from_us:
        with world.deployed(US, from_us) as us, world.deployed(EU, from_eu) as eu:
            for id in "ab":
                item = {"id": {"S": id}, "at": {"N": "1"}, "visits": {"M": {}}, "tags": {"SS": ["made"]}}
                world.clients[US].put_item(TableName=TABLE, Item=item)
            settle(world, us, eu)
            for at in range(30):
                for region in REGIONS:
                    world.visit(region, "ab"[at % 2], f"{region}-{at}")
            settle(world, us, eu)
        tables = [world.items(region) for region in REGIONS]
        assert tables[0] == tables[1]
        assert [total(tables[0][id]["visits"]) for id in "ab"] == [30, 30]
        tags = {"made", *(f"{region}-{at}" for region in REGIONS for at in range(30))}
        assert tables[0]["a"]["tags"] | tables[0]["b"]["tags"] == tags
