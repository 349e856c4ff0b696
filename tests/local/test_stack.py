"""A stream, a mapping and a function, put together."""

import time
from pathlib import Path

from distributary.feed.snapshot import Table
from local.stack import Project, Stack
from local.template import TableSpec

ROOT = Path(__file__).parents[2]


def test_a_change_in_the_source_reaches_the_functions_table_beside_a_backfill(stack, table, aws):
    table.put("before")
    table.put("after")
    mapping = stack.attach(table.arn, ["probe"])["probe"]
    assert stack.backfill(Table(table.name, ("id",), table.arn, "us-east-1"), ["probe"]) == 2
    since = time.monotonic()
    while not mapping.drained(since, quiet_seconds=0.2):
        time.sleep(0.05)
    items = aws.client("dynamodb").scan(TableName="distributary-Table")["Items"]
    assert {item["id"]["S"] for item in items} == {"before", "after"}
    assert stack.function("probe").metrics.counts() == {"Received": 4}


def test_multi_active_has_a_streaming_table_and_tombstones_in_every_region(endpoints, aws):
    regions = ("us-east-1", "eu-west-1", "ap-south-1")
    given = {"ReplicaTableName": "everywhere", "TombstoneTableName": "everywhere-deleted"}
    spec = TableSpec("", ({"AttributeName": "n", "KeyType": "HASH"},), ({"AttributeName": "n", "AttributeType": "N"},))
    with Stack(Project(ROOT), aws, {**given, "ReplicaRegion": ",".join(regions[1:])}, print) as stack:
        stack.create_replica(spec)
        stack.create_replica(spec)
    for region in regions:
        client = aws.client("dynamodb", region)
        table = client.describe_table(TableName="everywhere")["Table"]
        assert table["KeySchema"] == list(spec.key_schema)
        assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        deleted = client.describe_table(TableName="everywhere-deleted")["Table"]
        assert [each["AttributeName"] for each in deleted["KeySchema"]] == ["id"]
